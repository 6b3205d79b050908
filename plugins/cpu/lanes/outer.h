/* SPDX-License-Identifier: Apache-2.0 */
/* A product of floats whose right side is read row by row: out[i][c] (+)= factor · Σ_k a(i, k) b[k][c]. Lanes are
 * columns, and k runs in its order in one sum, so no result depends on the shape of the tiles. */
#ifndef QVF_PLUGINS_CPU_LANES_OUTER_H
#define QVF_PLUGINS_CPU_LANES_OUTER_H

#include "plugins/cpu/lanes/lanes.h"

struct outer {
        float *out;
        const float *a, *b;
        size_t out_step, b_step;       /* from row to row */
        size_t a_row_step, a_step;     /* from i to i + 1 and from k to k + 1 */
        uint32_t rows, columns, count; /* i, c, k */
        float factor;
        bool accumulate;
};

/* Sums in a tile; the vectors of b, one of a and one product need the other registers. */
#define OUTER_ROWS 6u
#define OUTER_VECTORS (REGISTERS >= 32 ? 4u : 2u)
#define OUTER_SUMS (OUTER_ROWS * OUTER_VECTORS)
#define OUTER_TAIL 64u /* rows of b whose last columns are padded at a time */
/* Up to here reading and writing `out` is most of the work: it is gone through row by row, unless rows are short. */
#define OUTER_SHALLOW 32u
#define OUTER_NARROW 128u

/* Rows i to i + I - 1, V vectors of columns from c on; `whole` is a constant that says that all of them are there, and
 * not only `left` columns of the last vector. */
static ALWAYS_INLINE void outer_tile(const struct outer *o, uint32_t i, uint32_t c, uint32_t left,
                const bool whole, const unsigned I, const unsigned V)
{
        const float *a = o->a + i * o->a_row_step, *b = o->b + c;
        size_t a_row_step = o->a_row_step, a_step = o->a_step, b_step = o->b_step;
        floats acc[OUTER_SUMS];

        UNROLL
        for (unsigned j = 0; j < I * V; j++)
                acc[j] = zeros();
        for (uint32_t k = o->count; k > 0; k--, a += a_step, b += b_step) {
                floats right[OUTER_VECTORS];

                UNROLL
                for (unsigned v = 0; v < V; v++)
                        right[v] = load_left(b + v * LANES, left, whole || v < V - 1);
                UNROLL
                for (unsigned r = 0; r < I; r++) {
                        floats number = all(a[r * a_row_step]);

                        UNROLL
                        for (unsigned v = 0; v < V; v++)
                                acc[r * V + v] = fma_of(number, right[v], acc[r * V + v]);
                }
        }
        UNROLL
        for (unsigned j = 0; j < I * V; j++) {
                float *out = o->out + (i + j / V) * o->out_step + c + j % V * LANES;
                bool there = whole || j % V < V - 1;
                floats sum = acc[j] * all(o->factor);

                store_left(out, left, there, o->accumulate ? sum + load_left(out, left, there) : sum);
        }
}

/* Columns [c, c + V vectors) of all rows. */
static ALWAYS_INLINE void outer_rows(
                const struct outer *o, uint32_t c, uint32_t left, const bool whole, const unsigned V)
{
        uint32_t i = 0;

        for (; i + OUTER_SUMS / V <= o->rows; i += OUTER_SUMS / V)
                outer_tile(o, i, c, left, whole, OUTER_SUMS / V, V);
        for (; i + 4 <= o->rows; i += 4)
                outer_tile(o, i, c, left, whole, 4, V);
        for (; i + 2 <= o->rows; i += 2)
                outer_tile(o, i, c, left, whole, 2, V);
        if (i < o->rows)
                outer_tile(o, i, c, left, whole, 1, V);
}

#ifdef LOADS_SOME
/* The last columns, not only whole vectors of them. */
static inline void outer_tail(const struct outer *o, uint32_t c)
{
        uint32_t left = o->columns - c, vectors = left / LANES + 1;

        switch (vectors) {
        case 1: outer_rows(o, c, left, false, 1); break;
        case 2: outer_rows(o, c, left - LANES, false, 2); break;
        case 3: outer_rows(o, c, left - 2 * LANES, false, 3); break;
        default: outer_rows(o, c, left - 3 * LANES, false, 4); break;
        }
}
#else
/* The last columns, fewer than a vector: rows of b are padded with zeros, some at a time. */
static inline void outer_tail(const struct outer *o, uint32_t c)
{
        float padded[OUTER_TAIL * LANES] __attribute__((aligned(LINE)));
        uint32_t left = o->columns - c;

        for (uint32_t k = 0; k < o->count; k += OUTER_TAIL) {
                struct outer some = *o;

                some.count = o->count - k < OUTER_TAIL ? o->count - k : OUTER_TAIL;
                some.accumulate = k > 0 || o->accumulate;
                some.out = o->out + c;
                some.a = o->a + k * o->a_step;
                some.b = padded;
                some.b_step = LANES;
                for (uint32_t j = 0; j < some.count; j++)
                        store(padded + j * LANES, load_left(o->b + (k + j) * o->b_step + c, left, false));
                outer_rows(&some, 0, left, false, 1);
        }
}
#endif

static inline void outer_columns(const struct outer *o)
{
        uint32_t c = 0;

        if (OUTER_SUMS == 24 &&
                        (o->rows == 8 || o->rows == 16)) /* a LoRA adapter's A: whole tiles of 8 rows */
                for (; c + 3 * LANES <= o->columns; c += 3 * LANES)
                        outer_rows(o, c, LANES, true, 3);
        for (; c + OUTER_VECTORS * LANES <= o->columns; c += OUTER_VECTORS * LANES)
                outer_rows(o, c, LANES, true, OUTER_VECTORS);
#ifdef LOADS_SOME
        if ((o->columns - c) % LANES > 0) {
                outer_tail(o, c);
                return;
        }
#endif
        if (OUTER_VECTORS > 2)
                for (; c + 2 * LANES <= o->columns; c += 2 * LANES)
                        outer_rows(o, c, LANES, true, 2);
        for (; c + LANES <= o->columns; c += LANES)
                outer_rows(o, c, LANES, true, 1);
        if (c < o->columns)
                outer_tail(o, c);
}

static inline void outer_product(const struct outer *o)
{
        struct outer some = *o;

        if (o->count > OUTER_SHALLOW || o->columns <= OUTER_NARROW) {
                outer_columns(o);
                return;
        }
        for (uint32_t i = 0; i < o->rows; i += some.rows) {
                some.rows = o->rows - i < OUTER_ROWS ? o->rows - i : OUTER_ROWS;
                some.out = o->out + i * o->out_step;
                some.a = o->a + i * o->a_row_step;
                outer_columns(&some);
        }
}

#endif
