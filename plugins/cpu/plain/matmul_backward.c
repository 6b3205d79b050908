/* SPDX-License-Identifier: Apache-2.0 */
/* dx[r][c] (+)= f0 * Σ_n W[n][c] dy[r][n]; of ternary weights W.scale stands for f0. */
#include "plugins/cpu/plain/plain.h"

/* One tile: PLAIN_ROWS rows of dx by PLAIN_COLUMNS columns. */
static void tile(const struct plain_transposed *p, uint32_t row, uint32_t column)
{
        uint32_t rows = plain_min(PLAIN_ROWS, p->row_end - row);
        uint32_t columns = plain_min(PLAIN_COLUMNS, p->dx->columns - column);
        double sums[PLAIN_ROWS][PLAIN_COLUMNS] = { 0 };
        float weights[PLAIN_COLUMNS];

        for (uint32_t n = 0; n < p->count; n++) {
                plain_dequantise(p->weight, p->first + n, column, columns, weights);
                for (uint32_t r = 0; r < rows; r++) {
                        double d = p->dy[(row - p->row_0 + r) * p->dy_stride + n];

                        for (uint32_t c = 0; c < columns; c++)
                                sums[r][c] += d * weights[c];
                }
        }
        for (uint32_t r = 0; r < rows; r++) {
                float *to = plain_row(p->dx, row + r) + column;

                for (uint32_t c = 0; c < columns; c++)
                        to[c] = (float)(p->accumulate ? to[c] + p->factor * sums[r][c]
                                                      : p->factor * sums[r][c]);
        }
}

void plain_transposed_product(const struct cpu_call *call, const struct plain_transposed *product)
{
        uint32_t tiles = (product->dx->columns + PLAIN_COLUMNS - 1) / PLAIN_COLUMNS, begin, end;

        cpu_share(call, tiles, 1, &begin, &end);
        for (uint32_t t = begin; t < end; t++) {
                for (uint32_t row = product->row_0; row < product->row_end; row += PLAIN_ROWS) {
                        tile(product, row, t * PLAIN_COLUMNS);
                        cpu_pause_point(call);
                }
        }
}

static void backward(const struct cpu_call *call, double factor)
{
        const struct cpu_operand *dy = &call->operand[1], *weight = &call->operand[2];

        plain_transposed_product(call, &(struct plain_transposed){
                                                       .weight = weight,
                                                       .dx = &call->operand[0],
                                                       .dy = dy->data,
                                                       .dy_stride = dy->columns,
                                                       .row_end = call->rows,
                                                       .count = weight->rows,
                                                       .factor = factor,
                                                       .accumulate = call->op->flags & QVF_ACCUMULATE,
                                       });
}

void plain_matmul_backward(const struct cpu_call *call)
{
        backward(call, call->op->f[0]);
}

void plain_matmul_ternary_backward(const struct cpu_call *call)
{
        backward(call, 1); /* plain_dequantise() puts the scale in */
}
