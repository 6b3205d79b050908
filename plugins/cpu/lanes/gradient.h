/* SPDX-License-Identifier: Apache-2.0 */
/* dx[r][c] (+)= scale · Σ_n W[n][c] dy[r][n] through ternary weights: what its kernels in avx512/, bytes/, arm/ and amx/ have in
 * common.
 *
 * In integers, as the forward product: a row of dy is two rows of bytes, dy = m / 127 · (q + p / 254), q rounded and p what
 * rounding lost; that is right to 2⁻¹⁶ of the row's largest number. A panel of weights, as bytes, is multiplied by them. */
#ifndef QVF_PLUGINS_CPU_LANES_GRADIENT_H
#define QVF_PLUGINS_CPU_LANES_GRADIENT_H

#include "plugins/cpu/lanes/ternary.h"

#define LOST 254.0f /* steps of p in one step of q */

struct gradient_row {
        float factor; /* W.scale · m / 127 */
        int32_t q_sum, p_sum;
        int32_t unused;
};

struct gradient_scratch {  /* how a level lays it out, in bytes */
        size_t packed_row; /* a row of bytes */
        size_t packed;     /* all of them */
        size_t panel;      /* of a thread */
};

struct ternary_gradient {
        float *dx;
        const float *dy;
        const uint8_t *weights;
        uint32_t dtype;
        uint32_t rows, outputs, columns; /* outputs: rows of W, columns of dy; columns: of dx */
        size_t row_bytes, packed_row;
        bool accumulate;
        float scale;
        /* In the scratch: */
        int8_t *packed;
        struct gradient_row *row;
        uint8_t *panel;
};

static inline size_t gradient_scratch_bytes(
                const struct gradient_scratch *scratch, uint32_t rows, unsigned n_threads)
{
        return round_up(scratch->packed, LINE) + round_up(rows * sizeof(struct gradient_row), LINE) +
               n_threads * scratch->panel;
}

static inline struct ternary_gradient ternary_gradient_of(
                const struct cpu_call *call, const struct gradient_scratch *scratch)
{
        const struct cpu_operand *dx = &call->operand[0], *dy = &call->operand[1], *w = &call->operand[2];
        uint8_t *at = call->scratch;

        return (struct ternary_gradient){
                .dx = dx->data,
                .dy = dy->data,
                .weights = w->data,
                .dtype = w->dtype,
                .rows = call->rows,
                .outputs = w->rows,
                .columns = dx->columns,
                .row_bytes = ternary_row_bytes(w->dtype, w->columns),
                .packed_row = scratch->packed_row,
                .accumulate = call->op->flags & QVF_ACCUMULATE,
                .scale = w->scale,
                .packed = (int8_t *)at,
                .row = (struct gradient_row *)(at + round_up(scratch->packed, LINE)),
                .panel = at + gradient_scratch_bytes(scratch, dx->rows, call->thread),
        };
}

static inline bool ternary_gradient_supports(const struct cpu_operand *operands)
{
        return ternary_takes(&operands[2]) && operands[0].columns <= operands[2].columns;
}

/* Numbers `at` to `at` + LANES - 1 of `count`, zeros behind their end. */
static ALWAYS_INLINE floats gradient_at(const float *x, uint32_t at, uint32_t count)
{
        if (at + LANES <= count)
                return load(x + at);
        return at < count ? load_left(x + at, count - at, false) : zeros();
}

/* The largest magnitude; no number if one of them is none. */
static inline float gradient_length(const float *x, uint32_t count)
{
        floats most = zeros(), nothing = zeros();

        for (uint32_t i = 0; i < count; i += LANES) {
                floats v = gradient_at(x, i, count);

                most = larger(magnitude(v), most);
                nothing = fma_of(v, zeros(), nothing); /* 0, or not a number */
        }
        return largest(most) + fold(nothing);
}

#endif
