/* SPDX-License-Identifier: Apache-2.0 */
/* y = Σ_p softmax_p(f0 q·k_p) v_p over the positions that the row looks at, in one pass: whenever a larger
 * score comes, what was summed before shrinks by the exponential of the difference. */
#include <math.h>
#include <string.h>

#include "plugins/cpu/plain/plain.h"

static void attend(const struct cpu_call *call, uint32_t r, uint32_t head, double *sums, float *numbers)
{
        const struct cpu_operand *y = &call->operand[0], *q = &call->operand[1], *keys = &call->operand[2];
        const struct cpu_operand *values = &call->operand[3], *place = &call->operand[4],
                                 *table = &call->operand[5];
        uint32_t size = (uint32_t)call->op->i[0];
        uint32_t group = (q->columns / size) / (keys->columns / size), column = head / group * size;
        int32_t last = plain_integers(place, r)[0], sequence = plain_integers(place, r)[1];
        int32_t window = call->op->i[1], first = window > 0 && last >= window ? last - window + 1 : 0;
        const float *query = plain_row(q, r) + (size_t)head * size;
        double largest = -INFINITY, total = 0;

        memset(sums, 0, size * sizeof(*sums));
        for (int32_t p = first; p <= last && (uint32_t)p / QVF_KV_BLOCK < table->columns; p++) {
                uint32_t cell = plain_cell(table, keys, sequence, p);
                double score, weight;

                if (cell == UINT32_MAX)
                        continue;
                plain_dequantise(keys, cell, column, size, numbers);
                score = call->op->f[0] * plain_dot(query, numbers, size);
                if (score > largest) {
                        double shrink = exp(largest - score);

                        total *= shrink;
                        for (uint32_t c = 0; c < size; c++)
                                sums[c] *= shrink;
                        largest = score;
                }
                weight = exp(score - largest);
                total += weight;
                plain_dequantise(values, cell, column, size, numbers);
                for (uint32_t c = 0; c < size; c++)
                        sums[c] += weight * numbers[c];
        }
        for (uint32_t c = 0; c < size; c++)
                plain_row(y, r)[(size_t)head * size + c] = total > 0 ? (float)(sums[c] / total) : 0;
}

static size_t thread_bytes(const struct qvf_op *op)
{
        return (size_t)op->i[0] * (sizeof(double) + sizeof(float));
}

void plain_attention(const struct cpu_call *call)
{
        uint32_t size = (uint32_t)call->op->i[0], heads = call->operand[1].columns / size, begin, end;
        double *sums = plain_thread_scratch(call, thread_bytes(call->op));

        cpu_share(call, call->rows * heads, 1, &begin, &end);
        for (uint32_t task = begin; task < end; task++) {
                attend(call, task / heads, task % heads, sums, (float *)(sums + size));
                cpu_pause_point(call);
        }
}

size_t plain_attention_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        (void)operands;
        return n_threads * plain_thread_bytes(thread_bytes(op));
}
