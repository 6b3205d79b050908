/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of x86-64 with AVX-512 F, BW, DQ, VL and VNNI. */
#ifndef QVF_PLUGINS_CPU_LANES_AVX512_H
#define QVF_PLUGINS_CPU_LANES_AVX512_H

#include <immintrin.h>

#define LANES 16u
#define REGISTERS 32u
#define FUSED 1
#define SHORT_PAIRS 1
#define TIMES_POWER 1
#define LOADS_SOME 1
#define FOLDS_FOUR 1
#define SPLITS_F16 1

typedef float floats __attribute__((vector_size(64)));
typedef int32_t ints __attribute__((vector_size(64)));
typedef double doubles __attribute__((vector_size(64))); /* LANES / 2 of them */

static ALWAYS_INLINE floats all(float x)
{
        return (floats)_mm512_set1_ps(x);
}

/* x · 2ⁿ for a whole n */
static ALWAYS_INLINE floats times_power(floats x, floats n)
{
        return (floats)_mm512_scalef_ps((__m512)x, (__m512)n);
}

/* The first `count` numbers, at most LANES, and zeros; and back. */
static ALWAYS_INLINE floats load_some(const float *from, uint64_t count)
{
        return (floats)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), from);
}

static ALWAYS_INLINE void store_some(float *to, uint64_t count, floats numbers)
{
        _mm512_mask_storeu_ps(to, (__mmask16)((1u << count) - 1), (__m512)numbers);
}

/* a · b + c */
static ALWAYS_INLINE floats fma_of(floats a, floats b, floats c)
{
        return (floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}

/* The larger, or smaller, of two numbers; the second one where one of them is none. */
static ALWAYS_INLINE floats larger(floats a, floats b)
{
        return (floats)_mm512_max_ps((__m512)a, (__m512)b);
}

static ALWAYS_INLINE floats smaller(floats a, floats b)
{
        return (floats)_mm512_min_ps((__m512)a, (__m512)b);
}

/* To the nearest whole number, to even in the middle. */
static ALWAYS_INLINE floats nearest(floats x)
{
        return (floats)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static ALWAYS_INLINE ints integers(floats x) /* the same */
{
        return (ints)_mm512_cvtps_epi32((__m512)x);
}

static ALWAYS_INLINE floats from_integers(ints x)
{
        return (floats)_mm512_cvtepi32_ps((__m512i)x);
}

static ALWAYS_INLINE floats square_root(floats x)
{
        return (floats)_mm512_sqrt_ps((__m512)x);
}

/* LANES / 2 floats as doubles, and back. */
static ALWAYS_INLINE doubles load_doubles(const float *from)
{
        return (doubles)_mm512_cvtps_pd(_mm256_loadu_ps(from));
}

static ALWAYS_INLINE doubles fma_doubles(doubles a, doubles b, doubles c)
{
        return (doubles)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}

static ALWAYS_INLINE floats floats_of(doubles low, doubles high)
{
        return (floats)_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps((__m512d)low)),
                        _mm512_cvtpd_ps((__m512d)high), 1);
}

/* LANES numbers of f16, bf16, or signed bytes as floats. */
static ALWAYS_INLINE floats load_f16(const uint8_t *from)
{
        return (floats)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from));
}

static ALWAYS_INLINE floats load_finite_f16(const uint8_t *from)
{
        return load_f16(from);
}

static ALWAYS_INLINE floats load_bf16(const uint8_t *from)
{
        return (floats)_mm512_slli_epi32(
                        _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)from)), 16);
}

static ALWAYS_INLINE floats load_some_f16(const uint8_t *from, uint64_t count)
{
        return (floats)_mm512_cvtph_ps(_mm256_maskz_loadu_epi16((__mmask16)((1u << count) - 1), from));
}

static ALWAYS_INLINE floats load_some_bf16(const uint8_t *from, uint64_t count)
{
        return (floats)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(
                                                         (__mmask16)((1u << count) - 1), from)),
                        16);
}

static ALWAYS_INLINE floats load_bytes(const uint8_t *from)
{
        return from_integers((ints)_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)from)));
}

/* One f16 in all lanes; LANES unsigned bytes. */
static ALWAYS_INLINE floats all_f16(const uint8_t *from)
{
        int16_t half;

        memcpy(&half, from, sizeof(half));
        return (floats)_mm512_cvtph_ps(_mm256_set1_epi16(half));
}

static ALWAYS_INLINE ints load_unsigned(const uint8_t *from)
{
        return (ints)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)from));
}

