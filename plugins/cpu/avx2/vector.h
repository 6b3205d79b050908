/* SPDX-License-Identifier: Apache-2.0 */
/* Small pieces that the kernels of this level share. */
#ifndef QVF_PLUGINS_CPU_AVX2_VECTOR_H
#define QVF_PLUGINS_CPU_AVX2_VECTOR_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "plugins/cpu/kernel.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define LINE 64u  /* bytes of a cache line */
#define BYTES 32u /* bytes of a vector */
#define LANES 8u  /* floats in a vector */

/* A loop whose bounds are constants once it is inlined; its arrays then live in registers. */
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

static inline size_t round_up(size_t value, size_t multiple)
{
        return (value + multiple - 1) / multiple * multiple;
}

static ALWAYS_INLINE __m256i load_bytes(const void *from)
{
        return _mm256_loadu_si256((const __m256i *)from);
}

/* The lanes that hold the next `left` numbers. */
static ALWAYS_INLINE __m256i lanes_left(uint64_t left)
{
        __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);

        return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(left < LANES ? left : LANES)), lanes);
}

/* Numbers of `left` more; `whole` is a constant that says that 8 are there. */
static ALWAYS_INLINE __m256 load_floats(const float *from, uint64_t left, const bool whole)
{
        return whole ? _mm256_loadu_ps(from) : _mm256_maskload_ps(from, lanes_left(left));
}

static ALWAYS_INLINE void store_floats(float *to, uint64_t left, const bool whole, __m256 numbers)
{
        if (whole)
                _mm256_storeu_ps(to, numbers);
        else
                _mm256_maskstore_ps(to, lanes_left(left), numbers);
}

/* This thread's numbers of an element-wise operation: those of its rows. */
static inline void share_numbers(const struct cpu_call *call, uint64_t *ret_begin, uint64_t *ret_end)
{
        uint32_t begin, end, columns = call->operand[0].columns;

        cpu_share(call, call->rows, 1, &begin, &end);
        *ret_begin = (uint64_t)begin * columns;
        *ret_end = (uint64_t)end * columns;
}

/* m[i] dword j becomes m[j] dword i. */
static ALWAYS_INLINE void transpose_dwords(__m256i m[8])
{
        __m256i t[8];

        UNROLL
        for (int i = 0; i < 8; i += 2) {
                t[i] = _mm256_unpacklo_epi32(m[i], m[i + 1]);
                t[i + 1] = _mm256_unpackhi_epi32(m[i], m[i + 1]);
        }
        UNROLL
        for (int i = 0; i < 8; i += 4) {
                m[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
                m[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
                m[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
                m[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
        }
        UNROLL
        for (int i = 0; i < 4; i++) {
                t[i] = _mm256_permute2x128_si256(m[i], m[4 + i], 0x20);
                t[4 + i] = _mm256_permute2x128_si256(m[i], m[4 + i], 0x31);
        }
        UNROLL
        for (int i = 0; i < 8; i++)
                m[i] = t[i];
}

static ALWAYS_INLINE int32_t sum_lanes(__m256i v)
{
        __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

        sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
        return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1)));
}

/* Lanes 4 apart first, then 2 and 1. */
static ALWAYS_INLINE float sum_floats(__m256 v)
{
        __m128 sum = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

        sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
        return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
}

/* The sums of pairs of 16-bit lanes. */
static ALWAYS_INLINE __m256i sum_pairs(__m256i words)
{
        return _mm256_madd_epi16(words, _mm256_set1_epi16(1));
}

static inline int32_t sum_bytes(const int8_t *bytes, size_t count) /* count: a multiple of 32 */
{
        __m256i sum = _mm256_setzero_si256();

        for (size_t i = 0; i < count; i += BYTES)
                sum = _mm256_add_epi32(sum,
                                sum_pairs(_mm256_maddubs_epi16(_mm256_set1_epi8(1), load_bytes(bytes + i))));
        return sum_lanes(sum);
}

#endif
