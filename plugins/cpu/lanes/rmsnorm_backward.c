/* SPDX-License-Identifier: Apache-2.0 */
/* With t = 1 / sqrt(mean(x²) + f0): dx (+)= t w dy - x t³ / C Σ(x w dy) */
#include <math.h>

#include "plugins/cpu/lanes/sums.h"

struct row { /* of each operand */
        float *dx;
        const float *x, *w, *dy;
        float t, along; /* along: t³ / C Σ(x w dy) */
};

static ALWAYS_INLINE void backward_numbers(
                const struct row *row, uint32_t c, uint32_t left, const bool whole, bool accumulate)
{
        floats d = load_left(row->x + c, left, whole) * all(-row->along);
        floats scaled = load_left(row->w + c, left, whole) * all(row->t);

        d = fma_of(scaled, load_left(row->dy + c, left, whole), d);
        if (accumulate)
                d += load_left(row->dx + c, left, whole);
        store_left(row->dx + c, left, whole, d);
}

void LEVEL(rmsnorm_backward)(const struct cpu_call *call)
{
        bool accumulate = call->op->flags & QVF_ACCUMULATE;
        uint32_t begin, end, columns = call->operand[1].columns;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                size_t at = (size_t)r * columns;
                struct row row = {
                        .dx = (float *)call->operand[0].data + at,
                        .x = (const float *)call->operand[1].data + at,
                        .w = call->operand[2].data,
                        .dy = (const float *)call->operand[3].data + at,
                };
                double t = 1 / sqrt(sum_products(row.x, row.x, columns) / columns + (double)call->op->f[0]);
                uint32_t c = 0;

                row.t = (float)t;
                row.along = (float)(sum_triples(row.x, row.w, row.dy, columns) * t * t * t / columns);
                for (; c + LANES <= columns; c += LANES)
                        backward_numbers(&row, c, LANES, true, accumulate);
                if (c < columns)
                        backward_numbers(&row, c, columns - c, false, accumulate);
        }
}
