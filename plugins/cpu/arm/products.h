/* SPDX-License-Identifier: Apache-2.0 */
/* Products of signed bytes on aarch64, as the level has them: 16 of a row and a row (smlal, sdot), or 8 of two rows and two
 * rows (smmla). Both factors lie in vectors of UNIT_ROWS rows side by side, STEP columns of each; such rows are a unit. */
#ifndef QVF_PLUGINS_CPU_ARM_PRODUCTS_H
#define QVF_PLUGINS_CPU_ARM_PRODUCTS_H

#include <arm_neon.h>
#include <string.h>

#include "plugins/cpu/lanes/lanes.h"

#define BYTES 16u /* in a vector */
#define SIDE 4u   /* units of weights in a tile, side by side in a panel: a group */

#if defined(__ARM_FEATURE_MATMUL_INT8)
#define UNIT_ROWS 2u
#define TILE_UNITS 6u /* of the other factor: 24 of 32 registers are sums */
#elif defined(__ARM_FEATURE_DOTPROD)
#define UNIT_ROWS 1u
#define TILE_UNITS 6u
#else
#define UNIT_ROWS 1u
#define TILE_UNITS 4u
#endif

#define STEP (BYTES / UNIT_ROWS)
#define GROUP_ROWS (SIDE * UNIT_ROWS)
#define GROUP_BYTES (SIDE * BYTES) /* of one step */

/* Columns 16k to 16k + 15 of a row of a unit; vectors of the unit stand `distance` bytes apart. */
static ALWAYS_INLINE void store_part(int8_t *unit, uint32_t row, size_t distance, uint32_t k, int8x16_t part)
{
#if UNIT_ROWS == 1
        (void)row;
        vst1q_s8(unit + k * distance, part);
#else
        vst1_s8(unit + 2 * k * distance + 8 * row, vget_low_s8(part));
        vst1_s8(unit + (2 * k + 1) * distance + 8 * row, vget_high_s8(part));
#endif
}

/* Columns 16k to 16k + 15 of row `row` of a group in a panel. */
static ALWAYS_INLINE void store_weights(int8_t *group, uint32_t row, uint32_t k, int8x16_t part)
{
        store_part(group + row / UNIT_ROWS * BYTES, row % UNIT_ROWS, GROUP_BYTES, k, part);
}

#if UNIT_ROWS == 2

static ALWAYS_INLINE void multiply_units(const int8_t *panel, const int8_t *x, size_t unit_bytes,
                uint32_t steps, const unsigned R, int32x4_t sums[])
{
        int32x4_t acc[TILE_UNITS * SIDE];

        UNROLL
        for (unsigned i = 0; i < R * SIDE; i++)
                acc[i] = vdupq_n_s32(0);
        for (; steps > 0; steps--, panel += GROUP_BYTES, x += BYTES) {
                int8x16_t w[SIDE];

                UNROLL
                for (unsigned i = 0; i < SIDE; i++)
                        w[i] = vld1q_s8(panel + i * BYTES);
                UNROLL
                for (unsigned r = 0; r < R; r++) {
                        int8x16_t rows = vld1q_s8(x + r * unit_bytes);

                        __asm__("" : "+w"(rows)); /* one after the other: there is no register for more */
                        UNROLL
                        for (unsigned i = 0; i < SIDE; i++)
                                acc[r * SIDE + i] = vmmlaq_s32(acc[r * SIDE + i], rows, w[i]);
                }
        }
        /* A sum holds row 0 by both rows of w[i], then row 1. */
        UNROLL
        for (unsigned r = 0; r < R; r++) {
                UNROLL
                for (unsigned h = 0; h < 2; h++) {
                        int32x4_t a = acc[r * SIDE + 2 * h], b = acc[r * SIDE + 2 * h + 1];

                        sums[4 * r + h] = vcombine_s32(vget_low_s32(a), vget_low_s32(b));
                        sums[4 * r + 2 + h] = vcombine_s32(vget_high_s32(a), vget_high_s32(b));
                }
        }
}

#else

/* The sums of the lanes of four vectors. */
static ALWAYS_INLINE int32x4_t sum_each(const int32x4_t v[4])
{
        return vpaddq_s32(vpaddq_s32(v[0], v[1]), vpaddq_s32(v[2], v[3]));
}

#if defined(__ARM_FEATURE_DOTPROD)

