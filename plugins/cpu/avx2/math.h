/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of 8 floats, right to about one unit in the last place. */
#ifndef QVF_PLUGINS_CPU_AVX2_MATH_H
#define QVF_PLUGINS_CPU_AVX2_MATH_H

#include "plugins/cpu/coefficients.h"
#include "plugins/cpu/avx2/vector.h"

/* 2ⁿ for whole n from -126 to 127 */
static ALWAYS_INLINE __m256 power_of_two(__m256i n)
{
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

static ALWAYS_INLINE __m256 vector_exp(__m256 x)
{
        __m256 n, r, p;
        __m256i whole, half;

        x = _mm256_min_ps(_mm256_set1_ps(EXP_MOST),
                        _mm256_max_ps(_mm256_set1_ps(EXP_LEAST), x)); /* NaN stays */
        n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(EXP_LOG2E)),
                        _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        r = _mm256_fnmadd_ps(n, _mm256_set1_ps(EXP_LN2_HIGH), x);
        r = _mm256_fnmadd_ps(n, _mm256_set1_ps(EXP_LN2_LOW), r);
        p = _mm256_fmadd_ps(_mm256_set1_ps(EXP_E4), r, _mm256_set1_ps(EXP_E3));
        p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_E2));
        p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_E1));
        p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_E0));
        p = _mm256_add_ps(_mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r), _mm256_set1_ps(1));
        /* n may be -150 or 128: in two steps, each with an exponent that there is */
        whole = _mm256_cvtps_epi32(n);
        half = _mm256_srai_epi32(whole, 1);
        return _mm256_mul_ps(
                        _mm256_mul_ps(p, power_of_two(half)), power_of_two(_mm256_sub_epi32(whole, half)));
}

#endif
