/* SPDX-License-Identifier: Apache-2.0 */
/* [ADD or GATE] [RMSNORM] [QUANTIZE], those that follow each other, in one dispatch: a workgroup for each row. */
#include "common/checked.h"
#include "plugins/vulkan/ops/elements.h"
#include "plugins/vulkan/ops/fuse.h"
#include "plugins/vulkan/ops/ops.h"

#define MOST_PIECES 16u /* fours of a row that an invocation keeps */

enum { NEITHER, SUM, GATED }; /* as in fused_row.comp */

struct chain {
        const struct vk_call *first, *norm, *quantize; /* those not there are NULL */
        const struct vk_operand *x;                    /* of the norm, or of the quantisation */
        bool writes_first, writes_norm;                /* somebody else reads them too */
        uint32_t length, invocations, pieces;
};

static const struct vk_call *next(const struct vk_call *calls, uint32_t count, struct chain *chain,
                uint16_t kind, const struct vk_operand *from, uint32_t input)
{
        const struct vk_call *call = &calls[chain->length];

        if (chain->length >= count || call->op->kind != kind || call->op->rows != calls[0].op->rows ||
                        (from && !vk_is_value(from, &call->operand[input])))
                return NULL;
        chain->length++;
        return call;
}

static bool find(const struct vk_call *calls, uint32_t count, struct chain *chain)
{
        const struct vk_operand *last = NULL;

        *chain = (struct chain){ 0 };
        if (calls[0].op->kind == QVF_OP_ADD || calls[0].op->kind == QVF_OP_GATE) {
                chain->first = &calls[chain->length++];
                last = &chain->first->operand[0];
        }
        chain->norm = next(calls, count, chain, QVF_OP_RMSNORM, last, 1);
        last = chain->norm ? &chain->norm->operand[0] : last;
        chain->quantize = next(calls, count, chain, QVF_OP_QUANTIZE, last, 2);
        chain->writes_norm = chain->norm && !(chain->quantize && chain->quantize->operand[2].last);
        if (chain->first)
                chain->writes_first = chain->norm ? !chain->norm->operand[1].last
                                                  : !chain->quantize || !chain->quantize->operand[2].last;
        chain->x = chain->norm       ? &chain->norm->operand[1]
                   : chain->quantize ? &chain->quantize->operand[2]
                                     : NULL;
        return chain->norm || chain->quantize;
}

static uint32_t gather(const struct chain *chain, const struct vk_operand **reads,
                const struct vk_operand **writes, uint32_t *ret_writes)
{
        uint32_t n_reads = 0, n_writes = 0;

        if (chain->first) {
                reads[n_reads++] = &chain->first->operand[1];
                reads[n_reads++] = &chain->first->operand[2];
        } else {
                reads[n_reads++] = chain->x;
        }
        if (chain->norm)
                reads[n_reads++] = &chain->norm->operand[2];
        if (chain->writes_first)
                writes[n_writes++] = &chain->first->operand[0];
        if (chain->writes_norm)
                writes[n_writes++] = &chain->norm->operand[0];
        if (chain->quantize) {
                writes[n_writes++] = &chain->quantize->operand[0];
                writes[n_writes++] = &chain->quantize->operand[1];
        }
        *ret_writes = n_writes;
        return n_reads;
}

/* A row is read before the same row is written, but not before others are; with a single one, that is before all but the
 * first result. */
static bool is_safe(const struct chain *chain, uint32_t rows)
{
        const struct vk_operand *reads[4], *writes[4];
        uint32_t n_writes, n_reads = gather(chain, reads, writes, &n_writes);
        const struct vk_operand *weight = chain->norm ? &chain->norm->operand[2] : NULL;

        for (uint32_t j = 0; j < n_writes; j++) {
                bool all_read = rows <= 1 && !(j == 0 && chain->writes_first);

                for (uint32_t i = 0; i < n_reads; i++)
                        if (!(all_read && reads[i] != weight) && vk_overlap(reads[i], writes[j]) &&
                                        !vk_is_value(reads[i], writes[j]))
                                return false;
                for (uint32_t i = 0; i < j; i++)
                        if (vk_overlap(writes[i], writes[j]))
                                return false;
        }
        return true;
}

