/* SPDX-License-Identifier: Apache-2.0 */
/* [GATE] [RMSNORM] QUANTIZE MATMUL_TERNARY… [ADD] of a single row in one dispatch: what a token's way through a layer is
 * made of. Each workgroup makes the quantised row again for itself, which costs less than another dispatch. */
#include <string.h>

#include "plugins/vulkan/ops/chain.h"
#include "plugins/vulkan/ops/fuse.h"
#include "plugins/vulkan/ops/ternary.h"
#include "plugins/vulkan/pack.h"

#define INVOCATIONS 256u
#define COLUMNS_MOST 13824u /* as in decode.glsl */
#define PIECES_MOST 14u

static const struct vk_operand *row_of(const struct vk_chain *chain)
{
        return chain->norm ? &chain->norm->operand[0] : chain->gate ? &chain->gate->operand[0] : NULL;
}

/* GATE, RMSNORM, QUANTIZE; what is between them nobody else may read. */
static bool find_row(const struct vk_call *calls, uint32_t count, struct vk_chain *chain)
{
        uint32_t at = 0;

        if (calls[at].op->kind == QVF_OP_GATE)
                chain->gate = &calls[at++];
        if (at < count && calls[at].op->kind == QVF_OP_RMSNORM) {
                chain->norm = &calls[at++];
                if (chain->gate && (!vk_is_value(&chain->gate->operand[0], &chain->norm->operand[1]) ||
                                                   !chain->norm->operand[1].last))
                        return false;
        }
        if (at >= count || calls[at].op->kind != QVF_OP_QUANTIZE)
                return false;
        chain->quantize = &calls[at++];
        if (row_of(chain) && (!vk_is_value(row_of(chain), &chain->quantize->operand[2]) ||
                                             !chain->quantize->operand[2].last))
                return false;
        chain->input = chain->gate   ? &chain->gate->operand[1]
                       : chain->norm ? &chain->norm->operand[1]
                                     : &chain->quantize->operand[2];
        chain->count = at;
        return true;
}

static bool same_row(const struct vk_chain *chain, const struct vk_call *product)
{
        return product->op->kind == QVF_OP_MATMUL_TERNARY &&
               product->op->rows == chain->quantize->op->rows &&
               vk_is_value(&chain->quantize->operand[0], &product->operand[1]) &&
               vk_is_value(&chain->quantize->operand[1], &product->operand[2]);
}

static bool find_products(const struct vk_call *calls, uint32_t count, struct vk_chain *chain)
{
        const struct vk_call *last;

        while (chain->count < count && chain->parts < VK_CHAIN_PARTS &&
                        same_row(chain, &calls[chain->count]))
                chain->product[chain->parts++] = &calls[chain->count++];
        if (chain->parts == 0)
                return false;
        last = chain->product[chain->parts - 1];
        if (!last->operand[1].last || !last->operand[2].last)
                return false;
        if (chain->parts == 1 && chain->count < count && calls[chain->count].op->kind == QVF_OP_ADD &&
                        vk_is_value(&last->operand[0], &calls[chain->count].operand[2]) &&
                        calls[chain->count].operand[2].last &&
                        !vk_is_value(&last->operand[0], &calls[chain->count].operand[1]))
                chain->add = &calls[chain->count++];
        return true;
}

static bool fits(const struct vk_chain *chain)
{
        const struct vk_call *call = chain->quantize;
        uint32_t columns = call->operand[0].columns;

        if (call->rows != 1 || !call->features->subgroup || call->limits->invocations < INVOCATIONS ||
                        call->limits->shared < COLUMNS_MOST + 2048 || columns > COLUMNS_MOST ||
                        columns != call->operand[2].columns || columns > PIECES_MOST * 4 * INVOCATIONS)
                return false;
        for (uint32_t i = 0; i < chain->parts; i++) {
                const struct qvf_value *weight = chain->product[i]->operand[3].value;

                if (!weight->packed || weight->block_scales || weight->offset % 16 != 0 ||
                                weight->dtype != chain->product[0]->operand[3].value->dtype ||
                                vk_ternary_rows_in_range(call, weight) < weight->rows)
                        return false;
        }
        return true;
}

/* What one workgroup writes must not be what another one still reads: the row's sources. */
static bool safe(const struct vk_chain *chain)
{
        const struct vk_operand *sources[3] = { chain->input, chain->gate ? &chain->gate->operand[2] : NULL,
                chain->norm ? &chain->norm->operand[2] : NULL };

        for (int i = 0; i < 3; i++) {
                if (!sources[i])
                        continue;
                if (chain->add && vk_overlap(sources[i], &chain->add->operand[0]))
                        return false;
                for (uint32_t part = 0; part < chain->parts && !chain->add; part++)
                        if (vk_overlap(sources[i], &chain->product[part]->operand[0]))
                                return false;
        }
        return true;
}

