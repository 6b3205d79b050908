/* SPDX-License-Identifier: Apache-2.0 */
/* y[r] = Σ_j exp(f0 q[r]·k[j] - lse[r]) v[j], j from first[r] to r; lse[r] = log Σ_j exp(f0 q[r]·k[j]) */
#include <math.h>
#include <string.h>

#include "plugins/cpu/plain/plain.h"

static void attend(const struct cpu_call *call, uint32_t r, uint32_t head, double *sums)
{
        const struct cpu_operand *y = &call->operand[0], *lse = &call->operand[1], *q = &call->operand[2];
        const struct cpu_operand *k = &call->operand[3], *v = &call->operand[4];
        uint32_t size = (uint32_t)call->op->i[0], group = (q->columns / size) / (k->columns / size);
        int32_t first = *plain_integers(&call->operand[5], r);
        const float *query = plain_row(q, r) + (size_t)head * size;
        size_t column = (size_t)(head / group) * size;
        double largest = -INFINITY, total = 0;

        memset(sums, 0, size * sizeof(*sums));
        for (uint32_t j = first > 0 ? (uint32_t)first : 0; j <= r; j++) {
                double score = call->op->f[0] * plain_dot(query, plain_row(k, j) + column, size);
                double shrink = score > largest ? exp(largest - score) : 1;
                double weight;

                largest = score > largest ? score : largest;
                weight = exp(score - largest);
                total = total * shrink + weight;
                for (uint32_t c = 0; c < size; c++)
                        sums[c] = sums[c] * shrink + weight * plain_row(v, j)[column + c];
        }
        plain_row(lse, r)[head] = (float)(largest + log(total));
        for (uint32_t c = 0; c < size; c++)
                plain_row(y, r)[(size_t)head * size + c] = total > 0 ? (float)(sums[c] / total) : 0;
}

void plain_attention_train(const struct cpu_call *call)
{
        uint32_t size = (uint32_t)call->op->i[0], heads = call->operand[2].columns / size, begin, end;
        double *sums = plain_thread_scratch(call, size * sizeof(*sums));

        cpu_share(call, call->rows * heads, 1, &begin, &end);
        for (uint32_t task = begin; task < end; task++) {
                attend(call, task / heads, task % heads, sums);
                cpu_pause_point(call);
        }
}

size_t plain_attention_train_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        (void)operands;
        return n_threads * plain_thread_bytes((size_t)op->i[0] * sizeof(double));
}
