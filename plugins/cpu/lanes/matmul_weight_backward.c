/* SPDX-License-Identifier: Apache-2.0 */
/* dW[n][c] (+)= f0 · Σ_r dy[r][n] x[r][c]. Lanes are columns of dW, or, where these are few (a LoRA adapter's B) and there
 * are registers for it, its rows. Either way a number of dW is one sum over r in its order. */
#include "plugins/cpu/lanes/outer.h"

#define TASK_COLUMNS (REGISTERS < 32 ? 64u : 96u) /* whole tiles */
#define TASK_ROWS 96u                             /* of dW */
#define THIN 8u                                   /* columns of a tile whose lanes are rows */
#define THIN_VECTORS 3u                           /* of rows in it */
#define THIN_TASK (24u * LANES)                   /* rows of a task */

/* Columns c to c + THIN - 1 of the rows [n, n + V vectors); `whole`: all of these rows are there, and not only one vector's
 * first `rows`. */
static ALWAYS_INLINE void thin_tile(const struct cpu_call *call, uint32_t n, uint32_t rows, uint32_t c,
                const bool whole, const unsigned V)
{
        const struct cpu_operand *dw = &call->operand[0];
        uint32_t columns = dw->columns - c < THIN ? dw->columns - c : THIN;
        const float *dy = (const float *)call->operand[1].data + n, *x = call->operand[2].data;
        floats acc[THIN * THIN_VECTORS];
        float sums[LANES];
        uint32_t at[THIN];

        UNROLL
        for (unsigned i = 0; i < THIN;
                        i++) /* one that is not there is summed as the last one, for nothing */
                at[i] = c + (i < columns ? i : columns - 1);
        UNROLL
        for (unsigned i = 0; i < THIN * V; i++)
                acc[i] = zeros();
        for (uint32_t r = call->rows; r > 0; r--, dy += call->operand[1].columns, x += dw->columns) {
                floats from[THIN_VECTORS];

                UNROLL
                for (unsigned v = 0; v < V; v++)
                        from[v] = load_left(dy + v * LANES, rows, whole);
                UNROLL
                for (unsigned i = 0; i < THIN; i++) {
                        floats number = all(x[at[i]]);

                        UNROLL
                        for (unsigned v = 0; v < V; v++)
                                acc[i * V + v] = fma_of(from[v], number, acc[i * V + v]);
                }
        }
        UNROLL
        for (unsigned i = 0; i < THIN * V; i++) {
                float *to = (float *)dw->data + (size_t)(n + i % V * LANES) * dw->columns + c + i / V;

                store(sums, acc[i] * all(call->op->f[0]));
                for (uint32_t j = 0; i / V < columns && j < LANES && (whole || j < rows);
                                j++, to += dw->columns)
                        *to = call->op->flags & QVF_ACCUMULATE ? *to + sums[j] : sums[j];
        }
}

static void thin_rows(const struct cpu_call *call, uint32_t n, uint32_t end)
{
        for (uint32_t c = 0; c < call->operand[0].columns; c += THIN) {
                uint32_t i = n;

                for (; i + THIN_VECTORS * LANES <= end; i += THIN_VECTORS * LANES)
                        thin_tile(call, i, LANES, c, true, THIN_VECTORS);
                for (; i + LANES <= end; i += LANES)
                        thin_tile(call, i, LANES, c, true, 1);
                if (i < end)
                        thin_tile(call, i, end - i, c, false, 1);
        }
}

static void thin(const struct cpu_call *call)
{
        uint32_t rows = call->operand[0].rows, tasks = (rows + THIN_TASK - 1) / THIN_TASK;

        for (uint32_t task = cpu_next(call); task < tasks; task = cpu_next(call)) {
                uint32_t n = task * THIN_TASK;

                thin_rows(call, n, rows - n < THIN_TASK ? rows : n + THIN_TASK);
                cpu_pause_point(call);
        }
}

void LEVEL(matmul_weight_backward)(const struct cpu_call *call)
{
        const struct cpu_operand *dw = &call->operand[0], *dy = &call->operand[1], *x = &call->operand[2];
        uint32_t column_tasks = (dw->columns + TASK_COLUMNS - 1) / TASK_COLUMNS;
        uint32_t row_tasks = (dw->rows + TASK_ROWS - 1) / TASK_ROWS;

        if (REGISTERS >= 32 && dw->columns <= 2 * THIN) {
                thin(call);
                return;
        }
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
