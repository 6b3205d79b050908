/* SPDX-License-Identifier: Apache-2.0 */
/* y (+)= Σ x², chunk by chunk, so that the sum does not depend on the number of threads. */
#include "plugins/cpu/lanes/lanes.h"

#define CHUNK 8192u

static uint32_t chunk_count(const struct cpu_operand *x)
{
        return (uint32_t)(((uint64_t)x->rows * x->columns + CHUNK - 1) / CHUNK);
}

/* In float: with four sums of LANES numbers each has a few hundred terms at most. */
static double sum_squares(const float *x, uint32_t count)
{
        floats sum[4] = { zeros(), zeros(), zeros(), zeros() };
        uint32_t i = 0;

        for (; i + 4 * LANES <= count; i += 4 * LANES) {
                UNROLL
                for (unsigned j = 0; j < 4; j++) {
                        floats some = load(x + i + j * LANES);

                        sum[j] = fma_of(some, some, sum[j]);
                }
        }
        for (; i < count; i += LANES) {
                floats some = load_left(x + i, count - i, false);

                sum[0] = fma_of(some, some, sum[0]);
        }
        return ((double)fold(sum[0]) + (double)fold(sum[1])) + ((double)fold(sum[2]) + (double)fold(sum[3]));
}

void LEVEL(square_sum)(const struct cpu_call *call)
{
        const struct cpu_operand *x = &call->operand[1];
        uint64_t count = (uint64_t)x->rows * x->columns;
        uint32_t begin, end, chunks = chunk_count(x);
        double *sums = call->scratch, sum = 0;
        float *y = call->operand[0].data;

        cpu_share(call, chunks, 1, &begin, &end);
        for (uint32_t i = begin; i < end; i++) {
                const float *from = (const float *)x->data + (size_t)i * CHUNK;
                uint64_t left = count - (uint64_t)i * CHUNK;

                sums[i] = sum_squares(from, left < CHUNK ? (uint32_t)left : CHUNK);
        }
        cpu_barrier(call);
        if (call->thread > 0)
                return;
        for (uint32_t i = 0; i < chunks; i++)
                sum += sums[i];
        *y = (float)(call->op->flags & QVF_ACCUMULATE ? (double)*y + sum : sum);
}

size_t LEVEL(square_sum_scratch)(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        (void)op;
        (void)n_threads;
        return chunk_count(&operands[1]) * sizeof(double);
}
