/* SPDX-License-Identifier: Apache-2.0 */
/* dx[r][c] (+)= f0 · Σ_n W[n][c] dy[r][n]. A task has some columns of dx; weights that are not floats become floats
 * a block of rows at a time. Where dx has few columns (through a LoRA adapter's B) and there are registers for it, W is
 * transposed first, lanes are rows of W, and lane l sums those with n = l mod LANES in their order. */
#include "plugins/cpu/lanes/dense.h"
#include "plugins/cpu/lanes/outer.h"

#define TASK_COLUMNS 64u
#define TASK_ROWS                                                                                           \
        96u /* of dx; so that narrow matrices, of which there is one task of columns, are shared out too */
#define BLOCK_ROWS 128u /* of W: with TASK_COLUMNS of floats 32 KiB */

#define THIN 8u       /* columns of dx in a thin tile */
#define THIN_ROWS 3u  /* rows of dx in it: 24 sums */
#define THIN_TASK 12u /* rows of dx that are handed out at a time */

static bool is_thin(const struct cpu_operand *operands)
{
        return REGISTERS >= 32 && operands[0].columns <= 2 * THIN &&
               operands[2].columns == operands[0].columns && operands[2].dtype == QVF_F32;
}

static size_t thin_bytes(const struct cpu_operand *operands) /* of the transposed weights */
{
        return round_up(operands[0].columns, THIN) * round_up(operands[2].rows, LANES) * sizeof(float);
}

/* Columns c to c + THIN - 1 of W: [row / LANES][column][LANES rows], zeros where there is nothing. */
static float *thin_weights(const struct cpu_call *call, uint32_t c)
{
        return (float *)call->scratch + c * round_up(call->operand[2].rows, LANES);
}

/* `rows` rows of W, at most LANES, and THIN columns from c on. */
static void turn_some(const struct cpu_operand *w, uint32_t n, uint32_t rows, uint32_t c, float *to)
{
        for (uint32_t part = 0; part < THIN && c + part < w->columns; part += LANES, to += LANES * LANES) {
                const float *from = (const float *)w->data + (size_t)n * w->columns + c + part;
                uint32_t columns = w->columns - c - part < THIN - part ? w->columns - c - part : THIN - part;
                floats m[LANES];

                for (uint32_t i = 0; i < LANES; i++)
                        m[i] = i < rows ? load_left(from + (size_t)i * w->columns, columns, false) : zeros();
                transpose(m);
                for (uint32_t i = 0; i < LANES && i < THIN; i++)
                        store(to + i * LANES, m[i]);
        }
}

static void turn_weights(const struct cpu_call *call)
{
        const struct cpu_operand *w = &call->operand[2];
        uint32_t begin, end;

        cpu_share(call, w->rows, LANES, &begin, &end);
        for (uint32_t c = 0; c < w->columns; c += THIN)
                for (uint32_t n = begin; n < end; n += LANES)
                        turn_some(w, n, end - n, c, thin_weights(call, c) + (size_t)n * THIN);
}

/* A vector of each of R rows of dy, times THIN columns of weights. */
static ALWAYS_INLINE void thin_step(
                const float *weights, const floats from[], floats acc[], const unsigned R)
{
        UNROLL
        for (unsigned i = 0; i < THIN; i++) {
                floats w = load(weights + i * LANES);

                UNROLL
                for (unsigned r = 0; r < R; r++)
                        acc[r * THIN + i] = fma_of(w, from[r], acc[r * THIN + i]);
        }
}

/* Columns c to c + THIN - 1 of R rows of dx. */
static ALWAYS_INLINE void thin_tile(const struct cpu_call *call, uint32_t row, uint32_t c, const unsigned R)
{
        const struct cpu_operand *dx = &call->operand[0];
        uint32_t outputs = call->operand[2].rows, n = 0;
        const float *dy = (const float *)call->operand[1].data + (size_t)row * outputs;
        const float *weights = thin_weights(call, c);
        floats acc[THIN_ROWS * THIN], from[THIN_ROWS];
        float sums[THIN_ROWS * THIN];

        UNROLL
        for (unsigned i = 0; i < R * THIN; i++)
                acc[i] = zeros();
        for (; n + LANES <= outputs; n += LANES, weights += THIN * LANES) {
                UNROLL
                for (unsigned r = 0; r < R; r++)
                        from[r] = load(dy + (size_t)r * outputs + n);
                thin_step(weights, from, acc, R);
        }
        if (n < outputs) {
                UNROLL
                for (unsigned r = 0; r < R; r++)
                        from[r] = load_left(dy + (size_t)r * outputs + n, outputs - n, false);
                thin_step(weights, from, acc, R);
        }
        fold_some(acc, R * THIN, sums);
        for (unsigned i = 0; i < R * THIN; i++) {
                float *to = (float *)dx->data + (size_t)(row + i / THIN) * dx->columns + c + i % THIN;
                float sum = sums[i] * call->op->f[0];

                if (c + i % THIN < dx->columns)
                        *to = call->op->flags & QVF_ACCUMULATE ? *to + sum : sum;
        }
}

static void thin(const struct cpu_call *call)
{
        uint32_t tasks = (call->rows + THIN_TASK - 1) / THIN_TASK;

        turn_weights(call);
        cpu_barrier(call);
        for (uint32_t task = cpu_next(call); task < tasks; task = cpu_next(call)) {
                uint32_t begin = task * THIN_TASK;
                uint32_t end = call->rows - begin < THIN_TASK ? call->rows : begin + THIN_TASK;

                for (uint32_t c = 0; c < call->operand[0].columns; c += THIN) {
                        uint32_t row = begin;

                        for (; row + THIN_ROWS <= end; row += THIN_ROWS)
                                thin_tile(call, row, c, THIN_ROWS);
                        for (; row < end; row++)
                                thin_tile(call, row, c, 1);
                }
                cpu_pause_point(call);
        }
}

void LEVEL(matmul_backward)(const struct cpu_call *call)
{
        const struct cpu_operand *dx = &call->operand[0], *dy = &call->operand[1], *w = &call->operand[2];
        float *block = (float *)call->scratch + call->thread * (size_t)BLOCK_ROWS * TASK_COLUMNS;
        uint32_t column_tasks = (dx->columns + TASK_COLUMNS - 1) / TASK_COLUMNS;
        uint32_t row_tasks = (call->rows + TASK_ROWS - 1) / TASK_ROWS;

        if (is_thin(call->operand)) {
                thin(call);
                return;
        }
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
        if (is_thin(operands))
                return thin_bytes(operands);
        return operands[2].dtype == QVF_F32 ? 0
                                            : (size_t)n_threads * BLOCK_ROWS * TASK_COLUMNS * sizeof(float);
}

bool LEVEL(matmul_backward_supports)(const struct qvf_op *op, const struct cpu_operand *operands)
{
        const struct cpu_operand *dx = &operands[0], *w = &operands[2];

        (void)op;
        return dense_known(w->dtype) && !w->packed && (!dense_blocks(w->dtype) || dx->columns % LANES == 0);
}
