/* SPDX-License-Identifier: Apache-2.0 */
/* Reading ternary weights. A code is a weight plus 1: 0, 1 or 2. */
#ifndef QVF_PLUGINS_CPU_BYTES_TERNARY_H
#define QVF_PLUGINS_CPU_BYTES_TERNARY_H

#include "plugins/cpu/bytes/bytes.h"
#include "plugins/cpu/lanes/ternary.h"

/* Codes of columns c to c + BYTES - 1 of a block; c is a multiple of BYTES. */
static ALWAYS_INLINE bytes tq2_codes(const uint8_t *block, uint32_t c)
{
        bytes four = load_codes(block + c / 128 * 32 + c % 32);

        if (__builtin_expect(scale_is_zero(block + TQ2_SCALE), 0))
                return all_codes(1);
        return (bytes)((words)four >> (uint16_t)(c % 128 / 32 * 2)) & 3;
}

static const uint16_t TQ1_POWER[5] = { 1, 3, 9, 27, 81 }; /* what brings a digit to the top of its byte */

/* 16 columns of TQ1_0: the bytes that hold them, and 3ⁿ for each two of them where they are digit n. */
static ALWAYS_INLINE void tq1_part(const uint8_t *block, uint32_t c, uint8_t *digits, uint16_t *powers)
{
        static const uint16_t LAST[8] = { 1, 1, 3, 3, 9, 9, 27, 27 };
        uint32_t n = c < 160 ? c / 32 : (c - 160) / 16;

        if (c >= 240) {
                for (unsigned i = 0; i < 4; i++)
                        memcpy(digits + 4 * i, block + 48, 4);
                memcpy(powers, LAST, sizeof(LAST));
                return;
        }
        memcpy(digits, block + (c < 160 ? c % 32 : 32), 16);
        for (unsigned i = 0; i < 8; i++)
                powers[i] = TQ1_POWER[n];
}

static ALWAYS_INLINE bytes tq1_codes(const uint8_t *block, uint32_t c)
{
        uint8_t digits[BYTES];
        uint16_t powers[BYTES / 2];
        words two, power;
        bytes t;

        if (__builtin_expect(scale_is_zero(block + TQ1_SCALE), 0))
                return all_codes(1);
        if (c + BYTES <= (BYTES == 16 ? 240 : 160)) { /* one digit of all of them */
                two = (words)load_codes(block + (c < 160 ? c % 32 : 32));
                power = TQ1_POWER[c < 160 ? c / 32 : (c - 160) / 16] - (words){ 0 };
        } else {
                UNROLL
                for (unsigned i = 0; i < BYTES / 16; i++)
                        tq1_part(block, c + 16 * i, digits + 16 * i, powers + 8 * i);
                memcpy(&two, digits, sizeof(two));
                memcpy(&power, powers, sizeof(power));
        }
        t = (bytes)(((two * power) & 255) | ((two >> 8) * power << 8));
        /* 3t / 256 is 1 from 86 on and 2 from 171 on; a comparison that holds gives -1 */
        return -((bytes)(t >= 86) + (bytes)(t >= 171));
}

static ALWAYS_INLINE bytes ternary_codes(uint32_t dtype, const uint8_t *block, uint32_t c)
{
        return dtype == QVF_TQ1_0 ? tq1_codes(block, c) : tq2_codes(block, c);
}

#define CHUNKS (64 / BYTES) /* vectors that hold a block's bytes */

static ALWAYS_INLINE unsigned digits_of(const uint32_t dtype) /* of a byte */
{
        return dtype == QVF_TQ1_0 ? 5 : 4;
}

/* Bytes k · BYTES … of a block, zeros behind its last digits. */
static ALWAYS_INLINE bytes load_chunk(const uint32_t dtype, const uint8_t *block, const unsigned k)
{
        const unsigned first = k * BYTES, end = dtype == QVF_TQ1_0 ? TQ1_SCALE : TQ2_SCALE;
        bytes chunk = first + BYTES <= end ? load_codes(block + first) : load_last_codes(block + first);

        if (__builtin_expect(scale_is_zero(block + end), 0))
                chunk = all_codes(dtype == QVF_TQ1_0 ? 128 : 0x55); /* all digits 1 */
        __asm__("" : "+x"(chunk)); /* or what follows is copied into both ways of the branch */
        return chunk;
}

/* The codes of the next digit; the chunk goes on to the digit after it. */
static ALWAYS_INLINE bytes next_digit(const uint32_t dtype, bytes *chunk)
{
        bytes t = *chunk;

        if (dtype != QVF_TQ1_0) {
                *chunk = (bytes)((words)t >> 2);
                return t & 3;
        }
        *chunk = t + t + t;
        /* 3t / 256 is 1 from 86 on and 2 from 171 on */
        return not_zero(less(t, 85)) + not_zero(less(t, 170));
}

/* Digit n of byte b of a block is the code of this column; QVF_TERNARY_BLOCK: it is none. */
static inline uint32_t column_of(uint32_t dtype, uint32_t b, uint32_t n)
{
        if (dtype != QVF_TQ1_0)
                return b / 32 * 128 + 32 * n + b % 32;
        if (b < 32)
                return 32 * n + b;
        if (b < 48)
                return 160 + 16 * n + b - 32;
        return b < 52 && n < 4 ? 240 + 4 * n + b - 48 : QVF_TERNARY_BLOCK;
}

#endif
