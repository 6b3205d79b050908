/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels for floats, written once for vectors of LANES of them and compiled once for each level (plugin.mk: cpu_LANES).
 *
 * - One operation, one file, named after it; what several share is a header. A new file is found by itself.
 * - A kernel is called LEVEL(operation), which is cpu_avx2_rmsnorm and the like; kernels.h declares them all. A level
 *   has one when its level.c lists it; the linker leaves out the others.
 * - Arithmetic is written with the operators of vectors and the functions below. docs/arithmetic.md says which results
 *   of inference are defined to the bit: fma() where it says fma, * and + where it says two roundings.
 * - No instruction set is named outside of sse.h, avx2.h, avx512.h and neon.h, which give
 *     LANES      floats in a vector
 *     REGISTERS  vectors that the CPU has: how many sums a loop may keep
 *     FUSED      fma() rounds once; otherwise it is a product and a sum
 *     SHORT_PAIRS  it has products of pairs of 16-bit numbers (pairs.h)
 *     TIMES_POWER, LOADS_SOME   it has times_power(), or load_some() and those like it, of its own */
#ifndef QVF_PLUGINS_CPU_LANES_LANES_H
#define QVF_PLUGINS_CPU_LANES_LANES_H

#include <stdint.h>
#include <string.h>

#include "plugins/cpu/coefficients.h"
#include "plugins/cpu/lanes/kernels.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define LINE 64u /* bytes of a cache line */

/* A loop whose bounds are constants once it is inlined; its arrays then live in registers. */
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

#if defined(__AVX512F__)
#include "plugins/cpu/lanes/avx512.h"
#elif defined(__AVX2__)
#include "plugins/cpu/lanes/avx2.h"
#elif defined(__SSE4_1__)
#include "plugins/cpu/lanes/sse.h"
#elif defined(__aarch64__)
#include "plugins/cpu/lanes/neon.h"
#else
/* cppcheck-suppress preprocessorErrorDirective */
#error "no vectors for this level"
#endif

/* The same types at addresses that are multiples of their elements only. */
typedef floats floats_anywhere __attribute__((aligned(4), may_alias));
typedef ints ints_anywhere __attribute__((aligned(4), may_alias));

static ALWAYS_INLINE floats load(const float *from)
{
        return *(const floats_anywhere *)from;
}

static ALWAYS_INLINE void store(float *to, floats numbers)
{
        *(floats_anywhere *)to = numbers;
}

static ALWAYS_INLINE floats zeros(void)
{
        return (floats){ 0 };
}

#ifndef SPLITS_F16 /* levels that have split_f16() have this too */
/* LANES rows, `step` bytes apart, of LANES words of 32 bits: m[i] lane j becomes word i of row j. */
static ALWAYS_INLINE void load_turned(const uint8_t *from, size_t step, floats m[LANES])
{
        UNROLL
        for (unsigned i = 0; i < LANES; i++, from += step)
                m[i] = load((const float *)(const void *)from);
        transpose(m);
}
#endif

/* 0, 1, 2, … */
static ALWAYS_INLINE ints lane_numbers(void)
{
        ints numbers = { 0 };

        for (unsigned i = 0; i < LANES; i++)
                numbers[i] = (int32_t)i;
        return numbers;
}

#ifndef LOADS_SOME
/* The first `count` numbers, at most LANES, and zeros; and back. */
static ALWAYS_INLINE floats load_some(const float *from, uint64_t count)
{
        floats numbers = zeros();

        memcpy(&numbers, from, count * sizeof(float));
        return numbers;
}

static ALWAYS_INLINE void store_some(float *to, uint64_t count, floats numbers)
{
        memcpy(to, &numbers, count * sizeof(float));
}

static ALWAYS_INLINE floats load_some_f16(const uint8_t *from, uint64_t count)
{
        uint8_t bytes[LANES * sizeof(uint16_t)] = { 0 };

        memcpy(bytes, from, count * sizeof(uint16_t));
        return load_f16(bytes);
}

static ALWAYS_INLINE floats load_some_bf16(const uint8_t *from, uint64_t count)
{
        uint8_t bytes[LANES * sizeof(uint16_t)] = { 0 };

        memcpy(bytes, from, count * sizeof(uint16_t));
        return load_bf16(bytes);
}
#endif

/* Numbers of `left` more, zeros behind them; `whole` is a constant that says that LANES are there. */
static ALWAYS_INLINE floats load_left(const float *from, uint64_t left, const bool whole)
{
        return whole ? load(from) : load_some(from, left < LANES ? left : LANES);
}

static ALWAYS_INLINE void store_left(float *to, uint64_t left, const bool whole, floats numbers)
{
        if (whole)
                store(to, numbers);
        else
                store_some(to, left < LANES ? left : LANES, numbers);
}

/* `a` where the lane of `mask` has all bits set, `b` where it has none: what a comparison of vectors gives. */
static ALWAYS_INLINE floats choose(ints mask, floats a, floats b)
{
        return (floats)((mask & (ints)a) | (~mask & (ints)b));
}

static ALWAYS_INLINE floats magnitude(floats x)
{
        return (floats)((ints)x & (int32_t)0x7fffffff);
}

#ifndef TIMES_POWER
/* 2ⁿ for whole n from -126 to 127 */
static ALWAYS_INLINE floats power_of_two(ints n)
{
        return (floats)((n + 127) << 23);
}

/* x · 2ⁿ; n may be -150 or 128: in two steps, each with an exponent that there is */
static ALWAYS_INLINE floats times_power(floats x, floats n)
{
        ints whole = integers(n), half = whole >> 1;

        return x * power_of_two(half) * power_of_two(whole - half);
}
#endif

/* The sums of some vectors' lanes, each as fold() has it. */
static ALWAYS_INLINE void fold_some(const floats x[], const unsigned count, float *sums)
{
        unsigned i = 0;

#ifdef FOLDS_FOUR
        UNROLL
        for (; i + 4 <= count; i += 4)
                fold_four(x + i, sums + i);
#endif
        UNROLL
        for (; i < count; i++)
                sums[i] = fold(x[i]);
}

/* exp as docs/arithmetic.md has it; NaN stays. */
static ALWAYS_INLINE floats exponential(floats x)
{
        floats n, r, p;

        x = smaller(all(EXP_MOST), larger(all(EXP_LEAST), x));
        n = nearest(x * all(EXP_LOG2E));
        r = fma_of(-n, all(EXP_LN2_HIGH), x);
        r = fma_of(-n, all(EXP_LN2_LOW), r);
        p = fma_of(all(EXP_E4), r, all(EXP_E3));
        p = fma_of(p, r, all(EXP_E2));
        p = fma_of(p, r, all(EXP_E1));
        p = fma_of(p, r, all(EXP_E0));
        return times_power(fma_of(p, r * r, r) + all(1), n);
}

static inline size_t round_up(size_t value, size_t multiple)
{
        return (value + multiple - 1) / multiple * multiple;
}

/* This thread's numbers of an element-wise operation: those of its rows. */
static inline void share_numbers(const struct cpu_call *call, uint64_t *ret_begin, uint64_t *ret_end)
{
        uint32_t begin, end, columns = call->operand[0].columns;

        cpu_share(call, call->rows, 1, &begin, &end);
        *ret_begin = (uint64_t)begin * columns;
        *ret_end = (uint64_t)end * columns;
}

#endif