static ALWAYS_INLINE void multiply_units(const int8_t *panel, const int8_t *x, size_t unit_bytes,
                uint32_t steps, const unsigned R, int32x4_t sums[])
{
        int32x4_t acc[TILE_UNITS * SIDE];

        UNROLL
        for (unsigned i = 0; i < R * SIDE; i++)
                acc[i] = vdupq_n_s32(0);
        for (; steps > 0; steps--, panel += GROUP_BYTES, x += BYTES) {
                int8x16_t w[SIDE];

                UNROLL
                for (unsigned i = 0; i < SIDE; i++)
                        w[i] = vld1q_s8(panel + i * BYTES);
                UNROLL
                for (unsigned r = 0; r < R; r++) {
                        int8x16_t row = vld1q_s8(x + r * unit_bytes);

                        UNROLL
                        for (unsigned i = 0; i < SIDE; i++)
                                acc[r * SIDE + i] = vdotq_s32(acc[r * SIDE + i], row, w[i]);
                }
        }
        UNROLL
        for (unsigned r = 0; r < R; r++)
                sums[r] = sum_each(acc + r * SIDE);
}

#else

/* A weight is at most 2 (a code that means nothing is 3, less 1): 2 · 48 · 256 < 32768. */
#define SIXTEENS 48u /* steps before sums leave 16 bits */

static ALWAYS_INLINE void multiply_some(const int8_t *panel, const int8_t *x, size_t unit_bytes,
                uint32_t steps, const unsigned R, int32x4_t sums[])
{
        int16x8_t acc[TILE_UNITS * SIDE];

        UNROLL
        for (unsigned i = 0; i < R * SIDE; i++)
                acc[i] = vdupq_n_s16(0);
        for (; steps > 0; steps--, panel += GROUP_BYTES, x += BYTES) {
                int8x16_t w[SIDE];

                UNROLL
                for (unsigned i = 0; i < SIDE; i++)
                        w[i] = vld1q_s8(panel + i * BYTES);
                UNROLL
                for (unsigned r = 0; r < R; r++) {
                        int8x16_t row = vld1q_s8(x + r * unit_bytes);

                        UNROLL
                        for (unsigned i = 0; i < SIDE; i++) {
                                int16x8_t sum = vmlal_s8(
                                                acc[r * SIDE + i], vget_low_s8(row), vget_low_s8(w[i]));

                                acc[r * SIDE + i] = vmlal_high_s8(sum, row, w[i]);
                        }
                }
        }
        UNROLL
        for (unsigned i = 0; i < R * SIDE; i++)
                sums[i] = vpadalq_s16(sums[i], acc[i]);
        /* The sums of 32 bits stand in memory while those of 16 bits have the registers. */
        __asm__("" : "+m"(*(int32x4_t(*)[TILE_UNITS * SIDE]) sums));
}

static ALWAYS_INLINE void multiply_units(const int8_t *panel, const int8_t *x, size_t unit_bytes,
                uint32_t steps, const unsigned R, int32x4_t sums[])
{
        int32x4_t acc[TILE_UNITS * SIDE];

        UNROLL
        for (unsigned i = 0; i < TILE_UNITS * SIDE; i++)
                acc[i] = vdupq_n_s32(0);
        while (steps > 0) {
                uint32_t some = steps < SIXTEENS ? steps : SIXTEENS;

                multiply_some(panel, x, unit_bytes, some, R, acc);
                panel += some * GROUP_BYTES;
                x += some * BYTES;
                steps -= some;
        }
        UNROLL
        for (unsigned r = 0; r < R; r++)
                sums[r] = sum_each(acc + r * SIDE);
}

#endif
#endif

/* GROUP_ROWS sums of each row of the units: sums[UNIT_ROWS · row + i] has those of the group's rows 4i to 4i + 3. */
#define TILE_SUMS (TILE_UNITS * UNIT_ROWS * UNIT_ROWS)

/* Functions of their own, so that the loop has all registers for itself. */
#define MULTIPLY(R)                                                                                         \
        static __attribute__((noinline)) void multiply_##R(const int8_t *panel, const int8_t *x,            \
                        size_t unit_bytes, uint32_t steps, int32x4_t sums[TILE_SUMS])                       \
        {                                                                                                   \
                multiply_units(panel, x, unit_bytes, steps, R, sums);                                       \
        }
MULTIPLY(1)
MULTIPLY(2)
MULTIPLY(3)
MULTIPLY(4)
#if TILE_UNITS > 4
MULTIPLY(5)
MULTIPLY(6)
#endif

static inline void multiply_tile(const int8_t *panel, const int8_t *x, size_t unit_bytes, uint32_t steps,
                uint32_t units, int32x4_t sums[TILE_SUMS])
{
        switch (units) {
        case 1: multiply_1(panel, x, unit_bytes, steps, sums); break;
        case 2: multiply_2(panel, x, unit_bytes, steps, sums); break;
        case 3: multiply_3(panel, x, unit_bytes, steps, sums); break;
#if TILE_UNITS > 4
        case 4: multiply_4(panel, x, unit_bytes, steps, sums); break;
        case 5: multiply_5(panel, x, unit_bytes, steps, sums); break;
        default: multiply_6(panel, x, unit_bytes, steps, sums); break;
#else
        default: multiply_4(panel, x, unit_bytes, steps, sums); break;
#endif
        }
}

#endif
