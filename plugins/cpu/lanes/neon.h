/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of aarch64: what every ARMv8 has. */
#ifndef QVF_PLUGINS_CPU_LANES_NEON_H
#define QVF_PLUGINS_CPU_LANES_NEON_H

#include <arm_neon.h>

#define LANES 4u
#define REGISTERS 32u
#define FUSED 1

typedef float floats __attribute__((vector_size(16)));
typedef int32_t ints __attribute__((vector_size(16)));
typedef double doubles __attribute__((vector_size(16))); /* LANES / 2 of them */

static ALWAYS_INLINE floats all(float x)
{
        return (floats)vdupq_n_f32(x);
}

/* a · b + c */
static ALWAYS_INLINE floats fma_of(floats a, floats b, floats c)
{
        return (floats)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}

/* The larger, or smaller, of two numbers; the second one where one of them is none. */
static ALWAYS_INLINE floats larger(floats a, floats b)
{
        return (floats)vbslq_f32(vcgtq_f32((float32x4_t)a, (float32x4_t)b), (float32x4_t)a, (float32x4_t)b);
}

static ALWAYS_INLINE floats smaller(floats a, floats b)
{
        return (floats)vbslq_f32(vcltq_f32((float32x4_t)a, (float32x4_t)b), (float32x4_t)a, (float32x4_t)b);
}

/* To the nearest whole number, to even in the middle. */
static ALWAYS_INLINE floats nearest(floats x)
{
        return (floats)vrndnq_f32((float32x4_t)x);
}

static ALWAYS_INLINE ints integers(floats x) /* the same */
{
        return (ints)vcvtnq_s32_f32((float32x4_t)x);
}

static ALWAYS_INLINE floats from_integers(ints x)
{
        return (floats)vcvtq_f32_s32((int32x4_t)x);
}

static ALWAYS_INLINE floats square_root(floats x)
{
        return (floats)vsqrtq_f32((float32x4_t)x);
}

/* LANES / 2 floats as doubles, and back. */
static ALWAYS_INLINE doubles load_doubles(const float *from)
{
        return (doubles)vcvt_f64_f32(vld1_f32(from));
}

static ALWAYS_INLINE doubles fma_doubles(doubles a, doubles b, doubles c)
{
        return (doubles)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}

static ALWAYS_INLINE floats floats_of(doubles low, doubles high)
{
        return (floats)vcvt_high_f32_f64(vcvt_f32_f64((float64x2_t)low), (float64x2_t)high);
}

/* LANES numbers of f16, bf16, or signed bytes as floats. */
static ALWAYS_INLINE floats load_f16(const uint8_t *from)
{
        return (floats)vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(from)));
}

static ALWAYS_INLINE floats load_finite_f16(const uint8_t *from)
{
        return load_f16(from);
}

static ALWAYS_INLINE floats load_bf16(const uint8_t *from)
{
        return (floats)vshll_n_u16(vreinterpret_u16_u8(vld1_u8(from)), 16);
}

static ALWAYS_INLINE floats load_bytes(const uint8_t *from)
{
        int32_t four;

        memcpy(&four, from, sizeof(four));
        return from_integers((ints)vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four))))));
}

/* One f16 in all lanes; LANES unsigned bytes. */
static ALWAYS_INLINE floats all_f16(const uint8_t *from)
{
        uint16_t half;

        memcpy(&half, from, sizeof(half));
        return (floats)vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half)));
}

static ALWAYS_INLINE ints load_unsigned(const uint8_t *from)
{
        uint32_t four;

        memcpy(&four, from, sizeof(four));
        return (ints)vmovl_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)))));
}

/* Rounded to nearest even. */
static ALWAYS_INLINE void store_f16(uint8_t *to, floats x)
{
        vst1_u8(to, vreinterpret_u8_f16(vcvt_f16_f32((float32x4_t)x)));
}

/* To signed bytes, those beyond them to the largest and the smallest. */
static ALWAYS_INLINE void store_bytes(int8_t *to, ints x)
{
        int16x4_t words = vqmovn_s32((int32x4_t)x);
        int32_t four = vget_lane_s32(vreinterpret_s32_s8(vqmovn_s16(vcombine_s16(words, words))), 0);

        memcpy(to, &four, sizeof(four));
}

/* Lanes LANES / 2 apart are added first, then those half as far apart, … */
static ALWAYS_INLINE float fold(floats x)
{
        float32x2_t sum = vadd_f32(vget_low_f32((float32x4_t)x), vget_high_f32((float32x4_t)x));

        return vget_lane_f32(vpadd_f32(sum, sum), 0);
}

static ALWAYS_INLINE float largest(floats x)
{
        return vmaxvq_f32((float32x4_t)x);
}

/* Whether any lane of what a comparison gave is set. */
static ALWAYS_INLINE bool any(ints mask)
{
        return vmaxvq_u32((uint32x4_t)mask) != 0;
}

/* m[i] lane j becomes m[j] lane i. */
static ALWAYS_INLINE void transpose(floats m[LANES])
{
        float32x4_t even = vtrn1q_f32((float32x4_t)m[0], (float32x4_t)m[1]),
                    odd = vtrn2q_f32((float32x4_t)m[0], (float32x4_t)m[1]);
        float32x4_t other_even = vtrn1q_f32((float32x4_t)m[2], (float32x4_t)m[3]),
                    other_odd = vtrn2q_f32((float32x4_t)m[2], (float32x4_t)m[3]);

        m[0] = (floats)vcombine_f32(vget_low_f32(even), vget_low_f32(other_even));
        m[1] = (floats)vcombine_f32(vget_low_f32(odd), vget_low_f32(other_odd));
        m[2] = (floats)vcombine_f32(vget_high_f32(even), vget_high_f32(other_even));
        m[3] = (floats)vcombine_f32(vget_high_f32(odd), vget_high_f32(other_odd));
}

/* The even numbers of the 2 LANES in a and b, and the odd ones; and back. */
static ALWAYS_INLINE void part_pairs(floats *a, floats *b)
{
        floats even = (floats)vuzp1q_f32((float32x4_t)*a, (float32x4_t)*b);

        *b = (floats)vuzp2q_f32((float32x4_t)*a, (float32x4_t)*b);
        *a = even;
}

static ALWAYS_INLINE void join_pairs(floats *a, floats *b)
{
        floats first = (floats)vzip1q_f32((float32x4_t)*a, (float32x4_t)*b);

        *b = (floats)vzip2q_f32((float32x4_t)*a, (float32x4_t)*b);
        *a = first;
}

static ALWAYS_INLINE void fetch(const void *line) /* soon it is read */
{
        __builtin_prefetch(line);
}

#endif
