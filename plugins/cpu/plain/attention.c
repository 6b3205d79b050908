/* SPDX-License-Identifier: Apache-2.0 */
/* y = Σ_p softmax_p(f0 q·k_p) v_p over the positions that the row looks at, in the order and with the roundings of
 * docs/arithmetic.md: a block of QVF_KV_BLOCK cells at a time; whenever a larger score comes, what was summed before
 * shrinks by the exponential of the difference. Spans of SPAN positions begin anew and are merged. */
#include <math.h>
#include <string.h>

#include "plugins/cpu/plain/plain.h"

#define CELLS QVF_KV_BLOCK
#define SPAN 512

struct query { /* of one row and head */
        const float *q;
        uint32_t size, column; /* of its key head in a cell */
        int32_t sequence;
        int64_t first, last; /* positions that it looks at */
        float *numbers;      /* [size] a key or a value */
        float *block;        /* [size] Σ weight · value of a block */
};

struct sums {
        float top, total;
        float *sum; /* [size] */
};

static void clear(struct sums *sums, uint32_t size)
{
        sums->top = -INFINITY;
        sums->total = 0;
        memset(sums->sum, 0, size * sizeof(*sums->sum));
}

/* Even and odd columns apart. */
static float score(const struct query *query, float factor)
{
        float even = 0, odd = 0;

        for (uint32_t c = 0; c < query->size; c += 2) {
                even = fmaf(query->q[c], query->numbers[c], even);
                if (c + 1 < query->size)
                        odd = fmaf(query->q[c + 1], query->numbers[c + 1], odd);
        }
        return factor * (even + odd);
}

/* Weights i and i + 16 first, then 8, 4, 2 and 1 apart. */
static float fold(const float weights[CELLS])
{
        float parts[CELLS];

        memcpy(parts, weights, sizeof(parts));
        for (uint32_t apart = CELLS / 2; apart > 0; apart /= 2)
                for (uint32_t i = 0; i < apart; i++)
                        parts[i] += parts[i + apart];
        return parts[0];
}

/* The block of positions from `position` on, whose first cell is `cell`. */
static void attend_block(const struct cpu_call *call, const struct query *query, int64_t position,
                uint32_t cell, struct sums *sums)
{
        const struct cpu_operand *keys = &call->operand[2], *values = &call->operand[3];
        float weights[CELLS], top = sums->top, shrink;

        for (uint32_t i = 0; i < CELLS; i++) {
                weights[i] = -INFINITY;
                if (position + i < query->first || position + i > query->last)
                        continue;
                plain_dequantise(keys, cell + i, query->column, query->size, query->numbers);
                weights[i] = score(query, call->op->f[0]);
                top = fmaxf(top, weights[i]);
        }
        if (top == -INFINITY)
                return;
        memset(query->block, 0, query->size * sizeof(*query->block));
        for (uint32_t i = 0; i < CELLS; i++) {
                weights[i] = plain_exp(weights[i] - top);
                if (weights[i] == 0)
                        continue;
                plain_dequantise(values, cell + i, query->column, query->size, query->numbers);
                for (uint32_t c = 0; c < query->size; c++)
                        query->block[c] = fmaf(weights[i], query->numbers[c], query->block[c]);
        }
        shrink = plain_exp(sums->top - top);
        sums->total = sums->total * shrink + fold(weights);
        sums->top = top;
        for (uint32_t c = 0; c < query->size; c++)
                sums->sum[c] = fmaf(sums->sum[c], shrink, query->block[c]);
}

static void merge(struct sums *into, const struct sums *span, uint32_t size)
{
        float top = fmaxf(into->top, span->top), keep, take;

        if (span->total == 0)
                return;
        keep = plain_exp(into->top - top);
        take = plain_exp(span->top - top);
        into->total = into->total * keep + span->total * take;
        into->top = top;
        for (uint32_t c = 0; c < size; c++)
                into->sum[c] = fmaf(into->sum[c], keep, span->sum[c] * take);
}

static void attend(const struct cpu_call *call, const struct query *query, struct sums *span,
                struct sums *all, float *y)
{
        clear(all, query->size);
        clear(span, query->size);
        for (int64_t position = query->first / CELLS * CELLS; position <= query->last; position += CELLS) {
                uint32_t cell = plain_cell(
                                &call->operand[5], &call->operand[2], query->sequence, (int32_t)position);

                if (position % SPAN == 0) {
                        merge(all, span, query->size);
                        clear(span, query->size);
                }
                if (cell != UINT32_MAX)
                        attend_block(call, query, position, cell, span);
        }
        merge(all, span, query->size);
        for (uint32_t c = 0; c < query->size; c++)
                y[c] = all->total > 0 ? all->sum[c] / all->total : 0;
}

static size_t thread_bytes(const struct qvf_op *op)
{
        return 4 * (size_t)op->i[0] * sizeof(float);
}

void plain_attention(const struct cpu_call *call)
{
        const struct cpu_operand *q = &call->operand[1], *keys = &call->operand[2],
                                 *place = &call->operand[4];
        uint32_t size = (uint32_t)call->op->i[0], heads = q->columns / size, begin, end;
        uint32_t group = heads / (keys->columns / size);
        int64_t most = (int64_t)call->operand[5].columns * CELLS - 1, window = call->op->i[1];
        float *scratch = plain_thread_scratch(call, thread_bytes(call->op));

        cpu_share(call, call->rows * heads, 1, &begin, &end);
        for (uint32_t task = begin; task < end; task++) {
                uint32_t row = task / heads, head = task % heads;
                int64_t last = plain_integers(place, row)[0];
                struct query query = {
                        .q = plain_row(q, row) + (size_t)head * size,
                        .size = size,
                        .column = head / group * size,
                        .sequence = plain_integers(place, row)[1],
                        .first = window > 0 && last >= window ? last - window + 1 : 0,
                        .last = last < most ? last : most,
                        .numbers = scratch,
                        .block = scratch + size,
                };
                struct sums span = { .sum = scratch + 2 * size }, all = { .sum = scratch + 3 * size };

                attend(call, &query, &span, &all, plain_row(&call->operand[0], row) + (size_t)head * size);
                cpu_pause_point(call);
        }
}

size_t plain_attention_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        (void)operands;
        return n_threads * plain_thread_bytes(thread_bytes(op));
}
