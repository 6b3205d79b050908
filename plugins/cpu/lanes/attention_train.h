/* SPDX-License-Identifier: Apache-2.0 */
/* What attention in training has in common, forth and back: keys are taken in blocks of CELLS, which begin at multiples
 * of CELLS, and rows in blocks of ROWS, so that scores are a product of matrices. */
#ifndef QVF_PLUGINS_CPU_LANES_ATTENTION_TRAIN_H
#define QVF_PLUGINS_CPU_LANES_ATTENTION_TRAIN_H

#include "plugins/cpu/lanes/outer.h"

#define CELLS 32u
#define ROWS 24u

static inline uint32_t at_most(uint32_t count, uint32_t most)
{
        return count < most ? count : most;
}

/* The numbers of a head in a row of an operand. */
static inline float *head_of(const struct cpu_operand *o, uint32_t row, uint32_t head, uint32_t size)
{
        return (float *)o->data + (size_t)row * o->columns + (size_t)head * size;
}

/* A head of `cells` keys or values from row `key` on, turned: [size, up to whole vectors][CELLS]; what is behind the last
 * cell means nothing. */
static inline void turn_cells(const struct cpu_operand *o, uint32_t key, uint32_t cells, uint32_t head,
                uint32_t size, float *to)
{
        const float *from = head_of(o, key, head, size);

        for (uint32_t c = 0; c < size; c += LANES)
                for (uint32_t i = 0; i < cells; i += LANES) {
                        floats m[LANES];

                        UNROLL
                        for (uint32_t j = 0; j < LANES; j++)
                                m[j] = load_left(from + at_most(i + j, cells - 1) * (size_t)o->columns + c,
                                                size - c, size - c >= LANES);
                        transpose(m);
                        UNROLL
                        for (uint32_t j = 0; j < LANES; j++)
                                store(to + (c + j) * (size_t)CELLS + i, m[j]);
                }
}

/* products[i][cell] = factor · Σ_c x[row + i][c] turned[c][cell] */
static inline void multiply_cells(const struct cpu_operand *x, uint32_t row, uint32_t rows, uint32_t head,
                uint32_t size, const float *turned, float factor, float *products)
{
        outer_product(&(struct outer){
                        .out = products,
                        .out_step = CELLS,
                        .a = head_of(x, row, head, size),
                        .a_row_step = x->columns,
                        .a_step = 1,
                        .b = turned,
                        .b_step = CELLS,
                        .rows = rows,
                        .columns = CELLS,
                        .count = size,
                        .factor = factor,
        });
}

/* The first row that a row looks at. */
static inline uint32_t first_of(const struct cpu_operand *first, uint32_t row)
{
        int32_t value = ((const int32_t *)first->data)[row];

        return value > 0 ? (uint32_t)value : 0;
}

/* Which of the cells from i on of the block of keys from `key` on a row looks at. */
static ALWAYS_INLINE ints cells_seen(uint32_t first, uint32_t row, uint32_t key, uint32_t i)
{
        ints cell;

        UNROLL
        for (unsigned j = 0; j < LANES; j++)
                cell[j] = (int32_t)j;
        cell += (int32_t)(key + i);
        return (cell >= (int32_t)first) & (cell <= (int32_t)row);
}

#endif
