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

/* Sine and cosine of angles in double: a position times a frequency has more digits than a float. */
static ALWAYS_INLINE void vector_sincos(__m512d low, __m512d high, __m512 *ret_sine, __m512 *ret_cosine)
{
        __m512d angles[2] = { low, high };
        __m256 rest[2];
        __m256i quarter[2];
        __m512 r, z, sine, cosine;
        __m512i q;
        __mmask16 odd;

        UNROLL
        for (int i = 0; i < 2; i++) {
                __m512d n = _mm512_roundscale_pd(_mm512_mul_pd(angles[i], _mm512_set1_pd(TWO_OVER_PI)),
                                _MM_FROUND_TO_NEAREST_INT);
                __m512d d = _mm512_fnmadd_pd(n, _mm512_set1_pd(HALF_PI_HIGH), angles[i]);

                rest[i] = _mm512_cvtpd_ps(_mm512_fnmadd_pd(n, _mm512_set1_pd(HALF_PI_LOW), d));
                quarter[i] = _mm512_cvtepi64_epi32(_mm512_cvtpd_epi64(n));
        }
        r = _mm512_insertf32x8(_mm512_castps256_ps512(rest[0]), rest[1], 1);
        q = _mm512_inserti32x8(_mm512_castsi256_si512(quarter[0]), quarter[1], 1);
        z = _mm512_mul_ps(r, r);
        sine = _mm512_fmadd_ps(_mm512_set1_ps(SIN_S2), z, _mm512_set1_ps(SIN_S1));
        sine = _mm512_fmadd_ps(sine, z, _mm512_set1_ps(SIN_S0));
        sine = _mm512_fmadd_ps(_mm512_mul_ps(sine, z), r, r);
        cosine = _mm512_fmadd_ps(_mm512_set1_ps(COS_C2), z, _mm512_set1_ps(COS_C1));
        cosine = _mm512_fmadd_ps(cosine, z, _mm512_set1_ps(COS_C0));
        cosine = _mm512_fmadd_ps(cosine, z, _mm512_set1_ps(-0.5f));
        cosine = _mm512_fmadd_ps(cosine, z, _mm512_set1_ps(1));
        odd = _mm512_test_epi32_mask(q, _mm512_set1_epi32(1));
        *ret_sine = _mm512_mask_blend_ps(odd, sine, cosine);
        *ret_cosine = _mm512_mask_blend_ps(odd, cosine, sine);
        /* the sine is negative in quarters 2 and 3, the cosine in 1 and 2 */
        *ret_sine = _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(*ret_sine),
                        _mm512_slli_epi32(_mm512_and_si512(q, _mm512_set1_epi32(2)), 30)));
        q = _mm512_add_epi32(q, _mm512_set1_epi32(1));
        *ret_cosine = _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(*ret_cosine),
                        _mm512_slli_epi32(_mm512_and_si512(q, _mm512_set1_epi32(2)), 30)));
}

#endif
