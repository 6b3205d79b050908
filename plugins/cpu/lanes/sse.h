/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of x86-64 with SSE4.1: no fused products, no f16. */
#ifndef QVF_PLUGINS_CPU_LANES_SSE_H
#define QVF_PLUGINS_CPU_LANES_SSE_H

#include <smmintrin.h>

#define LANES 4u
#define REGISTERS 16u
#define FUSED 0
#define SHORT_PAIRS 1

typedef float floats __attribute__((vector_size(16)));
typedef int32_t ints __attribute__((vector_size(16)));
typedef double doubles __attribute__((vector_size(16))); /* LANES / 2 of them */

static ALWAYS_INLINE floats all(float x)
{
        return (floats)_mm_set1_ps(x);
}

/* a · b + c, rounded twice */
static ALWAYS_INLINE floats fma_of(floats a, floats b, floats c)
{
        return a * b + c;
}

/* The larger, or smaller, of two numbers; the second one where one of them is none. */
static ALWAYS_INLINE floats larger(floats a, floats b)
{
        return (floats)_mm_max_ps((__m128)a, (__m128)b);
}

static ALWAYS_INLINE floats smaller(floats a, floats b)
{
        return (floats)_mm_min_ps((__m128)a, (__m128)b);
}

/* To the nearest whole number, to even in the middle. */
static ALWAYS_INLINE floats nearest(floats x)
{
        return (floats)_mm_round_ps((__m128)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static ALWAYS_INLINE ints integers(floats x) /* the same */
{
        return (ints)_mm_cvtps_epi32((__m128)x);
}

static ALWAYS_INLINE floats from_integers(ints x)
{
        return (floats)_mm_cvtepi32_ps((__m128i)x);
}

static ALWAYS_INLINE floats square_root(floats x)
{
        return (floats)_mm_sqrt_ps((__m128)x);
}

/* LANES / 2 floats as doubles, and back. */
static ALWAYS_INLINE doubles load_doubles(const float *from)
{
        return (doubles)_mm_cvtps_pd(_mm_castsi128_ps(_mm_loadl_epi64((const __m128i *)from)));
}

static ALWAYS_INLINE doubles fma_doubles(doubles a, doubles b, doubles c)
{
        return a * b + c;
}

static ALWAYS_INLINE floats floats_of(doubles low, doubles high)
{
        return (floats)_mm_movelh_ps(_mm_cvtpd_ps((__m128d)low), _mm_cvtpd_ps((__m128d)high));
}

/* f16 in 16 of a lane's 32 bits */
static ALWAYS_INLINE floats from_f16(ints half)
{
        ints sign = (half & 0x8000) << 16, magnitude_bits = (half & 0x7fff) << 13;
        /* With 112 more in the exponent the number is right, a number below 2⁻¹⁴ too: this product is exact. What was
         * infinite, or no number, is 2¹⁶ or more then, and gets the highest exponent. */
        floats number = (floats)magnitude_bits * all(0x1p112f);
        ints beyond = number >= all(0x1p16f);

        return (floats)((ints)number | (beyond & 0x7f800000) | sign);
}

/* LANES numbers of f16, bf16, or signed bytes as floats. */
static ALWAYS_INLINE floats load_f16(const uint8_t *from)
{
        return from_f16((ints)_mm_cvtepu16_epi32(_mm_loadl_epi64((const __m128i *)from)));
}

/* The same of finite numbers, for which a fourth of it is enough: others come out as 2¹⁶ and more. */
static ALWAYS_INLINE floats load_finite_f16(const uint8_t *from)
{
        ints half = (ints)_mm_cvtepi16_epi32(_mm_loadl_epi64((const __m128i *)from));

        return (floats)(half << 13 & (int32_t)0x8fffe000) * all(0x1p112f);
}

static ALWAYS_INLINE floats load_bf16(const uint8_t *from)
{
        return (floats)((ints)_mm_cvtepu16_epi32(_mm_loadl_epi64((const __m128i *)from)) << 16);
}

static ALWAYS_INLINE floats load_bytes(const uint8_t *from)
{
        int32_t four;

        memcpy(&four, from, sizeof(four));
        return from_integers((ints)_mm_cvtepi8_epi32(_mm_cvtsi32_si128(four)));
}

/* One f16 in all lanes; LANES unsigned bytes. */
static ALWAYS_INLINE floats all_f16(const uint8_t *from)
{
        uint16_t half;

        memcpy(&half, from, sizeof(half));
        return from_f16((ints)_mm_set1_epi32(half));
}

static ALWAYS_INLINE ints load_unsigned(const uint8_t *from)
{
        int32_t four;

        memcpy(&four, from, sizeof(four));
        return (ints)_mm_cvtepu8_epi32(_mm_cvtsi32_si128(four));
}

/* Rounded to nearest even. */
static ALWAYS_INLINE void store_f16(uint8_t *to, floats x)
{
        ints bits = (ints)x, sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
        ints none = size > 0x7f800000, beyond = size >= 0x477ff000, small = size < 0x38800000;
        /* The last bit that stays decides where the middle goes. */
        ints normal = (size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13;
        /* Added to one half, a small number's last bits are those that an f16 has. */
        ints tiny = (ints)((floats)size + all(0.5f)) - 0x3f000000;
        ints half = (small & tiny) | (~small & normal);

        half = (beyond & 0x7c00) | (~beyond & half);
        half = (none & (0x7e00 | (size >> 13 & 0x3ff))) | (~none & half);
        _mm_storel_epi64((__m128i *)to, _mm_packus_epi32((__m128i)(half | sign), (__m128i)(half | sign)));
}

/* To signed bytes, those beyond them to the largest and the smallest. */
static ALWAYS_INLINE void store_bytes(int8_t *to, ints x)
{
        __m128i words = _mm_packs_epi32((__m128i)x, (__m128i)x);
        int32_t four = _mm_cvtsi128_si32(_mm_packs_epi16(words, words));

        memcpy(to, &four, sizeof(four));
}

/* To 16-bit numbers, in their order. */
static ALWAYS_INLINE void store_shorts(int16_t *to, ints x)
{
        _mm_storel_epi64((__m128i *)to, _mm_packs_epi32((__m128i)x, (__m128i)x));
}

/* 2 LANES columns of two rows of 16-bit numbers: of each column a pair. */
static ALWAYS_INLINE void pair_rows(const int16_t *a, const int16_t *b, ints to[2])
{
        __m128i first = _mm_loadu_si128((const __m128i *)a), second = _mm_loadu_si128((const __m128i *)b);

        to[0] = (ints)_mm_unpacklo_epi16(first, second);
        to[1] = (ints)_mm_unpackhi_epi16(first, second);
}

/* sum + a₀ b₀ + a₁ b₁ of 16-bit numbers in each lane */
static ALWAYS_INLINE ints add_pairs(ints sum, ints a, ints b)
{
        return (ints)_mm_add_epi32((__m128i)sum, _mm_madd_epi16((__m128i)a, (__m128i)b));
}

/* Lanes LANES / 2 apart are added first, then those half as far apart, … */
static ALWAYS_INLINE float fold(floats x)
{
        __m128 sum = _mm_add_ps((__m128)x, _mm_movehl_ps((__m128)x, (__m128)x));

        return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
}

static ALWAYS_INLINE float largest(floats x)
{
        __m128 most = _mm_max_ps((__m128)x, _mm_movehl_ps((__m128)x, (__m128)x));

        return _mm_cvtss_f32(_mm_max_ss(most, _mm_movehdup_ps(most)));
}

/* Whether any lane of what a comparison gave is set. */
static ALWAYS_INLINE bool any(ints mask)
{
        return _mm_movemask_ps((__m128)mask) != 0;
}

/* m[i] lane j becomes m[j] lane i. */
static ALWAYS_INLINE void transpose(floats m[LANES])
{
        __m128 low = _mm_unpacklo_ps((__m128)m[0], (__m128)m[1]),
               high = _mm_unpackhi_ps((__m128)m[0], (__m128)m[1]);
        __m128 other_low = _mm_unpacklo_ps((__m128)m[2], (__m128)m[3]),
               other_high = _mm_unpackhi_ps((__m128)m[2], (__m128)m[3]);

        m[0] = (floats)_mm_movelh_ps(low, other_low);
        m[1] = (floats)_mm_movehl_ps(other_low, low);
        m[2] = (floats)_mm_movelh_ps(high, other_high);
        m[3] = (floats)_mm_movehl_ps(other_high, high);
}

/* The even numbers of the 2 LANES in a and b, and the odd ones; and back. */
static ALWAYS_INLINE void part_pairs(floats *a, floats *b)
{
        floats even = (floats)_mm_shuffle_ps((__m128)*a, (__m128)*b, 0x88);

        *b = (floats)_mm_shuffle_ps((__m128)*a, (__m128)*b, 0xdd);
        *a = even;
}

static ALWAYS_INLINE void join_pairs(floats *a, floats *b)
{
        floats first = (floats)_mm_unpacklo_ps((__m128)*a, (__m128)*b);

        *b = (floats)_mm_unpackhi_ps((__m128)*a, (__m128)*b);
        *a = first;
}

static ALWAYS_INLINE void fetch(const void *line) /* soon it is read */
{
        _mm_prefetch((const char *)line, _MM_HINT_T0);
}

#endif
