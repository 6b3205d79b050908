/* SPDX-License-Identifier: Apache-2.0 */
/* With t = 1 / sqrt(mean(x²) + f0): dx (+)= t w dy - x t³ / C Σ(x w dy) */
#include <math.h>

#include "plugins/cpu/lanes/kernels.h"
#include "plugins/cpu/avx512/vector.h"

/* Σ x w dy */
static double sum_along(const float *x, const float *w, const float *dy, uint32_t count)
{
        __m512 sum[2] = { _mm512_setzero_ps(), _mm512_setzero_ps() };
        float parts[4];
        uint32_t i = 0;

        for (; i < count; i += LANES) {
                __m512 scaled = _mm512_mul_ps(
                                load_floats(w + i, count - i, false), load_floats(dy + i, count - i, false));

                sum[i / LANES % 2] = _mm512_fmadd_ps(
                                load_floats(x + i, count - i, false), scaled, sum[i / LANES % 2]);
        }
        _mm_storeu_ps(parts, sum_four(sum[0], sum[1], _mm512_setzero_ps(), _mm512_setzero_ps()));
        return (double)parts[0] + (double)parts[1];
}

void cpu_avx512_rmsnorm_backward(const struct cpu_call *call)
{
        const float *x = call->operand[1].data, *w = call->operand[2].data, *dy = call->operand[3].data;
        uint32_t begin, end, columns = call->operand[1].columns;
        float *dx = call->operand[0].data;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                size_t row = (size_t)r * columns;
                double t = 1 /
                           sqrt(sum_products(x + row, x + row, columns) / columns + (double)call->op->f[0]);
                double along = sum_along(x + row, w, dy + row, columns) * t * t * t / columns;
                __m512 factor = _mm512_set1_ps((float)t), back = _mm512_set1_ps((float)-along);

                for (uint32_t c = 0; c < columns; c += LANES) {
                        uint32_t left = columns - c;
                        __m512 d = _mm512_mul_ps(load_floats(x + row + c, left, false), back);
                        __m512 scaled = _mm512_mul_ps(load_floats(w + c, left, false), factor);

                        d = _mm512_fmadd_ps(scaled, load_floats(dy + row + c, left, false), d);
                        if (call->op->flags & QVF_ACCUMULATE)
                                d = _mm512_add_ps(d, load_floats(dx + row + c, left, false));
                        store_floats(dx + row + c, left, false, d);
                }
        }
}
