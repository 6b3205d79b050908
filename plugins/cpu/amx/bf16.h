/* SPDX-License-Identifier: Apache-2.0 */
/* Floats as bf16, which has 8 bits of a float's 24. Where that is too little a number is the sum of two: what is left out of
 * x = high + low is 2⁻¹⁶ of it at most, and of an f16 nothing. Products of such numbers are three, low · low left out. */
#ifndef QVF_PLUGINS_CPU_AMX_BF16_H
#define QVF_PLUGINS_CPU_AMX_BF16_H

#include "plugins/cpu/avx512/vector.h"

#define PAIR_COLUMNS 32u /* bf16 in a vector, and in a row of a tile */

/* 32 numbers in their order. */
static ALWAYS_INLINE __m512i to_bf16(__m512 first, __m512 second)
{
        return (__m512i)_mm512_cvtne2ps_pbh(second, first);
}

static ALWAYS_INLINE __m512 from_bf16(__m256i halves)
{
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

static ALWAYS_INLINE void split_bf16(__m512 first, __m512 second, __m512i *ret_high, __m512i *ret_low)
{
        __m512i high = to_bf16(first, second);

        first = _mm512_sub_ps(first, from_bf16(_mm512_castsi512_si256(high)));
        second = _mm512_sub_ps(second, from_bf16(_mm512_extracti64x4_epi64(high, 1)));
        *ret_high = high;
        *ret_low = to_bf16(first, second);
}

/* Numbers 2i and 2i + 1 of the lanes: dword i holds number i of `even` in its low half and of `odd` in its high one. */
static ALWAYS_INLINE __m512i pair_bf16(__m512 even, __m512 odd)
{
        __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(even));
        __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(odd));

        return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

/* Rows a and b, 32 bf16 each, as pairs (a[c], b[c]): of the first 16 columns and of the others. */
static ALWAYS_INLINE void interleave_bf16(__m512i a, __m512i b, __m512i *ret_first, __m512i *ret_second)
{
        const __m512i order = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8,
                        39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);

        *ret_first = _mm512_permutex2var_epi16(a, order, b);
        *ret_second = _mm512_permutex2var_epi16(a, _mm512_add_epi16(order, _mm512_set1_epi16(16)), b);
}

#endif
