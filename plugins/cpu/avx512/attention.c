/* SPDX-License-Identifier: Apache-2.0 */
/* Attention over a cache. Few rows with a long past are shared out by spans of positions, others by rows. */
#include "plugins/cpu/avx512/attention.h"
#include "plugins/cpu/lanes/kernels.h"

#define SPLIT_ROWS 8u /* up to here long pasts are shared out by spans */

static struct attention attention_of(const struct cpu_call *call)
{
        const struct cpu_operand *o = call->operand;
        uint32_t size = (uint32_t)call->op->i[0], key_heads = o[2].columns / size;

        return (struct attention){
                .y = o[0].data,
                .q = o[1].data,
                .keys = &o[2],
                .values = &o[3],
                .place = o[4].data,
                .table = &o[5],
                .rows = call->rows,
                .columns = o[1].columns,
                .size = size,
                .width = head_width(size),
                .group = o[1].columns / size / key_heads,
                .key_heads = key_heads,
                .window = call->op->i[1] > 0 ? (uint32_t)call->op->i[1] : 0,
                .cell_bytes = dense_row_bytes(o[2].dtype, o[2].columns),
                .head_bytes = dense_row_bytes(o[2].dtype, size),
                .factor = call->op->f[0],
        };
}

/* The sums of a span of a row and head, kept for the merge: their numbers, then struct sums in a line of its own. */
static float *part_of(const struct attention *a, float *parts, uint32_t spans, uint32_t row, uint32_t head,
                uint32_t span)
{
        return parts + (((size_t)row * (a->columns / a->size) + head) * spans + span) * (a->width + LANES);
}

/* Few rows, long pasts: rows, key heads and spans are shared out, then rows and heads for the merge. */
static void share_spans(const struct cpu_call *call, const struct attention *a, const struct work *work,
                uint32_t spans)
{
        float *parts = (float *)((char *)call->scratch + call->n_threads * work_bytes(a->size, a->group));
        uint32_t heads = a->columns / a->size, begin, end;

        for (uint32_t task = cpu_next(call); task < a->rows * a->key_heads * spans; task = cpu_next(call)) {
                struct run run = { .row = task / spans / a->key_heads, .rows = 1 };
                uint32_t span = task % spans;

                run.key_head = task / spans % a->key_heads;
                run.sequence = a->place[2 * (size_t)run.row + 1];
                attend_span(a, &run, work, span);
                for (uint32_t i = 0; i < a->group; i++) {
                        float *part = part_of(a, parts, spans, run.row, run.key_head * a->group + i, span);

                        memcpy(part, work->span + (size_t)i * a->width, a->width * sizeof(*part));
                        memcpy(part + a->width, &work->span_sums[i], sizeof(struct sums));
                }
                cpu_pause_point(call);
        }
        cpu_barrier(call);
        cpu_share(call, a->rows * heads, 1, &begin, &end);
        for (uint32_t task = begin; task < end; task++) {
                clear(work->all_sums, work->all, 1, a->width);
                for (uint32_t span = 0; span < spans; span++) {
                        const float *part = part_of(a, parts, spans, task / heads, task % heads, span);

                        merge(work->all_sums, work->all, (const struct sums *)(part + a->width), part,
                                        a->width);
                }
                store(a, task / heads, task % heads, work->all_sums, work->all);
        }
}

void cpu_avx512_attention(const struct cpu_call *call)
{
        struct attention a = attention_of(call);
        struct work work = work_of(call, &a);
        uint32_t spans = span_count(&a, 0, a.rows);

        if (a.rows <= SPLIT_ROWS && spans > 1)
                share_spans(call, &a, &work, spans);
        else
                share_rows(call, &a, &work);
}

size_t cpu_avx512_attention_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        uint32_t size = (uint32_t)op->i[0], heads = operands[1].columns / size;
        uint32_t group = heads / (operands[2].columns / size);
        size_t rows = operands[1].rows < SPLIT_ROWS ? operands[1].rows : SPLIT_ROWS;
        size_t spans = ((size_t)operands[5].columns * CELLS + SPAN - 1) / SPAN;
        size_t parts = spans > 1 ? rows * heads * spans * (head_width(size) + LANES) * sizeof(float) : 0;

        return n_threads * work_bytes(size, group) + parts;
}

bool cpu_avx512_attention_supports(const struct qvf_op *op, const struct cpu_operand *operands)
{
        uint32_t dtype = operands[2].dtype, size = (uint32_t)op->i[0];

        if (size == 0 || size > HEAD_MOST || size % 2 != 0 || operands[3].dtype != dtype ||
                        operands[3].columns != operands[2].columns)
                return false;
        return dtype == QVF_F32 || dtype == QVF_F16 || (dtype == QVF_Q8_0 && size % 32 == 0);
}
