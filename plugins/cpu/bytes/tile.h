/* SPDX-License-Identifier: Apache-2.0 */
/* The tile of the ternary products: rows of signed bytes times a panel of codes, which are weights plus 1. */
#ifndef QVF_PLUGINS_CPU_BYTES_TILE_H
#define QVF_PLUGINS_CPU_BYTES_TILE_H

#include "plugins/cpu/bytes/bytes.h"

#define TILE_ROWS 6u /* with 2 vectors of codes 12 of 16 registers are sums */
#define TILE_LANES (2 * LANES)
#define STEP_BYTES (2 * BYTES) /* of a panel: four codes for each lane */
#define SIXTEENS 32u /* steps before sums leave 16 bits: 32 · 2 · 2 · 127 < 32768, also with a code 3 */

#ifdef __AVXVNNI__
/* sum += Σ of four neighbours' products in each lane. gcc 12 moves the sums of a tile between registers and memory in
 * each step where it sees the instruction by its intrinsic. */
static ALWAYS_INLINE void add_fours(ints *sum, bytes codes, bytes q)
{
        __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(*sum) : "x"(codes), "x"(q));
}
#endif

/* The loop of multiply_tile() for R rows. Where it shares a function with what becomes of the sums, gcc 12 moves them
 * between registers and memory in each step. */
#ifdef __AVXVNNI__
static ALWAYS_INLINE void multiply_rows(
                const uint8_t *panel, const int8_t *q, uint32_t steps, const unsigned R, ints sums[])
{
        ints acc[2 * TILE_ROWS];

        UNROLL
        for (unsigned i = 0; i < 2 * R; i++)
                acc[i] = (ints){ 0 };
        for (; steps > 0; steps--, panel += STEP_BYTES, q += 4 * R) {
                bytes low = load_codes(panel), high = load_codes(panel + BYTES);

                UNROLL
                for (unsigned r = 0; r < R; r++) {
                        bytes partner = all_fours(q + 4 * r);

                        add_fours(&acc[2 * r], low, partner);
                        add_fours(&acc[2 * r + 1], high, partner);
                }
        }
        UNROLL
        for (unsigned i = 0; i < 2 * R; i++)
                sums[i] = acc[i];
}
#else
static ALWAYS_INLINE void multiply_some(
                const uint8_t *panel, const int8_t *q, uint32_t steps, const unsigned R, ints sums[])
{
        words acc[2 * TILE_ROWS], one;

        UNROLL
        for (unsigned i = 0; i < 2 * R; i++)
                acc[i] = (words){ 0 };
        for (; steps > 0; steps--, panel += STEP_BYTES, q += 4 * R) {
                bytes low = load_codes(panel), high = load_codes(panel + BYTES);

                UNROLL
                for (unsigned r = 0; r < R; r++) {
                        bytes partner = all_fours(q + 4 * r);

                        acc[2 * r] += multiply_pairs(low, partner);
                        acc[2 * r + 1] += multiply_pairs(high, partner);
                }
        }
        one = 1 - (words){ 0 };
        __asm__ volatile("" : "+x"(one)); /* no register is to hold it in the loop */
        UNROLL
        for (unsigned i = 0; i < 2 * R; i++)
                sums[i] += sum_pairs(acc[i], one);
        /* The sums of 32 bits stand in memory while those of 16 bits have the registers. */
        __asm__("" : "+m"(*(ints(*)[2 * TILE_ROWS]) sums));
}

static ALWAYS_INLINE void multiply_rows(
                const uint8_t *panel, const int8_t *q, uint32_t steps, const unsigned R, ints sums[])
{
        UNROLL
        for (unsigned i = 0; i < 2 * R; i++)
                sums[i] = (ints){ 0 };
        while (steps > 0) {
                uint32_t some = steps < SIXTEENS ? steps : SIXTEENS;

                multiply_some(panel, q, some, R, sums);
                panel += some * STEP_BYTES;
                q += some * 4 * R;
                steps -= some;
        }
}
#endif

/* sums[2r + h] = Σ code · q of row r of the tile and lanes h · LANES … of the panel. q has 4 bytes of each of the
 * 1 to TILE_ROWS rows for each step. */
static __attribute__((noinline)) void multiply_tile(
                const uint8_t *panel, const int8_t *q, uint32_t steps, uint32_t rows, ints sums[])
{
        switch (rows) {
        case 1: multiply_rows(panel, q, steps, 1, sums); break;
        case 2: multiply_rows(panel, q, steps, 2, sums); break;
        case 3: multiply_rows(panel, q, steps, 3, sums); break;
        case 4: multiply_rows(panel, q, steps, 4, sums); break;
        case 5: multiply_rows(panel, q, steps, 5, sums); break;
        default: multiply_rows(panel, q, steps, TILE_ROWS, sums); break;
        }
}

#endif
