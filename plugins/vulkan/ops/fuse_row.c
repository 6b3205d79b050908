/* SPDX-License-Identifier: Apache-2.0 */
/* [ADD or GATE] RMSNORM [QUANTIZE] in one dispatch: a workgroup for each row. */
#include "plugins/vulkan/ops/elements.h"
#include "plugins/vulkan/ops/fuse.h"
#include "plugins/vulkan/ops/ops.h"

enum prologue { NONE, SUM, SILU, RELU2 };

struct chain {
        const struct vk_call *first, *norm, *quantize; /* first and quantize may be NULL */
        enum prologue prologue;
};

static bool find(const struct vk_call *calls, uint32_t count, struct chain *chain)
{
        uint32_t at = 0;

        *chain = (struct chain){ 0 };
        if (calls[0].op->kind == QVF_OP_ADD || calls[0].op->kind == QVF_OP_GATE) {
                chain->first = &calls[at++];
                chain->prologue = calls[0].op->kind == QVF_OP_ADD ? SUM
                                  : calls[0].op->i[0] == 0        ? SILU
                                                                  : RELU2;
        }
        if (at >= count || calls[at].op->kind != QVF_OP_RMSNORM || calls[at].op->rows != calls[0].op->rows)
                return false;
        chain->norm = &calls[at++];
        if (chain->first && !vk_is_value(&chain->first->operand[0], &chain->norm->operand[1]))
                return false;
        if (at < count && calls[at].op->kind == QVF_OP_QUANTIZE && calls[at].op->rows == calls[0].op->rows &&
                        vk_is_value(&chain->norm->operand[0], &calls[at].operand[2]))
                chain->quantize = &calls[at];
        return chain->first || chain->quantize;
}

/* With several rows, what one workgroup writes must not be what another one still reads. */
static bool safe(const struct chain *chain)
{
        const struct vk_operand *reads[4], *writes[3];
        uint32_t n_reads = 0, n_writes = 0;

        if (chain->norm->rows <= 1)
                return true;
        if (chain->first) {
                reads[n_reads++] = &chain->first->operand[1];
                reads[n_reads++] = &chain->first->operand[2];
        }
        reads[n_reads++] = &chain->norm->operand[1];
        writes[n_writes++] = &chain->norm->operand[0];
        if (chain->quantize) {
                reads[n_reads++] = &chain->norm->operand[0];
                writes[n_writes++] = &chain->quantize->operand[0];
                writes[n_writes++] = &chain->quantize->operand[1];
        }
        for (uint32_t i = 0; i < n_reads; i++)
                for (uint32_t j = 0; j < n_writes; j++)
                        if (reads[i] != writes[j] && vk_overlap(reads[i], writes[j]))
                                return false;
        return true;
}

static bool in_range(const struct chain *chain)
{
        return vk_rows_in_range(chain->norm, &chain->norm->operand[0]) >= chain->norm->rows;
}

uint32_t vk_fuse_row(struct vk_build *build, const struct vk_call *calls, uint32_t count)
{
        struct vk_dispatch d;
        struct chain chain;

        if (!find(calls, count, &chain) || !safe(&chain) || !in_range(&chain))
                return 0;
        d = vk_dispatch(chain.norm, VK_SHADER_FUSED_ROW);
        d.bind[4] = d.bind[0]; /* the norm's result */
        d.bind[3] = d.bind[2]; /* and its weight */
        d.bind[0] = d.bind[2] = (struct vk_binding){ 0 };
        if (chain.first) {
                d.bind[0] = (struct vk_binding){ chain.first->operand[0].value, 0, 0, true };
                d.bind[1].value = chain.first->operand[1].value;
                d.bind[2].value = chain.first->operand[2].value;
                d.push.f[1] = chain.first->op->f[0];
                d.push.f[2] = chain.first->op->f[1];
        }
        if (chain.quantize) {
                d.bind[5] = (struct vk_binding){ chain.quantize->operand[0].value, 0, 0, true };
                d.bind[6] = (struct vk_binding){ chain.quantize->operand[1].value, 0, 0, true };
                d.push.n[1] = chain.quantize->operand[0].columns;
        }
        d.n_bind = 7;
        d.push.n[0] = chain.norm->operand[0].columns;
        d.constant[0] = 256;
        d.constant[1] = chain.prologue;
        d.constant[2] = chain.quantize != NULL;
        d.n_constants = 3;
        vk_groups(&d, chain.norm->rows);
        d.cost = 16 * (uint64_t)chain.norm->rows * d.push.n[0];
        vk_emit(build, &d);
        return 1 + (chain.first != NULL) + (chain.quantize != NULL);
}
