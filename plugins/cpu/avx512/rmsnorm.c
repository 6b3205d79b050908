/* SPDX-License-Identifier: Apache-2.0 */
/* y = x / sqrt(mean(x²) + f0) * w, as if in double and rounded once: what is quantised next should fall on the same
 * side of a tie as in plain. */
#include <math.h>

#include "plugins/cpu/lanes/kernels.h"
#include "plugins/cpu/avx512/vector.h"

static double square_sum(const float *x, uint32_t count)
{
        __m512d sum[4] = { _mm512_setzero_pd(), _mm512_setzero_pd(), _mm512_setzero_pd(),
                _mm512_setzero_pd() };
        uint32_t i = 0;

        for (; i + 2 * LANES <= count; i += 2 * LANES) {
                UNROLL
                for (unsigned j = 0; j < 4; j++) {
                        __m512d v = _mm512_cvtps_pd(_mm256_loadu_ps(x + i + j * LANES / 2));

                        sum[j] = _mm512_fmadd_pd(v, v, sum[j]);
                }
        }
        for (; i < count; i += LANES / 2) {
                __m512d v = _mm512_cvtps_pd(_mm256_maskz_loadu_ps((__mmask8)lanes_left(count - i), x + i));

                sum[0] = _mm512_fmadd_pd(v, v, sum[0]);
        }
        return _mm512_reduce_add_pd(
                        _mm512_add_pd(_mm512_add_pd(sum[0], sum[1]), _mm512_add_pd(sum[2], sum[3])));
}

/* x · (high + low) · w: the product with `high` and what it lost, both times w. */
static ALWAYS_INLINE void scale_16(const float *x, const float *w, float *y, __m512 high, __m512 low,
                uint32_t left, const bool whole)
{
        __m512 from = load_floats(x, left, whole), weight = load_floats(w, left, whole);
        __m512 product = _mm512_mul_ps(from, high);
        __m512 lost = _mm512_fmadd_ps(from, low, _mm512_fmsub_ps(from, high, product));

        store_floats(y, left, whole, _mm512_fmadd_ps(product, weight, _mm512_mul_ps(lost, weight)));
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
                double factor = 1 / sqrt(square_sum(from, columns) / columns + (double)call->op->f[0]);
                __m512 high = _mm512_set1_ps((float)factor),
                       low = _mm512_set1_ps((float)(factor - (float)factor));
                uint32_t c = 0;

                for (; c + LANES <= columns; c += LANES)
                        scale_16(from + c, w + c, to + c, high, low, LANES, true);
                if (c < columns)
                        scale_16(from + c, w + c, to + c, high, low, columns - c, false);
        }
}
