/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of x86-64 with AVX2, FMA and F16C. */
#ifndef QVF_PLUGINS_CPU_LANES_AVX2_H
#define QVF_PLUGINS_CPU_LANES_AVX2_H

#include <immintrin.h>

#define LANES 8u
#define REGISTERS 16u
#define FUSED 1
#define SPLITS_F16 1
#define SHORT_PAIRS 1

typedef float floats __attribute__((vector_size(32)));
typedef int32_t ints __attribute__((vector_size(32)));
typedef double doubles __attribute__((vector_size(32))); /* LANES / 2 of them */

static ALWAYS_INLINE floats all(float x)
{
        return (floats)_mm256_set1_ps(x);
}

/* a · b + c */
static ALWAYS_INLINE floats fma_of(floats a, floats b, floats c)
{
        return (floats)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}

/* The larger, or smaller, of two numbers; the second one where one of them is none. */
static ALWAYS_INLINE floats larger(floats a, floats b)
{
        return (floats)_mm256_max_ps((__m256)a, (__m256)b);
}

static ALWAYS_INLINE floats smaller(floats a, floats b)
{
        return (floats)_mm256_min_ps((__m256)a, (__m256)b);
}

/* To the nearest whole number, to even in the middle. */
static ALWAYS_INLINE floats nearest(floats x)
{
        return (floats)_mm256_round_ps((__m256)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static ALWAYS_INLINE ints integers(floats x) /* the same */
{
        return (ints)_mm256_cvtps_epi32((__m256)x);
}

static ALWAYS_INLINE floats from_integers(ints x)
{
        return (floats)_mm256_cvtepi32_ps((__m256i)x);
}

static ALWAYS_INLINE floats square_root(floats x)
{
        return (floats)_mm256_sqrt_ps((__m256)x);
}

/* LANES / 2 floats as doubles, and back. */
static ALWAYS_INLINE doubles load_doubles(const float *from)
{
        return (doubles)_mm256_cvtps_pd(_mm_loadu_ps(from));
}

static ALWAYS_INLINE doubles fma_doubles(doubles a, doubles b, doubles c)
{
        return (doubles)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}

static ALWAYS_INLINE floats floats_of(doubles low, doubles high)
{
        return (floats)_mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps((__m256d)low)),
                        _mm256_cvtpd_ps((__m256d)high), 1);
}

/* LANES numbers of f16, bf16, or signed bytes as floats. */
static ALWAYS_INLINE floats load_f16(const uint8_t *from)
{
        return (floats)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from));
}

static ALWAYS_INLINE floats load_finite_f16(const uint8_t *from)
{
        return load_f16(from);
}

static ALWAYS_INLINE floats load_bf16(const uint8_t *from)
{
        return (floats)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)from)), 16);
}

static ALWAYS_INLINE floats load_bytes(const uint8_t *from)
{
        return from_integers((ints)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)from)));
}

/* One f16 in all lanes; LANES unsigned bytes. */
static ALWAYS_INLINE floats all_f16(const uint8_t *from)
{
        int16_t half;

        memcpy(&half, from, sizeof(half));
        return (floats)_mm256_cvtph_ps(_mm_set1_epi16(half));
}

static ALWAYS_INLINE ints load_unsigned(const uint8_t *from)
{
        return (ints)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)from));
}

/* Rounded to nearest even. */
static ALWAYS_INLINE void store_f16(uint8_t *to, floats x)
{
        _mm_storeu_si128((__m128i *)to, _mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT));
}

/* To signed bytes, those beyond them to the largest and the smallest. */
static ALWAYS_INLINE void store_bytes(int8_t *to, ints x)
{
        __m128i words = _mm_packs_epi32(
                        _mm256_castsi256_si128((__m256i)x), _mm256_extracti128_si256((__m256i)x, 1));

        _mm_storel_epi64((__m128i *)to, _mm_packs_epi16(words, words));
}

/* To 16-bit numbers, in their order. */
static ALWAYS_INLINE void store_shorts(int16_t *to, ints x)
{
        _mm_storeu_si128((__m128i *)to, _mm_packs_epi32(_mm256_castsi256_si128((__m256i)x),
                                                        _mm256_extracti128_si256((__m256i)x, 1)));
}

/* 2 LANES columns of two rows of 16-bit numbers: of each column a pair. */
static ALWAYS_INLINE void pair_rows(const int16_t *a, const int16_t *b, ints to[2])
{
        __m256i first = _mm256_permute4x64_epi64(_mm256_loadu_si256((const __m256i *)a), 0xd8);
        __m256i second = _mm256_permute4x64_epi64(_mm256_loadu_si256((const __m256i *)b), 0xd8);

        to[0] = (ints)_mm256_unpacklo_epi16(first, second);
        to[1] = (ints)_mm256_unpackhi_epi16(first, second);
}

/* sum + a₀ b₀ + a₁ b₁ of 16-bit numbers in each lane */
static ALWAYS_INLINE ints add_pairs(ints sum, ints a, ints b)
{
        return (ints)_mm256_add_epi32((__m256i)sum, _mm256_madd_epi16((__m256i)a, (__m256i)b));
}

