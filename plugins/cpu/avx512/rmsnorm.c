/* SPDX-License-Identifier: Apache-2.0 */
/* y = x / sqrt(mean(x²) + f0) * w */
#include <math.h>

#include "plugins/cpu/avx512/kernels.h"
#include "plugins/cpu/avx512/vector.h"

void cpu_avx512_rmsnorm(const struct cpu_call *call)
{
        const float *x = call->operand[1].data, *w = call->operand[2].data;
        uint32_t begin, end, columns = call->operand[1].columns;
        float *y = call->operand[0].data;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                const float *from = x + (size_t)r * columns;
                float *to = y + (size_t)r * columns;
                double mean = sum_products(from, from, columns) / columns;
                __m512 factor = _mm512_set1_ps((float)(1 / sqrt(mean + (double)call->op->f[0])));

                for (uint32_t c = 0; c < columns; c += LANES) {
                        __mmask16 there = lanes_left(columns - c);
                        __m512 scaled = _mm512_mul_ps(_mm512_maskz_loadu_ps(there, from + c), factor);

                        _mm512_mask_storeu_ps(to + c, there,
                                        _mm512_mul_ps(scaled, _mm512_maskz_loadu_ps(there, w + c)));
                }
        }
}
