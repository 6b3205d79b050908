/* SPDX-License-Identifier: Apache-2.0 */
/* y = x / sqrt(mean(x²) + f0) * w, as if in double and rounded once: what is quantised next should fall on the same
 * side of a tie as in plain. */
#include <math.h>

#include "plugins/cpu/lanes/lanes.h"

#define HALF (LANES / 2)

static double square_sum(const float *x, uint32_t count)
{
        doubles sum[4] = { { 0 }, { 0 }, { 0 }, { 0 } }; /* squares of floats are exact in double */
        double rest = 0;
        uint32_t i = 0;

        for (; i + 4 * HALF <= count; i += 4 * HALF) {
                UNROLL
                for (unsigned j = 0; j < 4; j++) {
                        doubles v = load_doubles(x + i + j * HALF);

                        sum[j] = fma_doubles(v, v, sum[j]);
                }
        }
        for (; i < count; i++)
                rest += (double)x[i] * (double)x[i];
        sum[0] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
        for (unsigned j = 0; j < HALF; j++)
                rest += sum[0][j];
        return rest;
}

/* y = x · factor · w of LANES numbers. */
static ALWAYS_INLINE void scale_numbers(const float *x, const float *w, float *y, double factor)
{
#if FUSED
        /* The product with the factor's first half and what it lost, both times w. */
        floats high = all((float)factor), low = all((float)(factor - (double)(float)factor));
        floats from = load(x), weight = load(w), product = from * high;
        floats lost = fma_of(from, low, fma_of(from, high, -product));

        store(y, fma_of(product, weight, lost * weight));
#else
        store(y, floats_of(load_doubles(x) * factor * load_doubles(w),
                                 load_doubles(x + HALF) * factor * load_doubles(w + HALF)));
#endif
}

void LEVEL(rmsnorm)(const struct cpu_call *call)
{
        const float *x = call->operand[1].data, *w = call->operand[2].data;
        uint32_t begin, end, columns = call->operand[1].columns;
        float *y = call->operand[0].data;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                const float *from = x + (size_t)r * columns;
                float *to = y + (size_t)r * columns;
                double factor = 1 / sqrt(square_sum(from, columns) / columns + (double)call->op->f[0]);
                uint32_t c = 0;

                for (; c + LANES <= columns; c += LANES)
                        scale_numbers(from + c, w + c, to + c, factor);
                for (; c < columns; c++)
                        to[c] = (float)((double)from[c] * factor * (double)w[c]);
        }
}
