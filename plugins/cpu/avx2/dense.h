/* SPDX-License-Identifier: Apache-2.0 */
/* Reading weights that are not ternary: 8 numbers of a row at a time. */
#ifndef QVF_PLUGINS_CPU_AVX2_DENSE_H
#define QVF_PLUGINS_CPU_AVX2_DENSE_H

#include "plugins/cpu/avx2/vector.h"
#include "qvf/dtype.h"

static inline bool dense_known(uint32_t dtype)
{
        return dtype == QVF_F32 || dtype == QVF_F16 || dtype == QVF_BF16 || dtype == QVF_Q8_0;
}

static inline size_t dense_row_bytes(uint32_t dtype, size_t columns)
{
        if (dtype == QVF_Q8_0)
                return columns / 32 * 34;
        return columns * (dtype == QVF_F32 ? 4 : 2);
}

/* Numbers c to c + 7 of a row; c is a multiple of 8. */
static ALWAYS_INLINE __m256 load_weights(const uint32_t dtype, const uint8_t *row, uint32_t c)
{
        const uint8_t *at = row + 2 * (size_t)c, *block = row + (size_t)c / 32 * 34;
        uint16_t half;

        switch (dtype) {
        case QVF_F16: return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)at));
        case QVF_BF16:
                return _mm256_castsi256_ps(_mm256_slli_epi32(
                                _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)at)), 16));
        case QVF_Q8_0:
                memcpy(&half, block, sizeof(half));
                return _mm256_mul_ps(_mm256_cvtph_ps(_mm_set1_epi16((short)half)),
                                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(
                                                _mm_loadl_epi64((const __m128i *)(block + 2 + c % 32)))));
        default: return _mm256_loadu_ps((const float *)(const void *)(row + 4 * (size_t)c));
        }
}

/* The first `count` (below 8) of those numbers and zeros; only of formats without blocks. */
static ALWAYS_INLINE __m256 load_last_weights(
                const uint32_t dtype, const uint8_t *row, uint32_t c, uint32_t count)
{
        uint8_t bytes[LANES * sizeof(float)] = { 0 };
        size_t each = dtype == QVF_F32 ? 4 : 2;

        memcpy(bytes, row + each * c, each * count);
        return load_weights(dtype, bytes, 0);
}

#endif
