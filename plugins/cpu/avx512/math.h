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

#endif
