/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of bytes of an x86-64 level, beside the vectors of floats of lanes.h: kernels of products of bytes are
 * written on them once and compiled for each level (plugin.mk: cpu_BYTES). */
#ifndef QVF_PLUGINS_CPU_BYTES_BYTES_H
#define QVF_PLUGINS_CPU_BYTES_BYTES_H

#include "plugins/cpu/lanes/lanes.h"
#include "qvf/dtype.h"

#define BYTES (4 * LANES)

typedef uint8_t bytes __attribute__((vector_size(BYTES)));
typedef uint16_t words __attribute__((vector_size(BYTES)));

static ALWAYS_INLINE bytes load_codes(const void *from)
{
        bytes v;

        memcpy(&v, from, BYTES);
        return v;
}

static ALWAYS_INLINE void store_codes(void *to, bytes v)
{
        memcpy(to, &v, BYTES);
}

static ALWAYS_INLINE bytes all_codes(uint8_t code)
{
        return code - (bytes){ 0 };
}

/* The same four bytes in every lane of 32 bits. */
static ALWAYS_INLINE bytes all_fours(const int8_t *four)
{
        int32_t value;

        memcpy(&value, four, sizeof(value));
        return (bytes)(value - (ints){ 0 });
}

static ALWAYS_INLINE int32_t sum_ints(ints v)
{
        int32_t sum = 0;

        for (unsigned i = 0; i < LANES; i++)
                sum += v[i];
        return sum;
}

#ifdef __AVX2__
/* What a block of TQ1_0 has left for the last vector: 20 bytes, or 4. */
static ALWAYS_INLINE bytes load_last_codes(const void *from)
{
        int32_t four;

        memcpy(&four, (const char *)from + 16, sizeof(four));
        return (bytes)_mm256_inserti128_si256(
                        _mm256_castsi128_si256(_mm_loadu_si128(from)), _mm_cvtsi32_si128(four), 1);
}

/* Bytes, or pairs of them, of a and b in turns, within halves of the vectors: of the halves' lower or upper 8 bytes. */
static ALWAYS_INLINE bytes interleave_bytes(bytes a, bytes b, const bool upper)
{
        return (bytes)(upper ? _mm256_unpackhi_epi8((__m256i)a, (__m256i)b)
                             : _mm256_unpacklo_epi8((__m256i)a, (__m256i)b));
}

static ALWAYS_INLINE bytes interleave_words(bytes a, bytes b, const bool upper)
{
        return (bytes)(upper ? _mm256_unpackhi_epi16((__m256i)a, (__m256i)b)
                             : _mm256_unpacklo_epi16((__m256i)a, (__m256i)b));
}

/* The sums of the products of neighbours, unsigned by signed. */
static ALWAYS_INLINE words multiply_pairs(bytes codes, bytes q)
{
        return (words)_mm256_maddubs_epi16((__m256i)codes, (__m256i)q);
}

/* The sums of neighbours times `one`, which is 1 everywhere. */
static ALWAYS_INLINE ints sum_pairs(words v, words one)
{
        return (ints)_mm256_madd_epi16((__m256i)v, (__m256i)one);
}

/* What is left above `amount`, or 0. */
static ALWAYS_INLINE bytes less(bytes a, uint8_t amount)
{
        return (bytes)_mm256_subs_epu8((__m256i)a, _mm256_set1_epi8((char)amount));
}

/* 1 where a byte is not 0 */
static ALWAYS_INLINE bytes not_zero(bytes a)
{
        return (bytes)_mm256_min_epu8((__m256i)a, _mm256_set1_epi8(1));
}

/* Of each four lanes the bytes of a, then those of b, then both again. */
static ALWAYS_INLINE ints narrow(ints a, ints b)
{
        __m256i both = _mm256_packs_epi32((__m256i)a, (__m256i)b);

        return (ints)_mm256_packs_epi16(both, both);
}
#else
static ALWAYS_INLINE bytes load_last_codes(const void *from)
{
        int32_t four;

        memcpy(&four, from, sizeof(four));
        return (bytes)_mm_cvtsi32_si128(four);
}

static ALWAYS_INLINE bytes interleave_bytes(bytes a, bytes b, const bool upper)
{
        return (bytes)(upper ? _mm_unpackhi_epi8((__m128i)a, (__m128i)b)
                             : _mm_unpacklo_epi8((__m128i)a, (__m128i)b));
}

static ALWAYS_INLINE bytes interleave_words(bytes a, bytes b, const bool upper)
{
        return (bytes)(upper ? _mm_unpackhi_epi16((__m128i)a, (__m128i)b)
                             : _mm_unpacklo_epi16((__m128i)a, (__m128i)b));
}

static ALWAYS_INLINE words multiply_pairs(bytes codes, bytes q)
{
        return (words)_mm_maddubs_epi16((__m128i)codes, (__m128i)q);
}

static ALWAYS_INLINE ints sum_pairs(words v, words one)
{
        return (ints)_mm_madd_epi16((__m128i)v, (__m128i)one);
}

static ALWAYS_INLINE bytes less(bytes a, uint8_t amount)
{
        return (bytes)_mm_subs_epu8((__m128i)a, _mm_set1_epi8((char)amount));
}

static ALWAYS_INLINE bytes not_zero(bytes a)
{
        return (bytes)_mm_min_epu8((__m128i)a, _mm_set1_epi8(1));
}

static ALWAYS_INLINE ints narrow(ints a, ints b)
{
        __m128i both = _mm_packs_epi32((__m128i)a, (__m128i)b);

        return (ints)_mm_packs_epi16(both, both);
}
#endif

#endif
