/* SPDX-License-Identifier: Apache-2.0 */
/* Products of rows of numbers, two numbers in a lane where the CPU adds up pairs of 16-bit products: those are twice as
 * many as products of floats, and exact. A row of floats becomes such numbers times a step of its own; no sum overflows
 * where the rows are no longer, as vectors, than NUMBERS_MOST. Without SHORT_PAIRS numbers are floats and steps are 1.
 *
 * UNIT numbers that stand side by side are what a lane multiplies: a unit. */
#ifndef QVF_PLUGINS_CPU_LANES_PAIRS_H
#define QVF_PLUGINS_CPU_LANES_PAIRS_H

#include "plugins/cpu/lanes/lanes.h"

#ifdef SHORT_PAIRS

#define UNIT 2u
#define NUMBERS_MOST 32767.0f

typedef int16_t number;
typedef ints units;

static ALWAYS_INLINE void store_numbers(number *to, floats x)
{
        store_shorts(to, integers(x));
}

static ALWAYS_INLINE units all_units(const number *from)
{
        int32_t pair;

        memcpy(&pair, from, sizeof(pair));
        return pair - (units){ 0 };
}

/* 2 LANES columns of UNIT rows as units. */
static ALWAYS_INLINE void join_rows(const number *rows, size_t step, units to[2])
{
        pair_rows(rows, rows + step, to);
}

static ALWAYS_INLINE units add_products(units sum, units a, units b)
{
        return add_pairs(sum, a, b);
}

static ALWAYS_INLINE floats sums_of(units sum)
{
        return from_integers(sum);
}

/* The step of numbers whose length, or sum of magnitudes, is `size`. */
static inline float step_of(float size)
{
        return size / NUMBERS_MOST;
}

#else

#define UNIT 1u

typedef float number;
typedef floats units;

static ALWAYS_INLINE void store_numbers(number *to, floats x)
{
        store(to, x);
}

static ALWAYS_INLINE units all_units(const number *from)
{
        return all(*from);
}

static ALWAYS_INLINE void join_rows(const number *rows, size_t step, units to[2])
{
        (void)step;
        to[0] = load(rows);
        to[1] = load(rows + LANES);
}

static ALWAYS_INLINE units add_products(units sum, units a, units b)
{
        return fma_of(a, b, sum);
}

static ALWAYS_INLINE floats sums_of(units sum)
{
        return sum;
}

static inline float step_of(float size)
{
        return size > 0;
}

#endif

/* What floats are multiplied by to become numbers of this step; nothing is left of those that are all but 0. */
static inline float steps_in(float step)
{
        return step > 1e-30f ? 1 / step : 0;
}

#endif