/* Rounded to nearest even. */
static ALWAYS_INLINE void store_f16(uint8_t *to, floats x)
{
        _mm256_storeu_si256((__m256i *)to, _mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT));
}

/* To signed bytes, those beyond them to the largest and the smallest. */
static ALWAYS_INLINE void store_bytes(int8_t *to, ints x)
{
        _mm_storeu_si128((__m128i *)to, _mm512_cvtsepi32_epi8((__m512i)x));
}

/* To 16-bit numbers, in their order. */
static ALWAYS_INLINE void store_shorts(int16_t *to, ints x)
{
        _mm256_storeu_si256((__m256i *)to, _mm512_cvtsepi32_epi16((__m512i)x));
}

/* 2 LANES columns of two rows of 16-bit numbers: of each column a pair. */
static ALWAYS_INLINE void pair_rows(const int16_t *a, const int16_t *b, ints to[2])
{
        const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
        __m512i first = _mm512_permutexvar_epi64(order, _mm512_loadu_si512(a));
        __m512i second = _mm512_permutexvar_epi64(order, _mm512_loadu_si512(b));

        to[0] = (ints)_mm512_unpacklo_epi16(first, second);
        to[1] = (ints)_mm512_unpackhi_epi16(first, second);
}

/* sum + a₀ b₀ + a₁ b₁ of 16-bit numbers in each lane */
static ALWAYS_INLINE ints add_pairs(ints sum, ints a, ints b)
{
        return (ints)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
}

/* Lanes LANES / 2 apart are added first, then those half as far apart, … */
static ALWAYS_INLINE float fold(floats x)
{
        __m256 half = _mm256_add_ps(_mm512_castps512_ps256((__m512)x), _mm512_extractf32x8_ps((__m512)x, 1));
        __m128 sum = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));

        sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
        return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
}

/* The same of four vectors at once. */
static ALWAYS_INLINE void fold_four(const floats x[4], float *sums)
{
        __m256 half[4], ab, cd, pairs, all_four;

        UNROLL
        for (int i = 0; i < 4; i++)
                half[i] = _mm256_add_ps(_mm512_castps512_ps256((__m512)x[i]),
                                _mm512_extractf32x8_ps((__m512)x[i], 1));
        ab = _mm256_add_ps(_mm256_insertf128_ps(half[0], _mm256_castps256_ps128(half[1]), 1),
                        _mm256_permute2f128_ps(half[0], half[1], 0x31));
        cd = _mm256_add_ps(_mm256_insertf128_ps(half[2], _mm256_castps256_ps128(half[3]), 1),
                        _mm256_permute2f128_ps(half[2], half[3], 0x31));
        pairs = _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
        all_four = _mm256_add_ps(
                        _mm256_shuffle_ps(pairs, pairs, 0x88), _mm256_shuffle_ps(pairs, pairs, 0xdd));
        _mm_storeu_ps(sums, _mm_unpacklo_ps(_mm256_castps256_ps128(all_four),
                                            _mm256_extractf128_ps(all_four, 1)));
}

static ALWAYS_INLINE float largest(floats x)
{
        __m256 half = _mm256_max_ps(_mm512_castps512_ps256((__m512)x), _mm512_extractf32x8_ps((__m512)x, 1));
        __m128 most = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));

        most = _mm_max_ps(most, _mm_movehl_ps(most, most));
        return _mm_cvtss_f32(_mm_max_ss(most, _mm_movehdup_ps(most)));
}

/* Whether any lane of what a comparison gave is set. */
static ALWAYS_INLINE bool any(ints mask)
{
        return _mm512_movepi32_mask((__m512i)mask) != 0;
}

