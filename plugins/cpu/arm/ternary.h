/* SPDX-License-Identifier: Apache-2.0 */
/* Reading ternary weights, 16 columns at a time. A code is a weight plus 1: 0, 1 or 2. */
#ifndef QVF_PLUGINS_CPU_ARM_TERNARY_H
#define QVF_PLUGINS_CPU_ARM_TERNARY_H

#include "plugins/cpu/arm/products.h"
#include "plugins/cpu/lanes/ternary.h"

#define PARTS (QVF_TERNARY_BLOCK / BYTES) /* vectors of a block's weights */

/* Where the codes of a block stand: elsewhere, when its scale says that all weights are 0. Of TQ1_0 128 is what five
 * codes of 1 are stored as. */
static ALWAYS_INLINE const uint8_t *codes_of(const uint32_t dtype, const uint8_t *block)
{
        static const uint8_t TQ2_ZEROS[TQ2_SCALE] = { [0 ... TQ2_SCALE - 1] = 0x55 };
        static const uint8_t TQ1_ZEROS[TQ1_SCALE] = { [0 ... TQ1_SCALE - 1] = 128 };

        if (dtype == QVF_TQ2_0)
                return scale_is_zero(block + TQ2_SCALE) ? TQ2_ZEROS : block;
        return scale_is_zero(block + TQ1_SCALE) ? TQ1_ZEROS : block;
}

/* Bytes 16 j to 16 j + 15 of a block's codes.
 * TQ2_0: of columns 128 (j / 2) + 16 (j % 2) + 32 n and the 15 after it they hold code n.
 * TQ1_0: digit n of a byte t is 3t / 256 of t times 3ⁿ, in 8 bits; its columns are tq1_column() and the 15 after it. */
static ALWAYS_INLINE uint8x16_t code_bytes(const uint8_t *codes, unsigned j)
{
        return vld1q_u8(codes + j * BYTES);
}

static ALWAYS_INLINE unsigned tq1_column(unsigned j, unsigned n)
{
        return j < 2 ? 16 * j + 32 * n : 160 + 16 * n;
}

/* The last four bytes with four digits each, in such a form that digit 0 is that of columns 240 to 255. */
static ALWAYS_INLINE uint8x16_t tq1_last(const uint8_t *codes)
{
        static const uint8_t POWERS[BYTES] = { 1, 1, 1, 1, 3, 3, 3, 3, 9, 9, 9, 9, 27, 27, 27, 27 };
        uint32_t four;

        memcpy(&four, codes + 48, sizeof(four));
        return vmulq_u8(vreinterpretq_u8_u32(vdupq_n_u32(four)), vld1q_u8(POWERS));
}

static ALWAYS_INLINE uint8x16_t tripled(uint8x16_t t)
{
        return vaddq_u8(t, vaddq_u8(t, t));
}

/* 3t / 256 less 1: it is 1 from 86 on and 2 from 171 on; a comparison that holds gives -1 */
static ALWAYS_INLINE int8x16_t tq1_weights(uint8x16_t t)
{
        return vsubq_s8(vreinterpretq_s8_u8(vcltq_u8(t, vdupq_n_u8(86))),
                        vreinterpretq_s8_u8(vcgeq_u8(t, vdupq_n_u8(171))));
}

/* Weights of columns 16k to 16k + 15 of a block; faster in order, by unpack_block(). */
static ALWAYS_INLINE int8x16_t block_part(const uint32_t dtype, const uint8_t *block, uint32_t k)
{
        static const uint8_t POWERS[TQ1_DIGITS] = { 1, 3, 9, 27, 81 };
        const uint8_t *codes = codes_of(dtype, block);
        uint8x16_t v;

        if (dtype == QVF_TQ2_0) {
                v = vshlq_u8(code_bytes(codes, k / 8 * 2 + k % 2), vdupq_n_s8((int8_t) - (k % 8 / 2 * 2)));
                return vsubq_s8(vreinterpretq_s8_u8(vandq_u8(v, vdupq_n_u8(3))), vdupq_n_s8(1));
        }
        if (k == PARTS - 1)
                return tq1_weights(tq1_last(codes));
        v = code_bytes(codes, k < 10 ? k % 2 : 2);
        return tq1_weights(vmulq_u8(v, vdupq_n_u8(POWERS[k < 10 ? k / 2 : k - 10])));
}

/* All weights of a block in the order of its columns. */
static ALWAYS_INLINE void unpack_block(const uint32_t dtype, const uint8_t *block, int8x16_t parts[PARTS])
{
        const uint8_t *codes = codes_of(dtype, block);

        if (dtype == QVF_TQ2_0) {
                UNROLL
                for (unsigned j = 0; j < 4; j++) {
                        uint8x16_t v = code_bytes(codes, j);

                        UNROLL
                        for (unsigned n = 0; n < 4; n++, v = vshrq_n_u8(v, 2))
                                parts[j / 2 * 8 + 2 * n + j % 2] =
                                                vsubq_s8(vreinterpretq_s8_u8(vandq_u8(v, vdupq_n_u8(3))),
                                                                vdupq_n_s8(1));
                }
                return;
        }
        UNROLL
        for (unsigned j = 0; j < 3; j++) {
                uint8x16_t t = code_bytes(codes, j);

                UNROLL
                for (unsigned n = 0; n < TQ1_DIGITS; n++, t = tripled(t))
                        parts[tq1_column(j, n) / BYTES] = tq1_weights(t);
        }
        parts[PARTS - 1] = tq1_weights(tq1_last(codes));
}

#endif
