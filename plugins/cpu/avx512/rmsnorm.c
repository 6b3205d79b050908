/* SPDX-License-Identifier: Apache-2.0 */
/* y = x / sqrt(mean(x²) + f0) * w, in double and rounded once: what is quantised next should fall on the same side of
 * a tie as in plain. */
#include <math.h>

#include "plugins/cpu/avx512/kernels.h"
#include "plugins/cpu/avx512/vector.h"

static double square_sum(const float *x, uint32_t count)
{
        __m512d sum[4] = { _mm512_setzero_pd(), _mm512_setzero_pd(), _mm512_setzero_pd(),
                _mm512_setzero_pd() };

        for (uint32_t i = 0; i < count; i += 2 * LANES) {
                UNROLL
                for (unsigned j = 0; j < 4; j++) {
                        uint32_t at = i + j * LANES / 2;
                        __mmask8 there = (__mmask8)lanes_left(at < count ? count - at : 0);
                        __m512d v = _mm512_cvtps_pd(_mm256_maskz_loadu_ps(there, x + at));

                        sum[j] = _mm512_fmadd_pd(v, v, sum[j]);
                }
        }
        return _mm512_reduce_add_pd(
                        _mm512_add_pd(_mm512_add_pd(sum[0], sum[1]), _mm512_add_pd(sum[2], sum[3])));
}

void cpu_avx512_rmsnorm(const struct cpu_call *call)
{
        const float *x = call->operand[1].data, *w = call->operand[2].data;
        uint32_t begin, end, columns = call->operand[1].columns;
        float *y = call->operand[0].data;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                const float *from = x + (size_t)r * columns;
                float *to = y + (size_t)r * columns;
                double mean = square_sum(from, columns) / columns;
                __m512d factor = _mm512_set1_pd(1 / sqrt(mean + (double)call->op->f[0]));

                for (uint32_t c = 0; c < columns; c += LANES / 2) {
                        __mmask8 there = (__mmask8)lanes_left(columns - c);
                        __m512d v = _mm512_cvtps_pd(_mm256_maskz_loadu_ps(there, from + c));
                        __m512d weight = _mm512_cvtps_pd(_mm256_maskz_loadu_ps(there, w + c));

                        v = _mm512_mul_pd(_mm512_mul_pd(v, factor), weight);
                        _mm256_mask_storeu_ps(to + c, there, _mm512_cvtpd_ps(v));
                }
        }
}