/* m[i] lane j becomes m[j] lane i. */
static ALWAYS_INLINE void transpose(floats m[LANES])
{
        __m512 t[16];

        UNROLL
        for (int i = 0; i < 16; i += 2) {
                t[i] = _mm512_unpacklo_ps((__m512)m[i], (__m512)m[i + 1]);
                t[i + 1] = _mm512_unpackhi_ps((__m512)m[i], (__m512)m[i + 1]);
        }
        UNROLL
        for (int i = 0; i < 16; i += 4) {
                m[i] = (floats)_mm512_shuffle_ps(t[i], t[i + 2], 0x44);
                m[i + 1] = (floats)_mm512_shuffle_ps(t[i], t[i + 2], 0xee);
                m[i + 2] = (floats)_mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
                m[i + 3] = (floats)_mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
        }
        /* m[4g + c] holds column c + 4·lane of rows 4g … 4g + 3 */
        UNROLL
        for (int c = 0; c < 4; c++) {
                t[c] = _mm512_shuffle_f32x4((__m512)m[c], (__m512)m[4 + c], 0x88);
                t[4 + c] = _mm512_shuffle_f32x4((__m512)m[c], (__m512)m[4 + c], 0xdd);
                t[8 + c] = _mm512_shuffle_f32x4((__m512)m[8 + c], (__m512)m[12 + c], 0x88);
                t[12 + c] = _mm512_shuffle_f32x4((__m512)m[8 + c], (__m512)m[12 + c], 0xdd);
        }
        UNROLL
        for (int c = 0; c < 4; c++) {
                m[c] = (floats)_mm512_shuffle_f32x4(t[c], t[8 + c], 0x88);
                m[8 + c] = (floats)_mm512_shuffle_f32x4(t[c], t[8 + c], 0xdd);
                m[4 + c] = (floats)_mm512_shuffle_f32x4(t[4 + c], t[12 + c], 0x88);
                m[12 + c] = (floats)_mm512_shuffle_f32x4(t[4 + c], t[12 + c], 0xdd);
        }
}

/* LANES rows, `step` bytes apart, of LANES words of 32 bits: m[i] lane j becomes word i of row j. Four rows' parts come
 * together as they are loaded, which leaves half of transpose()'s shuffles. */
static ALWAYS_INLINE void load_turned(const uint8_t *from, size_t step, floats m[LANES])
{
        UNROLL
        for (unsigned part = 0; part < 4; part++, from += 16) {
                __m512 v[4], low[2], high[2];

                UNROLL
                for (unsigned i = 0; i < 4; i++) {
                        const uint8_t *row = from + i * step;

                        v[i] = _mm512_castps128_ps512(_mm_loadu_ps((const float *)(const void *)row));
                        v[i] = _mm512_mask_broadcast_f32x4(v[i], 0x00f0,
                                        _mm_loadu_ps((const float *)(const void *)(row + 4 * step)));
                        v[i] = _mm512_mask_broadcast_f32x4(v[i], 0x0f00,
                                        _mm_loadu_ps((const float *)(const void *)(row + 8 * step)));
                        v[i] = _mm512_mask_broadcast_f32x4(v[i], 0xf000,
                                        _mm_loadu_ps((const float *)(const void *)(row + 12 * step)));
                }
                UNROLL
                for (unsigned i = 0; i < 2; i++) {
                        low[i] = _mm512_unpacklo_ps(v[2 * i], v[2 * i + 1]);
                        high[i] = _mm512_unpackhi_ps(v[2 * i], v[2 * i + 1]);
                }
                m[4 * part] = (floats)_mm512_shuffle_ps(low[0], low[1], 0x44);
                m[4 * part + 1] = (floats)_mm512_shuffle_ps(low[0], low[1], 0xee);
                m[4 * part + 2] = (floats)_mm512_shuffle_ps(high[0], high[1], 0x44);
                m[4 * part + 3] = (floats)_mm512_shuffle_ps(high[0], high[1], 0xee);
        }
}

/* The two f16 of each word: the first ones, and the second ones. */
static ALWAYS_INLINE floats split_f16(floats words, floats *ret_odd)
{
        __m512i odd = _mm512_srli_epi32((__m512i)words, 16);

        *ret_odd = (floats)_mm512_cvtph_ps(_mm512_cvtepi32_epi16(odd));
        return (floats)_mm512_cvtph_ps(_mm512_cvtepi32_epi16((__m512i)words));
}

/* The even numbers of the 2 LANES in a and b, and the odd ones; and back. */
static ALWAYS_INLINE void part_pairs(floats *a, floats *b)
{
        const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        floats evens = (floats)_mm512_permutex2var_ps((__m512)*a, even, (__m512)*b);

        *b = (floats)_mm512_permutex2var_ps(
                        (__m512)*a, _mm512_or_si512(even, _mm512_set1_epi32(1)), (__m512)*b);
        *a = evens;
}

static ALWAYS_INLINE void join_pairs(floats *a, floats *b)
{
        const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        floats first = (floats)_mm512_permutex2var_ps((__m512)*a, low, (__m512)*b);

        *b = (floats)_mm512_permutex2var_ps(
                        (__m512)*a, _mm512_add_epi32(low, _mm512_set1_epi32(8)), (__m512)*b);
        *a = first;
}

static ALWAYS_INLINE void fetch(const void *line) /* soon it is read */
{
        _mm_prefetch((const char *)line, _MM_HINT_T0);
}

#endif
