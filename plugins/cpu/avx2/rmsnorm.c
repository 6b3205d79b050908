/* SPDX-License-Identifier: Apache-2.0 */
/* y = x / sqrt(mean(x²) + f0) * w, as if in double and rounded once: what is quantised next should fall on the same
 * side of a tie as in plain. */
#include <math.h>

#include "plugins/cpu/avx2/kernels.h"
#include "plugins/cpu/avx2/vector.h"

static double square_sum(const float *x, uint32_t count)
{
        __m256d sum[4] = { _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(),
                _mm256_setzero_pd() };
        double parts[4], rest = 0;
        uint32_t i = 0;

        for (; i + 16 <= count; i += 16) {
                UNROLL
                for (unsigned j = 0; j < 4; j++) {
                        __m256d v = _mm256_cvtps_pd(_mm_loadu_ps(x + i + 4 * j));

                        sum[j] = _mm256_fmadd_pd(v, v, sum[j]);
                }
        }
        for (; i < count; i++)
                rest += (double)x[i] * (double)x[i];
        _mm256_storeu_pd(parts, _mm256_add_pd(_mm256_add_pd(sum[0], sum[1]), _mm256_add_pd(sum[2], sum[3])));
        return ((parts[0] + parts[1]) + (parts[2] + parts[3])) + rest;
}

/* x · (high + low) · w: the product with `high` and what it lost, both times w. */
static ALWAYS_INLINE void scale_8(const float *x, const float *w, float *y, __m256 high, __m256 low,
                uint32_t left, const bool whole)
{
        __m256 from = load_floats(x, left, whole), weight = load_floats(w, left, whole);
        __m256 product = _mm256_mul_ps(from, high);
        __m256 lost = _mm256_fmadd_ps(from, low, _mm256_fmsub_ps(from, high, product));

        store_floats(y, left, whole, _mm256_fmadd_ps(product, weight, _mm256_mul_ps(lost, weight)));
}

void cpu_avx2_rmsnorm(const struct cpu_call *call)
{
        const float *x = call->operand[1].data, *w = call->operand[2].data;
        uint32_t begin, end, columns = call->operand[1].columns;
        float *y = call->operand[0].data;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                const float *from = x + (size_t)r * columns;
                float *to = y + (size_t)r * columns;
                double factor = 1 / sqrt(square_sum(from, columns) / columns + (double)call->op->f[0]);
                __m256 high = _mm256_set1_ps((float)factor);
                __m256 low = _mm256_set1_ps((float)(factor - (double)(float)factor));
                uint32_t c = 0;

                for (; c + LANES <= columns; c += LANES)
                        scale_8(from + c, w + c, to + c, high, low, LANES, true);
                if (c < columns)
                        scale_8(from + c, w + c, to + c, high, low, columns - c, false);
        }
}