/* The longest chain, or a shorter one where the arena gives a result the place of what others still read. */
static bool find_safe(const struct vk_call *calls, uint32_t count, struct chain *chain)
{
        for (uint32_t most = (uint32_t)qvf_min_u64(count, 3); most > 0; most--)
                if (find(calls, most, chain) && is_safe(chain, calls->rows))
                        return true;
        return false;
}

bool vk_row_shape(const struct vk_call *call, uint32_t fours, uint32_t widest, uint32_t *ret_invocations,
                uint32_t *ret_pieces)
{
        /* Many rows fill the device by themselves; a single one wants as many invocations as there can be. */
        uint32_t most = (uint32_t)qvf_min_u64(call->limits->invocations, call->rows > 64 ? 256 : 1024);
        uint32_t invocations = 32;

        while (invocations * 2 <= most && invocations < fours)
                invocations *= 2;
        *ret_invocations = invocations;
        *ret_pieces = vk_div_up(widest, invocations);
        return *ret_pieces <= MOST_PIECES;
}

/* Rows are taken four numbers at a time. */
static bool fits(struct chain *chain, const struct vk_call *call)
{
        const struct vk_operand *reads[4], *writes[4];
        uint32_t n_writes, n_reads = gather(chain, reads, writes, &n_writes);
        uint32_t fours = chain->x->columns / 4, widest = fours;

        if (chain->quantize)
                widest = chain->quantize->operand[0].columns / 4;
        for (uint32_t i = 0; i < n_reads; i++)
                if (reads[i]->value->offset % 16 != 0 || !vk_in_range(call, reads[i]))
                        return false;
        for (uint32_t i = 0; i < n_writes; i++)
                if (!vk_in_range(call, writes[i]))
                        return false;
        return chain->x->columns % 4 == 0 && vk_in_range(call, chain->x) &&
               vk_row_shape(call, fours, widest, &chain->invocations, &chain->pieces);
}

static struct vk_binding bind(const struct vk_operand *operand, bool written)
{
        return (struct vk_binding){ .value = operand->value, .written = written };
}

uint32_t vk_fuse_row(struct vk_build *build, const struct vk_call *calls, uint32_t count)
{
        struct vk_dispatch d;
        struct chain chain;

        if (!find_safe(calls, count, &chain) || !fits(&chain, calls))
                return 0;
        d = vk_dispatch(calls,
                        calls->features->subgroup ? VK_SHADER_FUSED_ROW_SUBGROUP : VK_SHADER_FUSED_ROW);
        for (uint32_t i = 0; i < 7; i++)
                d.bind[i] = (struct vk_binding){ 0 };
        d.bind[1] = bind(chain.x, false);
        if (chain.first) {
                if (chain.writes_first)
                        d.bind[0] = bind(&chain.first->operand[0], true);
                d.bind[1] = bind(&chain.first->operand[1], false);
                d.bind[2] = bind(&chain.first->operand[2], false);
                d.push.n[2] = (uint32_t)chain.first->op->i[0];
        }
        if (chain.norm) {
                if (chain.writes_norm)
                        d.bind[3] = bind(&chain.norm->operand[0], true);
                d.bind[4] = bind(&chain.norm->operand[2], false);
                d.push.f[2] = chain.norm->op->f[0];
        }
        if (chain.quantize) {
                d.bind[5] = bind(&chain.quantize->operand[0], true);
                d.bind[6] = bind(&chain.quantize->operand[1], true);
                d.push.n[1] = chain.quantize->operand[0].columns;
        }
        d.n_bind = 7;
        d.push.n[0] = chain.x->columns;
        d.constant[0] = chain.invocations;
        d.constant[1] = !chain.first ? NEITHER : chain.first->op->kind == QVF_OP_ADD ? SUM : GATED;
        d.constant[2] = chain.norm != NULL;
        d.constant[3] = chain.quantize != NULL;
        d.constant[4] = chain.pieces;
        d.constant[5] = chain.writes_first;
        d.constant[6] = chain.writes_norm;
        d.n_constants = 7;
        vk_groups(&d, calls->rows);
        d.cost = 16 * (uint64_t)calls->rows * d.push.n[0];
        vk_emit(build, &d);
        return chain.length;
}
