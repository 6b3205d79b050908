/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of 32 by 32 numbers for bfmmla, which multiplies 2 x 4 by 4 x 2: plugins/cpu/blocks/head_loss.h says what each is.
 * Left and right factors look the same, [4 of the sum][pair of rows or columns][2][4]; a split one has what is left out
 * behind it.
 *
 * bfmmla takes numbers below the smallest normal one for 0, and rounds to odd where it adds up its four products. */
#ifndef QVF_PLUGINS_CPU_BF16_BLOCK_H
#define QVF_PLUGINS_CPU_BF16_BLOCK_H

#include "plugins/cpu/lanes/lanes.h"

#define BLOCK_SIDE 32u
#define BLOCK_LOW (BLOCK_SIDE * BLOCK_SIDE * 2) /* bytes of a factor */
#define QUADS (BLOCK_SIDE / 4)                  /* of a sum */
#define QUAD_BYTES (BLOCK_SIDE * 8u)            /* of a factor */
#define PATCH 8u                                /* rows and columns whose sums are in registers */
#define PAIRS (PATCH / 2)

static ALWAYS_INLINE void block_begin(void)
{
}

static ALWAYS_INLINE void block_end(void)
{
}

static ALWAYS_INLINE void store_quad(char *to, bfloat16x4_t quad)
{
        vst1_u16((uint16_t *)to, vreinterpret_u16_bf16(quad));
}

static inline void block_left_split(const float *numbers, char *to)
{
        for (uint32_t i = 0; i < BLOCK_SIDE; i++)
                for (uint32_t k = 0; k < QUADS; k++) {
                        char *at = to + k * QUAD_BYTES + i * 8;
                        float32x4_t x = vld1q_f32(numbers + i * BLOCK_SIDE + 4 * k);
                        bfloat16x4_t high = vcvt_bf16_f32(x);
                        uint32x4_t back = vshll_n_u16(vreinterpret_u16_bf16(high), 16);

                        store_quad(at, high);
                        store_quad(at + BLOCK_LOW, vcvt_bf16_f32(vsubq_f32(x, vreinterpretq_f32_u32(back))));
                }
}

static inline void block_right_split(const float *numbers, char *to)
{
        block_left_split(numbers, to);
}

static inline void block_right(const float *numbers, char *to)
{
        for (uint32_t k = 0; k < QUADS; k++)
                for (uint32_t c = 0; c < BLOCK_SIDE; c += 4) {
                        floats m[4];

                        for (uint32_t i = 0; i < 4; i++)
                                m[i] = load(numbers + (4 * k + i) * BLOCK_SIDE + c);
                        transpose(m);
                        for (uint32_t i = 0; i < 4; i++)
                                store_quad(to + k * QUAD_BYTES + (c + i) * 8,
                                                vcvt_bf16_f32((float32x4_t)m[i]));
                }
}

static inline void block_left_turned(const float *numbers, char *to)
{
        block_right(numbers, to);
}

/* A patch's sums from and to memory, where they stand row by row. */
static ALWAYS_INLINE void load_patch(const float *from, float32x4_t sums[PAIRS * PAIRS])
{
        UNROLL
        for (unsigned i = 0; i < PAIRS * PAIRS; i += 2) {
                const float *row = from + i / PAIRS * 2 * BLOCK_SIDE + i % PAIRS * 2;
                float64x2_t a = vreinterpretq_f64_f32(vld1q_f32(row)),
                            b = vreinterpretq_f64_f32(vld1q_f32(row + BLOCK_SIDE));

                sums[i] = vreinterpretq_f32_f64(vzip1q_f64(a, b));
                sums[i + 1] = vreinterpretq_f32_f64(vzip2q_f64(a, b));
        }
}

static ALWAYS_INLINE void store_patch(float *to, const float32x4_t sums[PAIRS * PAIRS])
{
        UNROLL
        for (unsigned i = 0; i < PAIRS * PAIRS; i += 2) {
                float *row = to + i / PAIRS * 2 * BLOCK_SIDE + i % PAIRS * 2;
                float64x2_t a = vreinterpretq_f64_f32(sums[i]), b = vreinterpretq_f64_f32(sums[i + 1]);

                vst1q_f32(row, vreinterpretq_f32_f64(vzip1q_f64(a, b)));
                vst1q_f32(row + BLOCK_SIDE, vreinterpretq_f32_f64(vzip2q_f64(a, b)));
        }
}

/* 32 of a sum. */
static ALWAYS_INLINE void add_patch(const char *left, const char *right, float32x4_t sums[PAIRS * PAIRS])
{
        for (unsigned k = 0; k < QUADS; k++) {
                bfloat16x8_t a[PAIRS], b[PAIRS];

                UNROLL
                for (unsigned i = 0; i < PAIRS; i++) {
                        a[i] = vreinterpretq_bf16_u16(
                                        vld1q_u16((const uint16_t *)(left + k * QUAD_BYTES) + 8 * i));
                        b[i] = vreinterpretq_bf16_u16(
                                        vld1q_u16((const uint16_t *)(right + k * QUAD_BYTES) + 8 * i));
                }
                UNROLL
                for (unsigned i = 0; i < PAIRS * PAIRS; i++)
                        sums[i] = vbfmmlaq_f32(sums[i], a[i / PAIRS], b[i % PAIRS]);
        }
}

static inline void block_product_split(const char *left, const char *right, uint32_t count, float *sums)
{
        for (uint32_t i = 0; i < BLOCK_SIDE; i += PATCH)
                for (uint32_t j = 0; j < BLOCK_SIDE; j += PATCH) {
                        const char *a = left + i * 8, *b = right + j * 8;
                        float32x4_t patch[PAIRS * PAIRS];

                        UNROLL
                        for (unsigned n = 0; n < PAIRS * PAIRS; n++)
                                patch[n] = vdupq_n_f32(0);
                        for (uint32_t n = 0; n < count; n++) {
                                add_patch(a + BLOCK_LOW, b, patch);
                                add_patch(a, b + BLOCK_LOW, patch);
                                add_patch(a, b, patch);
                                a += 2 * BLOCK_LOW;
                                b += 2 * BLOCK_LOW;
                        }
                        store_patch(sums + i * BLOCK_SIDE + j, patch);
                }
}

static inline void block_product(const char *left, const char *right, size_t right_step, uint32_t count,
                bool accumulate, float *sums)
{
        for (uint32_t i = 0; i < BLOCK_SIDE; i += PATCH)
                for (uint32_t j = 0; j < BLOCK_SIDE; j += PATCH) {
                        float *at = sums + i * BLOCK_SIDE + j;
                        float32x4_t patch[PAIRS * PAIRS];

                        UNROLL
                        for (unsigned n = 0; n < PAIRS * PAIRS; n++)
                                patch[n] = vdupq_n_f32(0);
                        if (accumulate)
                                load_patch(at, patch);
                        for (uint32_t n = 0; n < count; n++)
                                add_patch(left + n * BLOCK_LOW + i * 8, right + n * right_step + j * 8,
                                                patch);
                        store_patch(at, patch);
                }
}

#endif
