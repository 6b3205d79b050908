/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of 16 floats, right to about one unit in the last place. */
#ifndef QVF_PLUGINS_CPU_AVX512_MATH_H
#define QVF_PLUGINS_CPU_AVX512_MATH_H

#include "plugins/cpu/coefficients.h"
#include "plugins/cpu/avx512/vector.h"

static ALWAYS_INLINE __m512 vector_exp(__m512 x)
{
        const __m512 one = _mm512_set1_ps(1);
        __m512 n, r, p;

        x = _mm512_min_ps(_mm512_set1_ps(EXP_MOST),
                        _mm512_max_ps(_mm512_set1_ps(EXP_LEAST), x)); /* NaN stays */
        n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(EXP_LOG2E)), _MM_FROUND_TO_NEAREST_INT);
        r = _mm512_fnmadd_ps(n, _mm512_set1_ps(EXP_LN2_HIGH), x);
        r = _mm512_fnmadd_ps(n, _mm512_set1_ps(EXP_LN2_LOW), r);
        p = _mm512_fmadd_ps(_mm512_set1_ps(EXP_E4), r, _mm512_set1_ps(EXP_E3));
        p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_E2));
        p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_E1));
        p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_E0));
        p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r);
        return _mm512_scalef_ps(_mm512_add_ps(p, one), n);
}

static ALWAYS_INLINE __m512d add_term(__m512d sum, __m512d z, double term)
{
        return _mm512_fmadd_pd(sum, z, _mm512_set1_pd(term));
}

/* Sine and cosine of 8 angles in double, rounded to float. */
static ALWAYS_INLINE void sincos_8(__m512d angles, __m256 *ret_sine, __m256 *ret_cosine)
{
        __m512d n = _mm512_roundscale_pd(
                        _mm512_mul_pd(angles, _mm512_set1_pd(TWO_OVER_PI)), _MM_FROUND_TO_NEAREST_INT);
        __m512d r = _mm512_fnmadd_pd(n, _mm512_set1_pd(HALF_PI_1), angles), z, sine, cosine;
        __m512i quarter = _mm512_cvtpd_epi64(n), two = _mm512_set1_epi64(2);
        __mmask8 odd = _mm512_test_epi64_mask(quarter, _mm512_set1_epi64(1));

        r = _mm512_fnmadd_pd(n, _mm512_set1_pd(HALF_PI_2), r);
        r = _mm512_fnmadd_pd(n, _mm512_set1_pd(HALF_PI_3), r);
        z = _mm512_mul_pd(r, r);
        sine = add_term(_mm512_set1_pd(SIN_S5), z, SIN_S4);
        sine = add_term(add_term(sine, z, SIN_S3), z, SIN_S2);
        sine = add_term(add_term(sine, z, SIN_S1), z, SIN_S0);
        sine = _mm512_fmadd_pd(_mm512_mul_pd(sine, z), r, r);
        cosine = add_term(_mm512_set1_pd(COS_C5), z, COS_C4);
        cosine = add_term(add_term(cosine, z, COS_C3), z, COS_C2);
        cosine = add_term(add_term(cosine, z, COS_C1), z, COS_C0);
        cosine = add_term(add_term(cosine, z, -0.5), z, 1);
        /* the sine is negative in quarters 2 and 3, the cosine in 1 and 2 */
        r = _mm512_castsi512_pd(_mm512_slli_epi64(_mm512_and_si512(quarter, two), 62));
        *ret_sine = _mm512_cvtpd_ps(_mm512_xor_pd(_mm512_mask_blend_pd(odd, sine, cosine), r));
        quarter = _mm512_add_epi64(quarter, _mm512_set1_epi64(1));
        r = _mm512_castsi512_pd(_mm512_slli_epi64(_mm512_and_si512(quarter, two), 62));
        *ret_cosine = _mm512_cvtpd_ps(_mm512_xor_pd(_mm512_mask_blend_pd(odd, cosine, sine), r));
}

/* Of 16: a position times a frequency has more digits than a float, and so has the way to the right float. */
static ALWAYS_INLINE void vector_sincos(__m512d low, __m512d high, __m512 *ret_sine, __m512 *ret_cosine)
{
        __m256 sine[2], cosine[2];

        sincos_8(low, &sine[0], &cosine[0]);
        sincos_8(high, &sine[1], &cosine[1]);
        *ret_sine = _mm512_insertf32x8(_mm512_castps256_ps512(sine[0]), sine[1], 1);
        *ret_cosine = _mm512_insertf32x8(_mm512_castps256_ps512(cosine[0]), cosine[1], 1);
}

#endif
