/* SPDX-License-Identifier: Apache-2.0 */
/* Small pieces that the kernels of this level share. */
#ifndef QVF_PLUGINS_CPU_AVX512_VECTOR_H
#define QVF_PLUGINS_CPU_AVX512_VECTOR_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "plugins/cpu/kernel.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define LINE 64u  /* bytes of a vector and of a cache line */
#define LANES 16u /* floats in a vector */

/* A loop whose bounds are constants once it is inlined; its arrays then live in registers. */
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

static inline size_t round_up(size_t value, size_t multiple)
{
        return (value + multiple - 1) / multiple * multiple;
}

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

static ALWAYS_INLINE void store_floats(float *to, uint64_t left, const bool whole, __m512 numbers)
{
        if (whole)
                _mm512_storeu_ps(to, numbers);
        else
                _mm512_mask_storeu_ps(to, lanes_left(left), numbers);
}

/* m[i] dword j becomes m[j] dword i. */
static ALWAYS_INLINE void transpose_dwords(__m512i m[16])
{
        __m512i t[16];

        UNROLL
        for (int i = 0; i < 16; i += 2) {
                t[i] = _mm512_unpacklo_epi32(m[i], m[i + 1]);
                t[i + 1] = _mm512_unpackhi_epi32(m[i], m[i + 1]);
        }
        UNROLL
        for (int i = 0; i < 16; i += 4) {
                m[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
                m[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
                m[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
                m[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
        }
        /* m[4g + c] holds column c + 4·lane of rows 4g … 4g + 3 */
        UNROLL
        for (int c = 0; c < 4; c++) {
                t[c] = _mm512_shuffle_i32x4(m[c], m[4 + c], 0x88);
                t[4 + c] = _mm512_shuffle_i32x4(m[c], m[4 + c], 0xdd);
                t[8 + c] = _mm512_shuffle_i32x4(m[8 + c], m[12 + c], 0x88);
                t[12 + c] = _mm512_shuffle_i32x4(m[8 + c], m[12 + c], 0xdd);
        }
        UNROLL
        for (int c = 0; c < 4; c++) {
                m[c] = _mm512_shuffle_i32x4(t[c], t[8 + c], 0x88);
                m[8 + c] = _mm512_shuffle_i32x4(t[c], t[8 + c], 0xdd);
                m[4 + c] = _mm512_shuffle_i32x4(t[4 + c], t[12 + c], 0x88);
                m[12 + c] = _mm512_shuffle_i32x4(t[4 + c], t[12 + c], 0xdd);
        }
}

static ALWAYS_INLINE __m512i join_bytes(const __m128i part[4])
{
        __m512i all = _mm512_castsi128_si512(part[0]);

        all = _mm512_inserti32x4(all, part[1], 1);
        all = _mm512_inserti32x4(all, part[2], 2);
        return _mm512_inserti32x4(all, part[3], 3);
}

/* The sums of the lanes of four vectors, each taken in this order: lanes 8 apart, then 4, 2 and 1. */
static ALWAYS_INLINE __m128 sum_four(__m512 a, __m512 b, __m512 c, __m512 d)
{
        __m512 v[4] = { a, b, c, d };
        __m256 half[4], ab, cd, pairs, sums;

        UNROLL
        for (int i = 0; i < 4; i++)
                half[i] = _mm256_add_ps(_mm512_castps512_ps256(v[i]), _mm512_extractf32x8_ps(v[i], 1));
        ab = _mm256_add_ps(_mm256_insertf128_ps(half[0], _mm256_castps256_ps128(half[1]), 1),
                        _mm256_permute2f128_ps(half[0], half[1], 0x31));
        cd = _mm256_add_ps(_mm256_insertf128_ps(half[2], _mm256_castps256_ps128(half[3]), 1),
                        _mm256_permute2f128_ps(half[2], half[3], 0x31));
        pairs = _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
        sums = _mm256_add_ps(_mm256_shuffle_ps(pairs, pairs, 0x88), _mm256_shuffle_ps(pairs, pairs, 0xdd));
        return _mm_unpacklo_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
}

static ALWAYS_INLINE __m128 max_four(__m512 a, __m512 b, __m512 c, __m512 d)
{
        __m512 v[4] = { a, b, c, d };
        __m256 half[4], ab, cd, pairs, most;

        UNROLL
        for (int i = 0; i < 4; i++)
                half[i] = _mm256_max_ps(_mm512_castps512_ps256(v[i]), _mm512_extractf32x8_ps(v[i], 1));
        ab = _mm256_max_ps(_mm256_insertf128_ps(half[0], _mm256_castps256_ps128(half[1]), 1),
                        _mm256_permute2f128_ps(half[0], half[1], 0x31));
        cd = _mm256_max_ps(_mm256_insertf128_ps(half[2], _mm256_castps256_ps128(half[3]), 1),
                        _mm256_permute2f128_ps(half[2], half[3], 0x31));
        pairs = _mm256_max_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
        most = _mm256_max_ps(_mm256_shuffle_ps(pairs, pairs, 0x88), _mm256_shuffle_ps(pairs, pairs, 0xdd));
        return _mm_unpacklo_ps(_mm256_castps256_ps128(most), _mm256_extractf128_ps(most, 1));
}

/* Σ a[i] b[i]: four vectors of sums, then their lanes. */
static inline double sum_products(const float *a, const float *b, uint32_t count)
{
        __m512 sum[4] = { _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                _mm512_setzero_ps() };
        float parts[4];
        uint32_t i = 0;

        for (; i + 4 * LANES <= count; i += 4 * LANES) {
                UNROLL
                for (unsigned j = 0; j < 4; j++)
                        sum[j] = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + j * LANES),
                                        _mm512_loadu_ps(b + i + j * LANES), sum[j]);
        }
        for (; i < count; i += LANES) {
                __mmask16 there = lanes_left(count - i);

                sum[0] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(there, a + i),
                                _mm512_maskz_loadu_ps(there, b + i), sum[0]);
        }
        _mm_storeu_ps(parts, sum_four(sum[0], sum[1], sum[2], sum[3]));
        return ((double)parts[0] + (double)parts[1]) + ((double)parts[2] + (double)parts[3]);
}

static ALWAYS_INLINE int32_t sum_bytes(const int8_t *bytes, size_t count) /* count: a multiple of 64 */
{
        __m512i sum = _mm512_setzero_si512();

        for (size_t i = 0; i < count; i += LINE)
                sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), _mm512_loadu_si512(bytes + i));
        return _mm512_reduce_add_epi32(sum);
}

#endif
