/* SPDX-License-Identifier: Apache-2.0 */
/* Ternary weights as a file has them, and what the products with them are given: the part that the kernels of avx512/, bytes/,
 * arm/ and amx/ have in common. A code is a weight plus 1: 0, 1 or 2. */
#ifndef QVF_PLUGINS_CPU_LANES_TERNARY_H
#define QVF_PLUGINS_CPU_LANES_TERNARY_H

#include <stdbool.h>

#include "plugins/cpu/lanes/lanes.h"
#include "qvf/dtype.h"
#include "qvf/ops.h"

#define TQ2_BLOCK 66u /* bytes of QVF_TERNARY_BLOCK weights, and where their scale stands */
#define TQ2_SCALE 64u
#define TQ1_BLOCK 54u
#define TQ1_SCALE 52u
#define TQ1_DIGITS 5u
#define DECODE_ROWS 4u /* up to here weights are multiplied as they stand, without a panel */

static inline size_t ternary_block_bytes(uint32_t dtype)
{
        return dtype == QVF_TQ1_0 ? TQ1_BLOCK : TQ2_BLOCK;
}

static inline size_t ternary_row_bytes(uint32_t dtype, uint32_t columns)
{
        return columns / QVF_TERNARY_BLOCK * ternary_block_bytes(dtype);
}

/* A block whose scale is 0 has no weights but 0, whatever its codes say. */
static ALWAYS_INLINE bool scale_is_zero(const uint8_t *scale)
{
        uint16_t half;

        memcpy(&half, scale, sizeof(half));
        return (uint16_t)(half << 1) == 0;
}

struct ternary_product { /* y[r][n] = weight_scale · scale[r] · Σ_c W[n][c] q[r][c] */
        float *y;
        const int8_t *q;
        const float *scale;
        const uint8_t *weights;
        uint32_t dtype;
        uint32_t rows, outputs, columns, blocks;
        size_t row_bytes;
        float weight_scale;
        uintptr_t end; /* of the weights that this thread reads: decode fetches no further */
};

static inline struct ternary_product ternary_product_of(const struct cpu_call *call)
{
        const struct cpu_operand *w = &call->operand[3];

        return (struct ternary_product){
                .y = call->operand[0].data,
                .q = call->operand[1].data,
                .scale = call->operand[2].data,
                .weights = w->data,
                .dtype = w->dtype,
                .rows = call->rows,
                .outputs = w->rows,
                .columns = w->columns,
                .blocks = w->columns / QVF_TERNARY_BLOCK,
                .row_bytes = ternary_row_bytes(w->dtype, w->columns),
                .weight_scale = w->scale,
        };
}

/* weight_scale · scale[row] to twice the precision of float: rounded to float, the product of two scales moves results
 * across the ties of the next quantisation. See docs/arithmetic.md. */
struct ternary_factor {
        float high, low;
};

static inline struct ternary_factor ternary_factor(const struct ternary_product *p, uint32_t row)
{
        double factor = (double)p->weight_scale * (double)p->scale[row];
        float high = (float)factor;

        return (struct ternary_factor){ high, (float)(factor - (double)high) };
}

/* Whether these products take such weights: as a file has them, each row with one scale. */
static inline bool ternary_takes(const struct cpu_operand *w)
{
        return (w->dtype == QVF_TQ2_0 || w->dtype == QVF_TQ1_0) && !w->packed && !w->block_scales &&
               w->columns % QVF_TERNARY_BLOCK == 0 && w->columns > 0;
}

#endif