/* Lanes LANES / 2 apart are added first, then those half as far apart, … */
static ALWAYS_INLINE float fold(floats x)
{
        __m128 sum = _mm_add_ps(_mm256_castps256_ps128((__m256)x), _mm256_extractf128_ps((__m256)x, 1));

        sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
        return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
}

static ALWAYS_INLINE float largest(floats x)
{
        __m128 most = _mm_max_ps(_mm256_castps256_ps128((__m256)x), _mm256_extractf128_ps((__m256)x, 1));

        most = _mm_max_ps(most, _mm_movehl_ps(most, most));
        return _mm_cvtss_f32(_mm_max_ss(most, _mm_movehdup_ps(most)));
}

/* Whether any lane of what a comparison gave is set. */
static ALWAYS_INLINE bool any(ints mask)
{
        return _mm256_movemask_ps((__m256)mask) != 0;
}

/* m[i] lane j becomes m[j] lane i. */
static ALWAYS_INLINE void transpose(floats m[LANES])
{
        __m256 t[8];

        UNROLL
        for (int i = 0; i < 8; i += 2) {
                t[i] = _mm256_unpacklo_ps((__m256)m[i], (__m256)m[i + 1]);
                t[i + 1] = _mm256_unpackhi_ps((__m256)m[i], (__m256)m[i + 1]);
        }
        UNROLL
        for (int i = 0; i < 8; i += 4) {
                m[i] = (floats)_mm256_shuffle_ps(t[i], t[i + 2], 0x44);
                m[i + 1] = (floats)_mm256_shuffle_ps(t[i], t[i + 2], 0xee);
                m[i + 2] = (floats)_mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
                m[i + 3] = (floats)_mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
        }
        UNROLL
        for (int i = 0; i < 4; i++) {
                t[i] = _mm256_permute2f128_ps((__m256)m[i], (__m256)m[4 + i], 0x20);
                t[4 + i] = _mm256_permute2f128_ps((__m256)m[i], (__m256)m[4 + i], 0x31);
        }
        UNROLL
        for (int i = 0; i < 8; i++)
                m[i] = (floats)t[i];
}

/* LANES rows, `step` bytes apart, of LANES words of 32 bits: m[i] lane j becomes word i of row j. Two rows' parts come
 * together as they are loaded, which leaves two thirds of transpose()'s shuffles. */
static ALWAYS_INLINE void load_turned(const uint8_t *from, size_t step, floats m[LANES])
{
        UNROLL
        for (unsigned part = 0; part < 2; part++, from += 16) {
                __m256 v[4], low[2], high[2];

                UNROLL
                for (unsigned i = 0; i < 4; i++) {
                        const uint8_t *row = from + i * step;

                        v[i] = _mm256_castps128_ps256(_mm_loadu_ps((const float *)(const void *)row));
                        v[i] = _mm256_insertf128_ps(v[i],
                                        _mm_loadu_ps((const float *)(const void *)(row + 4 * step)), 1);
                }
                UNROLL
                for (unsigned i = 0; i < 2; i++) {
                        low[i] = _mm256_unpacklo_ps(v[2 * i], v[2 * i + 1]);
                        high[i] = _mm256_unpackhi_ps(v[2 * i], v[2 * i + 1]);
                }
                m[4 * part] = (floats)_mm256_shuffle_ps(low[0], low[1], 0x44);
                m[4 * part + 1] = (floats)_mm256_shuffle_ps(low[0], low[1], 0xee);
                m[4 * part + 2] = (floats)_mm256_shuffle_ps(high[0], high[1], 0x44);
                m[4 * part + 3] = (floats)_mm256_shuffle_ps(high[0], high[1], 0xee);
        }
}

/* The two f16 of each word: the first ones, and the second ones. */
static ALWAYS_INLINE floats split_f16(floats words, floats *ret_odd)
{
        const __m256i apart = _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15, 0, 1, 4,
                        5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
        __m256i both = _mm256_permute4x64_epi64(_mm256_shuffle_epi8((__m256i)words, apart), 0xd8);

        *ret_odd = (floats)_mm256_cvtph_ps(_mm256_extracti128_si256(both, 1));
        return (floats)_mm256_cvtph_ps(_mm256_castsi256_si128(both));
}

/* The even numbers of the 2 LANES in a and b, and the odd ones; and back. */
static ALWAYS_INLINE void part_pairs(floats *a, floats *b)
{
        __m256 low = _mm256_permute2f128_ps((__m256)*a, (__m256)*b, 0x20);
        __m256 high = _mm256_permute2f128_ps((__m256)*a, (__m256)*b, 0x31);

        *a = (floats)_mm256_shuffle_ps(low, high, 0x88);
        *b = (floats)_mm256_shuffle_ps(low, high, 0xdd);
}

static ALWAYS_INLINE void join_pairs(floats *a, floats *b)
{
        __m256 low = _mm256_unpacklo_ps((__m256)*a, (__m256)*b);
        __m256 high = _mm256_unpackhi_ps((__m256)*a, (__m256)*b);

        *a = (floats)_mm256_permute2f128_ps(low, high, 0x20);
        *b = (floats)_mm256_permute2f128_ps(low, high, 0x31);
}

static ALWAYS_INLINE void fetch(const void *line) /* soon it is read */
{
        _mm_prefetch((const char *)line, _MM_HINT_T0);
}

#endif
