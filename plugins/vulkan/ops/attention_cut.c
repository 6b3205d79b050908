/* SPDX-License-Identifier: Apache-2.0 */
/* Attention over caches that no binding holds: a sequence's blocks stand anywhere in them, but a block's scores, and the
 * sums of its values, are found by themselves. So all blocks in one window of a cache are done, then those in the next;
 * what they give is put together in the order of positions. Some rows and spans at a time, so that what stands between is
 * not too much. */
#include "common/checked.h"
#include "plugins/vulkan/ops/attention.h"
#include "plugins/vulkan/ops/ops.h"

#define SPAN 512u
#define SPAN_BLOCKS (SPAN / QVF_KV_BLOCK)
#define BETWEEN_BYTES (16ull << 20) /* of scores, and of sums, unless one row and span have more */

enum { Y, Q, KEYS, VALUES, PLACE, TABLE };
enum { SCORES, SUMS, PARTS }; /* as in attention_cut.comp */

struct between { /* what the passes leave for each other, of some rows and spans */
        struct vk_binding scores, sums, parts;
        uint32_t row, rows, span, spans;
};

static uint32_t size_of(const struct vk_call *call)
{
        return (uint32_t)call->op->i[0];
}

static uint32_t heads_of(const struct vk_call *call)
{
        return call->operand[Q].columns / size_of(call);
}

static struct vk_dispatch pass(const struct vk_call *call, const struct between *b, uint32_t which)
{
        const struct vk_operand *o = call->operand;
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_ATTENTION_CUT);
        const uint32_t constants[] = { which, size_of(call), o[KEYS].dtype, o[VALUES].dtype };
        const uint32_t n[] = { o[Q].columns, o[KEYS].columns, o[TABLE].columns, o[KEYS].rows / QVF_KV_BLOCK,
                o[TABLE].rows, call->op->i[1] > 0 ? (uint32_t)call->op->i[1] : 0, b->span, b->spans };

        for (unsigned i = 0; i < 4; i++)
                d.constant[i] = constants[i];
        d.n_constants = 4;
        for (unsigned i = 0; i < 8; i++)
                d.push.n[i] = n[i];
        d.push.row0 = b->row;
        d.bind[0] = b->scores;
        d.bind[0].written = which == SCORES;
        d.bind[1] = which == SCORES ? vk_bind_rows(o[Q].value, vk_operand_row_bytes(&o[Q]), b->row, b->rows,
                                                      false)
                                    : b->sums;
        d.bind[1].written = which == SUMS;
        d.bind[2] = d.bind[3] = (struct vk_binding){ 0 };
        d.groups[0] = heads_of(call);
        d.groups[1] = b->rows;
        d.groups[2] = b->spans;
        d.cost = (uint64_t)b->rows * b->spans * SPAN * o[Q].columns;
        return d;
}

/* One pass over all windows of the keys or of the values. */
static void emit_windows(
                struct vk_build *build, const struct vk_call *call, const struct between *b, uint32_t which)
{
        uint32_t operand = which == SCORES ? KEYS : VALUES;
        const struct vk_operand *cache = &call->operand[operand];
        uint32_t step = vk_rows_of_piece(call, 1u << operand, cache->rows, QVF_KV_BLOCK, UINT32_MAX);

        for (uint32_t cell = 0; cell < cache->rows; cell += step) {
                uint32_t cells = (uint32_t)qvf_min_u64(step, cache->rows - cell);
                struct vk_dispatch d = pass(call, b, which);

                d.bind[operand] =
                                vk_bind_rows(cache->value, vk_operand_row_bytes(cache), cell, cells, false);
                d.push.rest[6] = cell / QVF_KV_BLOCK;
                d.push.rest[7] = cells / QVF_KV_BLOCK;
                vk_emit(build, &d);
        }
}

static void emit_spans(struct vk_build *build, const struct vk_call *call, struct between *b)
{
        uint64_t each = (uint64_t)b->rows * heads_of(call) * b->spans * 4;
        struct vk_dispatch d;

        b->scores = (struct vk_binding){ .value = vk_scratch(build, 1, each * SPAN), .bytes = each * SPAN };
        b->sums = (struct vk_binding){ .value = vk_scratch(build, 2, each * SPAN_BLOCKS * size_of(call)),
                .bytes = each * SPAN_BLOCKS * size_of(call) };
        emit_windows(build, call, b, SCORES);
        emit_windows(build, call, b, SUMS);
        d = pass(call, b, PARTS);
        d.bind[6] = b->parts;
        d.bind[6].written = true;
        d.n_bind = 7;
        d.cost /= QVF_KV_BLOCK;
        vk_emit(build, &d);
}

void vk_attention_cut(struct vk_build *build, const struct vk_call *call)
{
        uint32_t all_spans = vk_div_up(call->operand[TABLE].columns, SPAN_BLOCKS), heads = heads_of(call);
        uint64_t most = qvf_min_u64(BETWEEN_BYTES, call->limits->range);
        uint64_t wide = qvf_max_u64(SPAN, (uint64_t)SPAN_BLOCKS * size_of(call));
        uint64_t part = 4ull * heads * all_spans * (size_of(call) + 2); /* of a row */
        uint64_t span = 4ull * heads * wide, rows_most = qvf_max_u64(most / qvf_max_u64(part, span), 1);
        uint32_t step = vk_rows_of_piece(call, 1 << Y | 1 << Q, call->rows, 1, rows_most);
        uint32_t spans_most = (uint32_t)qvf_min_u64(qvf_max_u64(most / (step * span), 1), all_spans);
        struct between b = { 0 };

        for (b.row = 0; b.row < call->rows; b.row += step) {
                b.rows = (uint32_t)qvf_min_u64(step, call->rows - b.row);
                b.parts = (struct vk_binding){ .value = vk_scratch(build, 0, b.rows * part),
                        .bytes = b.rows * part };
                for (b.span = 0; b.span < all_spans; b.span += spans_most) {
                        b.spans = (uint32_t)qvf_min_u64(spans_most, all_spans - b.span);
                        emit_spans(build, call, &b);
                }
                vk_attention_combine(build, call, b.parts.value, all_spans, b.row, b.rows);
        }
}
