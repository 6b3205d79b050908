/* SPDX-License-Identifier: Apache-2.0 */
/* Reading ternary weights. A code is a weight plus 1: 0, 1 or 2. */
#ifndef QVF_PLUGINS_CPU_AVX2_TERNARY_H
#define QVF_PLUGINS_CPU_AVX2_TERNARY_H

#include "plugins/cpu/avx2/vector.h"
#include "qvf/dtype.h"
#include "qvf/ops.h"

#define TQ2_BLOCK 66u /* bytes of QVF_TERNARY_BLOCK weights, and where their scale stands */
#define TQ2_SCALE 64u
#define TQ1_BLOCK 54u
#define TQ1_SCALE 52u
#define TQ1_DIGITS 5u

static inline size_t ternary_row_bytes(uint32_t dtype, uint32_t columns)
{
        return (size_t)columns / QVF_TERNARY_BLOCK * (dtype == QVF_TQ1_0 ? TQ1_BLOCK : TQ2_BLOCK);
}

/* A block whose scale is 0 has no weights but 0, whatever its codes say. */
static ALWAYS_INLINE bool scale_is_zero(const uint8_t *scale)
{
        uint16_t half;

        memcpy(&half, scale, sizeof(half));
        return (uint16_t)(half << 1) == 0;
}

/* A block's bytes in two vectors: digit n of vector v has the code of some column for each byte. */
static ALWAYS_INLINE void load_block(const uint32_t dtype, const uint8_t *block, __m256i bytes[2])
{
        int32_t last;

        if (dtype == QVF_TQ2_0) {
                bytes[0] = load_bytes(block);
                bytes[1] = load_bytes(block + 32);
                if (__builtin_expect(scale_is_zero(block + TQ2_SCALE), 0))
                        bytes[0] = bytes[1] = _mm256_set1_epi8(0x55);
                return;
        }
        memcpy(&last, block + 48, sizeof(last));
        bytes[0] = load_bytes(block);
        bytes[1] = _mm256_inserti128_si256(
                        _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(block + 32))),
                        _mm_cvtsi32_si128(last), 1);
        if (__builtin_expect(scale_is_zero(block + TQ1_SCALE), 0))
                bytes[0] = bytes[1] = _mm256_set1_epi8((char)128); /* what 1 1 1 1 1 is stored as */
}

/* The next digit's codes; `bytes` goes on to the digit after it. */
static ALWAYS_INLINE __m256i next_digit(const uint32_t dtype, __m256i *bytes)
{
        __m256i codes, ones;

        if (dtype == QVF_TQ2_0) {
                codes = _mm256_and_si256(*bytes, _mm256_set1_epi8(3));
                *bytes = _mm256_srli_epi16(*bytes, 2);
                return codes;
        }
        /* 3t / 256 is 1 from 86 on and 2 from 171 on; a comparison that holds gives -1 */
        ones = _mm256_cmpeq_epi8(_mm256_max_epu8(*bytes, _mm256_set1_epi8(86)), *bytes);
        codes = _mm256_cmpeq_epi8(_mm256_max_epu8(*bytes, _mm256_set1_epi8((char)171)), *bytes);
        *bytes = _mm256_add_epi8(*bytes, _mm256_add_epi8(*bytes, *bytes));
        return _mm256_abs_epi8(_mm256_add_epi8(ones, codes));
}

static ALWAYS_INLINE unsigned digits_of(const uint32_t dtype)
{
        return dtype == QVF_TQ2_0 ? 4 : TQ1_DIGITS;
}

/* A row's bytes of q in the order in which the digits of a block meet them: for each digit two vectors; zeros where
 * there is no column. */
static inline void order_columns(const uint32_t dtype, const int8_t *q, uint32_t blocks, int8_t *to)
{
        for (uint32_t b = 0; b < blocks; b++, q += QVF_TERNARY_BLOCK) {
                for (unsigned n = 0; n < digits_of(dtype); n++, to += 2 * BYTES) {
                        memcpy(to, q + 32 * n, 32);
                        if (dtype == QVF_TQ2_0) {
                                memcpy(to + BYTES, q + 128 + 32 * n, 32);
                                continue;
                        }
                        memcpy(to + BYTES, q + 160 + 16 * n, 16);
                        memset(to + BYTES + 16, 0, 16);
                        if (n < TQ1_DIGITS - 1)
                                memcpy(to + BYTES + 16, q + 240 + 4 * n, 4);
                }
        }
}

/* Bytes of a row in that order. */
static inline size_t ordered_bytes(uint32_t dtype, uint32_t blocks)
{
        return (size_t)blocks * digits_of(dtype) * 2 * BYTES;
}

#endif
