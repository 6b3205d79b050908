/* SPDX-License-Identifier: Apache-2.0 */
/* dW[n][c] (+)= f0 · Σ_r dy[r][n] x[r][c]. Lanes are columns of dW, or, where these are few (a LoRA adapter's B), its
 * rows. Either way a number of dW is one sum over r in its order. */
#include "plugins/cpu/lanes/kernels.h"
#include "plugins/cpu/avx512/outer.h"

#define TASK_COLUMNS 96u /* two tiles of three vectors: a LoRA adapter's A of rank 8 has 24 sums in each */
#define TASK_ROWS 96u    /* of dW */
#define THIN 8u          /* columns of a tile whose lanes are rows */
#define THIN_VECTORS 3u  /* of rows in it */
#define THIN_TASK 384u   /* rows of a task */

/* Columns c to c + THIN - 1 of the rows [n, n + 16 V), those that are there. */
static ALWAYS_INLINE void thin_tile(const struct cpu_call *call, uint32_t n, uint32_t c, const unsigned V)
{
        const struct cpu_operand *dw = &call->operand[0];
        uint32_t rows = dw->rows - n, columns = dw->columns - c < THIN ? dw->columns - c : THIN;
        const float *dy = (const float *)call->operand[1].data + n, *x = call->operand[2].data;
        __mmask16 last = lanes_left(rows - (V - 1) * LANES), there = lanes_left(columns);
        __m512 acc[THIN * THIN_VECTORS];
        uint32_t at[THIN];

        UNROLL
        for (unsigned i = 0; i < THIN;
                        i++) /* a column that is not there is summed as the last one, for nothing */
                at[i] = c + (i < columns ? i : columns - 1);
        UNROLL
        for (unsigned i = 0; i < THIN * V; i++)
                acc[i] = _mm512_setzero_ps();
        for (uint32_t r = call->rows; r > 0; r--) {
                __m512 from[THIN_VECTORS];

                UNROLL
                for (unsigned v = 0; v < V; v++)
                        from[v] = v == V - 1 ? _mm512_maskz_loadu_ps(last, dy + v * LANES)
                                             : _mm512_loadu_ps(dy + v * LANES);
                UNROLL
                for (unsigned i = 0; i < THIN; i++) {
                        __m512 number = _mm512_set1_ps(x[at[i]]);

                        UNROLL
                        for (unsigned v = 0; v < V; v++)
                                acc[i * V + v] = _mm512_fmadd_ps(from[v], number, acc[i * V + v]);
                }
                dy += call->operand[1].columns;
                x += dw->columns;
        }
        UNROLL
        for (unsigned v = 0; v < V; v++) {
                const __m512 factor = _mm512_set1_ps(call->op->f[0]);
                __m512i m[16];

                UNROLL
                for (unsigned i = 0; i < 16; i++)
                        m[i] = i < THIN ? _mm512_castps_si512(_mm512_mul_ps(acc[i % THIN * V + v], factor))
                                        : _mm512_setzero_si512();
                transpose_dwords(m);
                UNROLL
                for (unsigned i = 0; i < 16; i++) {
                        float *to = (float *)dw->data + (size_t)(n + v * LANES + i) * dw->columns + c;
                        __m512 sum = _mm512_castsi512_ps(m[i]);

                        if (v * LANES + i >= rows)
                                break;
                        if (call->op->flags & QVF_ACCUMULATE)
                                sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(there, to));
                        _mm512_mask_storeu_ps(to, there, sum);
                }
        }
}

static void thin_rows(const struct cpu_call *call, uint32_t n, uint32_t end)
{
        for (uint32_t c = 0; c < call->operand[0].columns; c += THIN) {
                uint32_t i = n;

                for (; i + 2 * LANES < end; i += THIN_VECTORS * LANES)
                        thin_tile(call, i, c, THIN_VECTORS);
                for (; i < end; i += LANES)
                        thin_tile(call, i, c, 1);
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

void cpu_avx512_matmul_weight_backward(const struct cpu_call *call)
{
        const struct cpu_operand *dw = &call->operand[0], *dy = &call->operand[1], *x = &call->operand[2];
        uint32_t column_tasks = (dw->columns + TASK_COLUMNS - 1) / TASK_COLUMNS;
        uint32_t row_tasks = (dw->rows + TASK_ROWS - 1) / TASK_ROWS;

        if (dw->columns <= 2 * THIN) {
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
