/* SPDX-License-Identifier: Apache-2.0 */
/* dx[r][c] (+)= f0 · Σ_n W[n][c] dy[r][n]. A task has some columns of dx; weights that are not floats become floats
 * a block of rows at a time. Where dx has few columns (through a LoRA adapter's B), W is transposed first, lanes are
 * rows of W, and lane l sums those with n = l mod 16 in their order. */
#include "plugins/cpu/avx512/dense.h"
#include "plugins/cpu/lanes/kernels.h"
#include "plugins/cpu/avx512/outer.h"

#define TASK_COLUMNS 64u
#define TASK_ROWS                                                                                           \
        96u /* of dx; so that narrow matrices, of which there is one task of columns, are shared out too */
#define BLOCK_ROWS 128u /* of W: with TASK_COLUMNS of floats 32 KiB */

#define THIN 8u       /* columns of dx in a thin tile */
#define THIN_ROWS 3u  /* rows of dx in it: 24 sums */
#define THIN_TASK 12u /* rows of dx that are handed out at a time */

static bool is_thin(const struct cpu_operand *operands)
{
        return operands[0].columns <= 2 * THIN && operands[2].columns == operands[0].columns &&
               operands[2].dtype == QVF_F32;
}

static size_t thin_bytes(const struct cpu_operand *operands) /* of the transposed weights */
{
        return round_up(operands[0].columns, THIN) * round_up(operands[2].rows, LANES) * sizeof(float);
}

/* Columns c to c + THIN - 1 of W: [row / 16][column][16 rows], zeros where there is nothing. */
static float *thin_weights(const struct cpu_call *call, uint32_t c)
{
        return (float *)call->scratch + c * round_up(call->operand[2].rows, LANES);
}

static void transpose(const struct cpu_call *call)
{
        const struct cpu_operand *w = &call->operand[2];
        uint32_t begin, end;

        cpu_share(call, w->rows, LANES, &begin, &end);
        for (uint32_t c = 0; c < w->columns; c += THIN) {
                uint32_t columns = w->columns - c < THIN ? w->columns - c : THIN;

                for (uint32_t n = begin; n < end; n += LANES) {
                        const float *from = (const float *)w->data + (size_t)n * w->columns + c;
                        float *to = thin_weights(call, c) + (size_t)n * THIN;
                        __m512i m[16];

                        for (uint32_t i = 0; i < 16; i++)
                                m[i] = n + i < end ? _mm512_castps_si512(_mm512_maskz_loadu_ps(
                                                                     lanes_left(columns),
                                                                     from + (size_t)i * w->columns))
                                                   : _mm512_setzero_si512();
                        transpose_dwords(m);
                        for (uint32_t i = 0; i < THIN; i++)
                                _mm512_store_si512(to + i * LANES, m[i]);
                }
        }
}

/* Columns c to c + THIN - 1 of R rows of dx. */
static ALWAYS_INLINE void thin_tile(const struct cpu_call *call, uint32_t row, uint32_t c, const unsigned R)
{
        const struct cpu_operand *dx = &call->operand[0];
        uint32_t outputs = call->operand[2].rows;
        const float *dy = (const float *)call->operand[1].data + (size_t)row * outputs;
        const float *weights = thin_weights(call, c);
        __m512 acc[THIN_ROWS * THIN];

        UNROLL
        for (unsigned i = 0; i < R * THIN; i++)
                acc[i] = _mm512_setzero_ps();
        for (uint32_t n = 0; n < outputs; n += LANES) {
                __m512 from[THIN_ROWS];

                UNROLL
                for (unsigned r = 0; r < R; r++)
                        from[r] = _mm512_maskz_loadu_ps(
                                        lanes_left(outputs - n), dy + (size_t)r * outputs + n);
                UNROLL
                for (unsigned i = 0; i < THIN; i++) {
                        __m512 w = _mm512_load_ps(weights + i * LANES);

                        UNROLL
                        for (unsigned r = 0; r < R; r++)
                                acc[r * THIN + i] = _mm512_fmadd_ps(w, from[r], acc[r * THIN + i]);
                }
                weights += THIN * LANES;
        }
        UNROLL
        for (unsigned r = 0; r < R; r++) {
                __m512 *a = acc + r * THIN;
                float *to = (float *)dx->data + (size_t)(row + r) * dx->columns + c;
                __mmask16 there = lanes_left(dx->columns - c < THIN ? dx->columns - c : THIN);
                __m512 sum = _mm512_castps128_ps512(sum_four(a[0], a[1], a[2], a[3]));

                sum = _mm512_insertf32x4(sum, sum_four(a[4], a[5], a[6], a[7]), 1);
                sum = _mm512_mul_ps(sum, _mm512_set1_ps(call->op->f[0]));
                if (call->op->flags & QVF_ACCUMULATE)
                        sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(there, to));
                _mm512_mask_storeu_ps(to, there, sum);
        }
}

static void thin(const struct cpu_call *call)
{
        uint32_t tasks = (call->rows + THIN_TASK - 1) / THIN_TASK;

        transpose(call);
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

static void spread(const struct cpu_operand *w, uint32_t n, uint32_t rows, uint32_t c, uint32_t columns,
                float *block)
{
        size_t row_bytes = dense_row_bytes(w->dtype, w->columns);

        for (uint32_t i = 0; i < rows; i++) {
                const uint8_t *row = (const uint8_t *)w->data + (n + i) * row_bytes;

                for (uint32_t j = 0; j < columns; j += LANES)
                        _mm512_storeu_ps(block + i * TASK_COLUMNS + j,
                                        columns - j >= LANES ? load_weights(w->dtype, row, c + j)
                                                             : load_last_weights(w->dtype, row, c + j,
                                                                               columns - j));
        }
}

void cpu_avx512_matmul_backward(const struct cpu_call *call)
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
                                spread(w, n, o.count, c, columns, block);
                        }
                        outer_product(&o);
                }
                cpu_pause_point(call);
        }
}

size_t cpu_avx512_matmul_backward_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        (void)op;
        if (is_thin(operands))
                return thin_bytes(operands);
        return operands[2].dtype == QVF_F32 ? 0
                                            : (size_t)n_threads * BLOCK_ROWS * TASK_COLUMNS * sizeof(float);
}

bool cpu_avx512_matmul_backward_supports(const struct qvf_op *op, const struct cpu_operand *operands)
{
        const struct cpu_operand *dx = &operands[0], *w = &operands[2];
        bool blocks = w->dtype != QVF_F32 && w->dtype != QVF_F16 && w->dtype != QVF_BF16;

        (void)op;
        return dense_known(w->dtype) && !w->packed && (!blocks || dx->columns % LANES == 0);
}
