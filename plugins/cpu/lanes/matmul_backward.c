/* SPDX-License-Identifier: Apache-2.0 */
/* dx[r][c] (+)= f0 · Σ_n W[n][c] dy[r][n]. A task has some columns of dx; weights that are not floats become floats
 * a block of rows at a time. */
#include "plugins/cpu/lanes/dense.h"
#include "plugins/cpu/lanes/outer.h"

#define TASK_COLUMNS 64u
#define TASK_ROWS                                                                                           \
        96u /* of dx; so that narrow matrices, of which there is one task of columns, are shared out too */
#define BLOCK_ROWS 128u /* of W: with TASK_COLUMNS of floats 32 KiB */

void LEVEL(matmul_backward)(const struct cpu_call *call)
{
        const struct cpu_operand *dx = &call->operand[0], *dy = &call->operand[1], *w = &call->operand[2];
        float *block = (float *)call->scratch + call->thread * (size_t)BLOCK_ROWS * TASK_COLUMNS;
        uint32_t column_tasks = (dx->columns + TASK_COLUMNS - 1) / TASK_COLUMNS;
        uint32_t row_tasks = (call->rows + TASK_ROWS - 1) / TASK_ROWS;

        for (uint32_t task = cpu_next(call); task < column_tasks * row_tasks; task = cpu_next(call)) {
                uint32_t c = task / row_tasks * TASK_COLUMNS, row = task % row_tasks * TASK_ROWS;
                uint32_t columns = dx->columns - c < TASK_COLUMNS ? dx->columns - c : TASK_COLUMNS;

                for (uint32_t n = 0; n < w->rows; n += BLOCK_ROWS) {
                        struct outer o = {
                                .out = (float *)dx->data + (size_t)row * dx->columns + c,
                                .out_step = dx->columns,
                                .a = (const float *)dy->data + (size_t)row * dy->columns + n,
                                .a_row_step = dy->columns,
                                .a_step = 1,
                                .b = block,
                                .b_step = TASK_COLUMNS,
                                .rows = call->rows - row < TASK_ROWS ? call->rows - row : TASK_ROWS,
                                .columns = columns,
                                .count = w->rows - n < BLOCK_ROWS ? w->rows - n : BLOCK_ROWS,
                                .factor = call->op->f[0],
                                .accumulate = n > 0 || (call->op->flags & QVF_ACCUMULATE),
                        };

                        if (w->dtype == QVF_F32) {
                                o.b = (const float *)w->data + (size_t)n * w->columns + c;
                                o.b_step = w->columns;
                        } else {
                                struct dense_part part = dense_part_of(w, n, o.count, c, columns);

                                dense_spread(&part, block, TASK_COLUMNS);
                        }
                        outer_product(&o);
                }
                cpu_pause_point(call);
        }
}

size_t LEVEL(matmul_backward_scratch)(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        (void)op;
        return operands[2].dtype == QVF_F32 ? 0
                                            : (size_t)n_threads * BLOCK_ROWS * TASK_COLUMNS * sizeof(float);
}

bool LEVEL(matmul_backward_supports)(const struct qvf_op *op, const struct cpu_operand *operands)
{
        const struct cpu_operand *dx = &operands[0], *w = &operands[2];

        (void)op;
        return dense_known(w->dtype) && !w->packed && (!dense_blocks(w->dtype) || dx->columns % LANES == 0);
}
