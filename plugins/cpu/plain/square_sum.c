/* SPDX-License-Identifier: Apache-2.0 */
/* y (+)= Σ x², chunk by chunk, so that the sum does not depend on the number of threads. */
#include "plugins/cpu/plain/plain.h"

#define CHUNK 65536u

static uint32_t count_chunks(const struct cpu_operand *x)
{
        return (uint32_t)((plain_count(x) + CHUNK - 1) / CHUNK);
}

void plain_square_sum(const struct cpu_call *call)
{
        const struct cpu_operand *x = &call->operand[1];
        double *sums = call->scratch, sum = 0;
        uint32_t begin, end, chunks = count_chunks(x);
        float *y = call->operand[0].data;

        cpu_share(call, chunks, 1, &begin, &end);
        for (uint32_t i = begin; i < end; i++) {
                const float *from = (const float *)x->data + (size_t)i * CHUNK;
                uint64_t left = plain_count(x) - (uint64_t)i * CHUNK;

                sums[i] = plain_dot(from, from, left < CHUNK ? (uint32_t)left : CHUNK);
                cpu_pause_point(call);
        }
        cpu_barrier(call);
        if (call->thread > 0)
                return;
        for (uint32_t i = 0; i < chunks; i++)
                sum += sums[i];
        *y = (float)(call->op->flags & QVF_ACCUMULATE ? *y + sum : sum);
}

size_t plain_square_sum_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        (void)op;
        (void)n_threads;
        return count_chunks(&operands[1]) * sizeof(double);
}
