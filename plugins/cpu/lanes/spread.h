/* SPDX-License-Identifier: Apache-2.0 */
/* Cells of a cache as floats: as rows, or turned, so that lanes are cells. */
#ifndef QVF_PLUGINS_CPU_LANES_SPREAD_H
#define QVF_PLUGINS_CPU_LANES_SPREAD_H

#include "plugins/cpu/lanes/dense.h"

#define CELLS QVF_KV_BLOCK
#define HEAD_MOST 256u /* largest head size */
#define NEAR_STEP (HEAD_MOST * sizeof(uint16_t) + 64)
#define NEAR_BYTES (CELLS * NEAR_STEP)

struct cells { /* of one head */
        const uint8_t *first;
        size_t step; /* from one to the next */
        uint32_t count;
        uint32_t size, width; /* numbers of a cell; the same in whole vectors */
};

/* Numbers c to c + LANES - 1 of LANES cells from `cell` on, some of which may not be there, become rows of `to`. */
static ALWAYS_INLINE void turn_some(
                const struct cells *cells, const uint32_t dtype, uint32_t cell, uint32_t c, float *to)
{
        floats m[LANES];

        UNROLL
        for (uint32_t i = 0; i < LANES; i++)
                m[i] = cell + i < cells->count
                                       ? load_weights_left(dtype, cells->first + (cell + i) * cells->step, c,
                                                         cells->size)
                                       : zeros();
        transpose(m);
        UNROLL
        for (uint32_t i = 0; i < LANES; i++)
                store(to + (c + i) * CELLS + cell, m[i]);
}

/* The same where all are there. */
static ALWAYS_INLINE void turn_all(
                const struct cells *cells, const uint32_t dtype, uint32_t cell, uint32_t c, float *to)
{
        const uint8_t *from = cells->first + cell * cells->step;
        floats m[LANES];

        if (dtype == QVF_F32) {
                load_turned(from + c * sizeof(float), cells->step, m);
        } else {
                UNROLL
                for (uint32_t i = 0; i < LANES; i++, from += cells->step)
                        m[i] = load_weights(dtype, from, c);
                transpose(m);
        }
        UNROLL
        for (uint32_t i = 0; i < LANES; i++)
                store(to + (c + i) * CELLS + cell, m[i]);
}

#ifdef SPLITS_F16
/* The cells side by side, zeros for those that are not there: in a cache they stand so far apart that few of them keep their
 * place in L1, and turning reads each line several times. */
static ALWAYS_INLINE void bring_near(const struct cells *cells, uint8_t *near)
{
        size_t bytes = cells->size * sizeof(uint16_t);
        const uint8_t *from = cells->first;
        uint32_t i = 0;

        for (; i < cells->count; i++, from += cells->step, near += NEAR_STEP)
                for (size_t at = 0; at < bytes; at += sizeof(floats))
                        store((float *)(void *)(near + at), load((const float *)(const void *)(from + at)));
        for (; i < CELLS; i++, near += NEAR_STEP)
                for (size_t at = 0; at < bytes; at += sizeof(floats))
                        store((float *)(void *)(near + at), zeros());
}

/* [size][CELLS]: pairs of f16 are turned as words, and then made floats. */
static ALWAYS_INLINE void spread_pairs(const struct cells *cells, uint8_t *near, float *to)
{
        bring_near(cells, near);
        for (uint32_t cell = 0; cell < CELLS; cell += LANES) {
                for (uint32_t c = 0; c < cells->size; c += 2 * LANES) {
                        floats m[LANES];

                        load_turned(near + cell * NEAR_STEP + c * sizeof(uint16_t), NEAR_STEP, m);
                        UNROLL
                        for (uint32_t i = 0; i < LANES; i++) {
                                floats odd, even = split_f16(m[i], &odd);

                                store(to + (c + 2 * i) * CELLS + cell, even);
                                store(to + (c + 2 * i + 1) * CELLS + cell, odd);
                        }
                }
        }
}
#endif

/* [width][CELLS], zeros behind the last cell. `near` has room for the cells of a head. */
static ALWAYS_INLINE void spread_turned(
                const struct cells *cells, const uint32_t dtype, uint8_t *near, float *to)
{
#ifdef SPLITS_F16
        if (dtype == QVF_F16 && cells->size % (2 * LANES) == 0) {
                spread_pairs(cells, near, to);
                return;
        }
#endif
        (void)near;
        for (uint32_t cell = 0; cell < CELLS; cell += LANES) {
                uint32_t c = 0;

                for (; cell + LANES <= cells->count && c + LANES <= cells->size; c += LANES)
                        turn_all(cells, dtype, cell, c, to);
                for (; c < cells->width; c += LANES)
                        turn_some(cells, dtype, cell, c, to);
        }
}

/* [cells][width] */
static ALWAYS_INLINE void spread(const struct cells *cells, const uint32_t dtype, float *to)
{
        for (uint32_t i = 0; i < cells->count; i++)
                for (uint32_t c = 0; c < cells->width; c += LANES)
                        store(to + i * cells->width + c,
                                        load_weights_left(dtype, cells->first + i * cells->step, c,
                                                        cells->size));
}

#endif
