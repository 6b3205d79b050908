/* SPDX-License-Identifier: Apache-2.0 */
/* A product of floats whose right side is read row by row: out[i][c] (+)= factor · Σ_k a(i, k) b[k][c]. Lanes are
 * columns, and k runs in its order in one sum, so no result depends on the shape of the tiles. */
#ifndef QVF_PLUGINS_CPU_AVX512_OUTER_H
#define QVF_PLUGINS_CPU_AVX512_OUTER_H

#include "plugins/cpu/avx512/vector.h"

struct outer {
        float *out;
        const float *a, *b;
        size_t out_step, b_step;       /* from row to row */
        size_t a_row_step, a_step;     /* from i to i + 1 and from k to k + 1 */
        uint32_t rows, columns, count; /* i, c, k */
        float factor;
        bool accumulate;
};

#define OUTER_MOST 24u /* vectors of sums in a tile */

/* Rows i to i + I - 1, V vectors of columns from c on, the last with `last` lanes. */
static ALWAYS_INLINE void outer_tile(const struct outer *o, uint32_t i, uint32_t c, __mmask16 last,
                const unsigned I, const unsigned V)
{
        const float *a = o->a + i * o->a_row_step, *b = o->b + c;
        const __m512 factor = _mm512_set1_ps(o->factor);
        size_t a_row_step = o->a_row_step, a_step = o->a_step, b_step = o->b_step;
        __m512 acc[OUTER_MOST];

        UNROLL
        for (unsigned j = 0; j < I * V; j++)
                acc[j] = _mm512_setzero_ps();
        for (uint32_t k = o->count; k > 0; k--) {
                __m512 right[4];

                UNROLL
                for (unsigned v = 0; v < V; v++)
                        right[v] = v == V - 1 ? _mm512_maskz_loadu_ps(last, b + v * LANES)
                                              : _mm512_loadu_ps(b + v * LANES);
                UNROLL
                for (unsigned r = 0; r < I; r++) {
                        __m512 left = _mm512_set1_ps(a[r * a_row_step]);

                        UNROLL
                        for (unsigned v = 0; v < V; v++)
                                acc[r * V + v] = _mm512_fmadd_ps(left, right[v], acc[r * V + v]);
                }
                a += a_step;
                b += b_step;
        }
        UNROLL
        for (unsigned j = 0; j < I * V; j++) {
                float *out = o->out + (i + j / V) * o->out_step + c + j % V * LANES;
                __mmask16 there = j % V == V - 1 ? last : 0xffff;
                __m512 sum = _mm512_mul_ps(acc[j], factor);

                if (o->accumulate)
                        sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(there, out));
                _mm512_mask_storeu_ps(out, there, sum);
        }
}

static ALWAYS_INLINE void outer_rows(
                const struct outer *o, uint32_t c, __mmask16 last, const unsigned I, const unsigned V)
{
        uint32_t i = 0;

        for (; i + I <= o->rows; i += I)
                outer_tile(o, i, c, last, I, V);
        for (; i + 2 <= o->rows; i += 2)
                outer_tile(o, i, c, last, 2, V);
        if (i < o->rows)
                outer_tile(o, i, c, last, 1, V);
}

/* Columns [c, c + 16 V) at most; says how many vectors it took. 8 or 16 rows (a LoRA adapter's A) are whole tiles of
 * 8 with three vectors. */
static inline uint32_t outer_columns(const struct outer *o, uint32_t c)
{
        bool eights = o->rows == 8 || o->rows == 16;
        uint32_t left = (o->columns - c + LANES - 1) / LANES;
        uint32_t now = left <= 3 ? left : left == 5 || left == 6 || eights ? 3 : 4;
        __mmask16 last = lanes_left(o->columns - c - (now - 1) * LANES);

        switch (now) {
        case 1: outer_rows(o, c, last, 12, 1); break;
        case 2: outer_rows(o, c, last, 12, 2); break;
        case 3: outer_rows(o, c, last, 8, 3); break;
        default: outer_rows(o, c, last, 6, 4); break;
        }
        return now;
}

static inline void outer_product(const struct outer *o)
{
        for (uint32_t c = 0; c < o->columns;)
                c += outer_columns(o, c) * LANES;
}

#endif
