/* SPDX-License-Identifier: Apache-2.0 */
/* The sums of a product of few rows: the codes are those of digits that stand where the file has them. */
#ifndef QVF_PLUGINS_CPU_BYTES_FEW_H
#define QVF_PLUGINS_CPU_BYTES_FEW_H

#include "plugins/cpu/bytes/ternary.h"
#include "plugins/cpu/bytes/tile.h"

#ifdef __AVXVNNI__
/* No digit of TQ2_0 is shifted: that of number n is 4ⁿ times too large, and has a sum of its own. Of TQ1_0, with t₀ the
 * stored byte and tₙ₊₁ = 3 tₙ mod 256, digit n is (3 tₙ − tₙ₊₁) / 256, so that Σ digit · q = (3 Σ tₙ qₙ − Σ tₙ₊₁ qₙ) / 256
 * in each lane. Few sums would have to wait for themselves. */
struct few_sums {
        ints of[4];
};

struct few_digit {
        bytes code, next;
};

static ALWAYS_INLINE struct few_digit few_take(const uint32_t dtype, bytes *chunk, const unsigned n)
{
        bytes t = *chunk;

        if (dtype != QVF_TQ1_0)
                return (struct few_digit){ t & (uint8_t)(3u << 2 * n), t };
        *chunk = t + t + t;
        return (struct few_digit){ t, *chunk };
}

/* k and n: of which chunk, and which digit. */
static ALWAYS_INLINE void few_add(const uint32_t dtype, struct few_sums *sums, struct few_digit digit,
                bytes q, const unsigned k, const unsigned n)
{
        if (dtype != QVF_TQ1_0) {
                add_fours(&sums->of[n], digit.code, q);
                return;
        }
        add_fours(&sums->of[k % 2 * 2], digit.code, q);
        add_fours(&sums->of[k % 2 * 2 + 1], digit.next, q);
}

static ALWAYS_INLINE void few_end_block(struct few_sums *sums)
{
        (void)sums;
}

static ALWAYS_INLINE int32_t few_total(const uint32_t dtype, const struct few_sums *sums)
{
        const ints *of = sums->of;

        if (dtype == QVF_TQ1_0)
                return sum_ints((3 * (of[0] + of[2]) - of[1] - of[3]) >> 8);
        return sum_ints(of[0] + (of[1] >> 2) + (of[2] >> 4) + (of[3] >> 6));
}
#else
struct few_sums { /* of this block in 16 bits, and of those before it */
        words block;
        ints before;
};

struct few_digit {
        bytes code;
};

static ALWAYS_INLINE struct few_digit few_take(const uint32_t dtype, bytes *chunk, const unsigned n)
{
        (void)n;
        return (struct few_digit){ next_digit(dtype, chunk) };
}

static ALWAYS_INLINE void few_add(const uint32_t dtype, struct few_sums *sums, struct few_digit digit,
                bytes q, const unsigned k, const unsigned n)
{
        (void)dtype;
        (void)k;
        (void)n;
        sums->block += multiply_pairs(digit.code, q);
}

static ALWAYS_INLINE void few_end_block(struct few_sums *sums)
{
        sums->before += sum_pairs(sums->block, 1 - (words){ 0 });
        sums->block = (words){ 0 };
}

static ALWAYS_INLINE int32_t few_total(const uint32_t dtype, const struct few_sums *sums)
{
        (void)dtype;
        return sum_ints(sums->before);
}
#endif

#endif
