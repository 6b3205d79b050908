/* SPDX-License-Identifier: Apache-2.0 */
/* Reading weights that are not ternary: 16 numbers of a row at a time. */
#ifndef QVF_PLUGINS_CPU_AVX512_DENSE_H
#define QVF_PLUGINS_CPU_AVX512_DENSE_H

#include <stdbool.h>

#include "plugins/cpu/avx512/vector.h"
#include "qvf/dtype.h"

static inline bool dense_known(uint32_t dtype)
{
        switch (dtype) {
        case QVF_F32:
        case QVF_F16:
        case QVF_BF16:
        case QVF_Q8_0:
        case QVF_Q4_0:
        case QVF_Q4_K:
        case QVF_Q6_K: return true;
        default: return false;
        }
}

static inline size_t dense_row_bytes(uint32_t dtype, size_t columns)
{
        switch (dtype) {
        case QVF_F16:
        case QVF_BF16: return columns * 2;
        case QVF_Q8_0: return columns / 32 * 34;
        case QVF_Q4_0: return columns / 32 * 18;
        case QVF_Q4_K: return columns / 256 * 144;
        case QVF_Q6_K: return columns / 256 * 210;
        default: return columns * 4;
        }
}

static ALWAYS_INLINE __m512 half_scale(const uint8_t *bytes)
{
        int16_t half;

        memcpy(&half, bytes, sizeof(half));
        return _mm512_cvtph_ps(_mm256_set1_epi16(half));
}

static ALWAYS_INLINE __m128i load_16_bytes(const uint8_t *bytes)
{
        return _mm_loadu_si128((const __m128i *)bytes);
}

static ALWAYS_INLINE __m512 signed_bytes(__m128i bytes)
{
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
}

/* Elements 0 to 15 of a block stand in the low nibbles of its 16 bytes, the others in the high ones. */
static ALWAYS_INLINE __m512 load_q4_0(const uint8_t *row, uint32_t c)
{
        const uint8_t *block = row + (size_t)c / 32 * 18;
        __m128i bytes = load_16_bytes(block + 2);
        __m128i nibbles = _mm_and_si128(c % 32 ? _mm_srli_epi16(bytes, 4) : bytes, _mm_set1_epi8(15));

        return _mm512_mul_ps(half_scale(block), signed_bytes(_mm_sub_epi8(nibbles, _mm_set1_epi8(8))));
}

/* Groups of 32 with 6-bit scales and minima; the last four of them have their top bits in the first ones' bytes. */
static ALWAYS_INLINE __m512 load_q4_k(const uint8_t *row, uint32_t c)
{
        const uint8_t *block = row + (size_t)c / 256 * 144, *six = block + 4;
        uint32_t group = c % 256 / 32;
        __m128i bytes = load_16_bytes(block + 16 + group / 2 * 32 + c % 32);
        __m128i nibbles = _mm_and_si128(group % 2 ? _mm_srli_epi16(bytes, 4) : bytes, _mm_set1_epi8(15));
        int scale, minimum;
        __m512 product;

        if (group < 4) {
                scale = six[group] & 63;
                minimum = six[group + 4] & 63;
        } else {
                scale = (six[group + 4] & 15) | six[group - 4] >> 6 << 4;
                minimum = six[group + 4] >> 4 | six[group] >> 6 << 4;
        }
        product = _mm512_mul_ps(_mm512_mul_ps(half_scale(block), _mm512_set1_ps((float)scale)),
                        signed_bytes(nibbles));
        return _mm512_sub_ps(product, _mm512_mul_ps(half_scale(block + 2), _mm512_set1_ps((float)minimum)));
}

/* 128 bytes with the low 4 bits, 64 with the high 2, a scale for each 16, f16 scale; codes are plus 32. */
static ALWAYS_INLINE __m512 load_q6_k(const uint8_t *row, uint32_t c)
{
        const uint8_t *block = row + (size_t)c / 256 * 210;
        uint32_t half = c % 256 / 128, k = c % 128;
        __m128i low = load_16_bytes(block + half * 64 + k % 64),
                high = load_16_bytes(block + 128 + half * 32 + k % 32);
        __m128i code;

        low = _mm_and_si128(k / 64 ? _mm_srli_epi16(low, 4) : low, _mm_set1_epi8(15));
        high = _mm_and_si128(_mm_srl_epi16(high, _mm_cvtsi32_si128((int)(k / 32 * 2))), _mm_set1_epi8(3));
        code = _mm_sub_epi8(_mm_or_si128(low, _mm_slli_epi16(high, 4)), _mm_set1_epi8(32));
        return _mm512_mul_ps(_mm512_mul_ps(half_scale(block + 208),
                                             _mm512_set1_ps((float)(int8_t)block[192 + c % 256 / 16])),
                        signed_bytes(code));
}

/* Numbers c to c + 15 of a row; c is a multiple of 16. */
static ALWAYS_INLINE __m512 load_weights(const uint32_t dtype, const uint8_t *row, uint32_t c)
{
        switch (dtype) {
        case QVF_F16: return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(row + 2 * (size_t)c)));
        case QVF_BF16:
                return _mm512_castsi512_ps(
                                _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(
                                                                  (const __m256i *)(row + 2 * (size_t)c))),
                                                16));
        case QVF_Q8_0: {
                const uint8_t *block = row + (size_t)c / 32 * 34;

                return _mm512_mul_ps(half_scale(block), signed_bytes(load_16_bytes(block + 2 + c % 32)));
        }
        case QVF_Q4_0: return load_q4_0(row, c);
        case QVF_Q4_K: return load_q4_k(row, c);
        case QVF_Q6_K: return load_q6_k(row, c);
        default: return _mm512_loadu_ps(row + 4 * (size_t)c);
        }
}

/* The first `count` (below 16) of those numbers and zeros; only of formats without blocks. */
static ALWAYS_INLINE __m512 load_last_weights(
                const uint32_t dtype, const uint8_t *row, uint32_t c, uint32_t count)
{
        __mmask16 there = (__mmask16)((1u << count) - 1);

        if (dtype == QVF_F32)
                return _mm512_maskz_loadu_ps(there, row + 4 * (size_t)c);
        if (dtype == QVF_F16)
                return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(there, row + 2 * (size_t)c));
        return _mm512_castsi512_ps(_mm512_slli_epi32(
                        _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(there, row + 2 * (size_t)c)), 16));
}

#endif