static uint32_t bits_of(float number)
{
        uint32_t bits;

        memcpy(&bits, &number, sizeof(bits));
        return bits;
}

/* Lanes of a row, and how many rows one has, so that there are workgroups enough and not too many. */
static uint32_t cut(const struct vk_chain *chain, struct vk_dispatch *d)
{
        const struct vk_call *call = chain->quantize;
        const struct qvf_value *weight = chain->product[0]->operand[3].value;
        uint32_t fours = vk_packed_row_words(weight->dtype, weight->columns) / 4, rows = 0, groups = 0;
        uint32_t lanes = 4, passes, wanted = call->tuning->value[VK_TUNE_DECODE_GROUPS];

        for (uint32_t i = 0; i < chain->parts; i++)
                rows += chain->product[i]->operand[3].rows;
        while (lanes < call->features->subgroup_size && lanes < fours &&
                        (lanes < 8 || rows * lanes / INVOCATIONS < wanted))
                lanes *= 2;
        passes = rows * lanes / INVOCATIONS / wanted;
        passes = passes < 1 ? 1 : passes > 8 ? 8 : passes;
        d->constant[5] = lanes;
        d->constant[6] = passes;
        for (uint32_t i = 0; i < chain->parts; i++)
                groups += vk_div_up(chain->product[i]->operand[3].rows, INVOCATIONS / lanes * passes);
        return groups;
}

static void emit(struct vk_build *build, const struct vk_chain *chain)
{
        const struct vk_call *first = chain->product[0];
        struct vk_dispatch d = vk_dispatch(
                        first, vk_ternary_has_dot(first) ? VK_SHADER_DECODE_DOT : VK_SHADER_DECODE);

        memset(d.bind, 0, sizeof(d.bind));
        d.push.n[0] = chain->quantize->operand[2].columns;
        d.cost = 0;
        for (uint32_t i = 0; i < chain->parts; i++) {
                const struct vk_operand *o = chain->product[i]->operand;

                d.bind[2 * i] = (struct vk_binding){ o[0].value, 0, 0, true };
                d.bind[2 * i + 1] = (struct vk_binding){ o[3].value, 0, 0, false };
                d.push.n[1 + i] = o[3].rows;
                d.push.f[i] = o[3].value->scale;
                d.cost += (uint64_t)o[3].rows * o[3].columns;
        }
        if (chain->norm) {
                d.bind[6].value = chain->norm->operand[2].value;
                d.push.n[4] = bits_of(chain->norm->op->f[0]);
        }
        d.bind[7].value = chain->input->value;
        if (chain->gate) {
                d.bind[8].value = chain->gate->operand[2].value;
                d.push.n[7] = (uint32_t)chain->gate->op->i[0];
        }
        if (chain->add) {
                d.bind[0] = (struct vk_binding){ chain->add->operand[0].value, 0, 0, true };
                d.bind[9].value = chain->add->operand[1].value;
                d.push.n[5] = bits_of(chain->add->op->f[0]);
                d.push.n[6] = bits_of(chain->add->op->f[1]);
        }
        d.n_bind = 10;
        d.constant[0] = INVOCATIONS;
        d.constant[1] = vk_ternary_layout(first->operand[3].value) == VK_TERNARY_P1;
        d.constant[2] = chain->gate != NULL;
        d.constant[3] = chain->norm != NULL;
        d.constant[4] = chain->add != NULL;
        d.constant[7] = vk_div_up(d.push.n[0], 4 * INVOCATIONS);
        d.n_constants = 8;
        d.groups[0] = cut(chain, &d);
        vk_emit(build, &d);
}

bool vk_chain_find(const struct vk_call *calls, uint32_t count, struct vk_chain *ret_chain)
{
        *ret_chain = (struct vk_chain){ 0 };
        return count > 0 && calls[0].rows == 1 && find_row(calls, count, ret_chain) &&
               find_products(calls, count, ret_chain) && fits(ret_chain) && safe(ret_chain);
}

uint32_t vk_fuse_decode(struct vk_build *build, const struct vk_call *calls, uint32_t count)
{
        struct vk_chain chain;

        if (!vk_chain_find(calls, count, &chain))
                return 0;
        emit(build, &chain);
        return chain.count;
}
