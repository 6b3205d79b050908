/* SPDX-License-Identifier: Apache-2.0 */
/* dW[n][c] (+)= f0 · Σ_r dy[r][n] x[r][c] */
#include "plugins/cpu/lanes/outer.h"

#define TASK_COLUMNS 64u
#define TASK_ROWS 96u /* of dW */

void LEVEL(matmul_weight_backward)(const struct cpu_call *call)
{
        const struct cpu_operand *dw = &call->operand[0], *dy = &call->operand[1], *x = &call->operand[2];
        uint32_t column_tasks = (dw->columns + TASK_COLUMNS - 1) / TASK_COLUMNS;
        uint32_t row_tasks = (dw->rows + TASK_ROWS - 1) / TASK_ROWS;

        for (uint32_t task = cpu_next(call); task < column_tasks * row_tasks; task = cpu_next(call)) {
                uint32_t c = task / row_tasks * TASK_COLUMNS, n = task % row_tasks * TASK_ROWS;
                struct outer o = {
                        .out = (float *)dw->data + (size_t)n * dw->columns + c,
                        .out_step = dw->columns,
                        .a = (const float *)dy->data + n,
                        .a_row_step = 1,
                        .a_step = dy->columns,
                        .b = (const float *)x->data + c,
                        .b_step = x->columns,
                        .rows = dw->rows - n < TASK_ROWS ? dw->rows - n : TASK_ROWS,
                        .columns = dw->columns - c < TASK_COLUMNS ? dw->columns - c : TASK_COLUMNS,
                        .count = call->rows,
                        .factor = call->op->f[0],
                        .accumulate = call->op->flags & QVF_ACCUMULATE,
                };

                outer_product(&o);
                cpu_pause_point(call);
        }
}
