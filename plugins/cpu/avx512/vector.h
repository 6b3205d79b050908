/* SPDX-License-Identifier: Apache-2.0 */
/* Small pieces that the kernels of this level share, beside those of plugins/cpu/lanes. */
#ifndef QVF_PLUGINS_CPU_AVX512_VECTOR_H
#define QVF_PLUGINS_CPU_AVX512_VECTOR_H

#include "plugins/cpu/lanes/lanes.h"

/* The lanes that hold the next `left` numbers. */
static ALWAYS_INLINE __mmask16 lanes_left(uint64_t left)
{
        return (__mmask16)(left >= LANES ? 0xffff : (1u << left) - 1);
}

/* Numbers i to i + 15 of `left` more; `whole` is a constant that says that all of them are there. */
static ALWAYS_INLINE __m512 load_floats(const float *from, uint64_t left, const bool whole)
{
        return whole ? _mm512_loadu_ps(from) : _mm512_maskz_loadu_ps(lanes_left(left), from);
}

/* m[i] dword j becomes m[j] dword i. */
static ALWAYS_INLINE void transpose_dwords(__m512i m[LANES])
{
        floats numbers[LANES];

        UNROLL
        for (unsigned i = 0; i < LANES; i++)
                numbers[i] = (floats)m[i];
        transpose(numbers);
        UNROLL
        for (unsigned i = 0; i < LANES; i++)
                m[i] = (__m512i)numbers[i];
}

static ALWAYS_INLINE __m512i join_bytes(const __m128i part[4])
{
        __m512i all = _mm512_castsi128_si512(part[0]);

        all = _mm512_inserti32x4(all, part[1], 1);
        all = _mm512_inserti32x4(all, part[2], 2);
        return _mm512_inserti32x4(all, part[3], 3);
}

static ALWAYS_INLINE int32_t sum_bytes(const int8_t *bytes, size_t count) /* count: a multiple of 64 */
{
        __m512i sum = _mm512_setzero_si512();

        for (size_t i = 0; i < count; i += LINE)
                sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), _mm512_loadu_si512(bytes + i));
        return _mm512_reduce_add_epi32(sum);
}

#endif
