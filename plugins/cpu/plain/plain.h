/* SPDX-License-Identifier: Apache-2.0 */
/* What the plain kernels share. They are written to be read and compared with, not to be fast: sums are
 * taken in double, in one fixed order, by one thread each. */
#ifndef QVF_PLUGINS_CPU_PLAIN_H
#define QVF_PLUGINS_CPU_PLAIN_H

#include "plugins/cpu/kernel.h"

#define PLAIN_COLUMNS 256u /* columns of a tile of a weight: whole blocks of every format */
#define PLAIN_ROWS 8u      /* rows of a tile of activations */

static inline float *plain_row(const struct cpu_operand *matrix, uint32_t row)
{
        return (float *)matrix->data + (size_t)row * matrix->columns;
}

static inline int32_t *plain_integers(const struct cpu_operand *matrix, uint32_t row)
{
        return (int32_t *)matrix->data + (size_t)row * matrix->columns;
}

static inline uint64_t plain_count(const struct cpu_operand *flat)
{
        return (uint64_t)flat->rows * flat->columns;
}

static inline uint32_t plain_min(uint32_t a, uint32_t b)
{
        return a < b ? a : b;
}

/* Scratch that each thread has for itself; plain_thread_bytes() of it must be asked for, for each thread. */
static inline size_t plain_thread_bytes(size_t bytes)
{
        return (bytes + 63) / 64 * 64;
}

static inline void *plain_thread_scratch(const struct cpu_call *call, size_t bytes)
{
        return (char *)call->scratch + call->thread * plain_thread_bytes(bytes);
}

/* Σ a[i] b[i] in eight interleaved sums. */
static inline double plain_dot(const float *a, const float *b, uint32_t count)
{
        double sum[8] = { 0 };
        uint32_t i = 0;

        for (; i + 8 <= count; i += 8)
                for (uint32_t j = 0; j < 8; j++)
                        sum[j] += (double)a[i + j] * b[i + j];
        for (; i < count; i++)
                sum[i % 8] += (double)a[i] * b[i];
        return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

size_t plain_row_bytes(uint32_t dtype, uint32_t columns);

/* Numbers `column` to `column + count` of a row of any dtype, as floats. Of other dtypes than the ternary
 * ones matrix->scale means nothing. */
void plain_dequantise(
                const struct cpu_operand *matrix, uint32_t row, uint32_t column, uint32_t count, float *to);
/* A whole row into F32, F16, BF16 or Q8_0. */
void plain_store(const struct cpu_operand *matrix, uint32_t row, const float *from);
/* The 256 codes (-1, 0, 1) of a block of TQ1_0 or TQ2_0 and its stored scale. */
void plain_ternary_block(uint32_t dtype, const uint8_t *bytes, int8_t codes[256], float *ret_scale);

/* dx[r][c] (+)= factor · Σ_n weight[n][c] dy[r][n] for this thread's columns of rows row_0 to row_end; n
 * runs over [first, first + dy_columns), dy[r] stands at dy + (r - row_0) · dy_stride. */
struct plain_transposed {
        const struct cpu_operand *weight, *dx;
        const float *dy;
        size_t dy_stride;
        uint32_t row_0, row_end, first, count;
        double factor;
        bool accumulate;
};
void plain_transposed_product(const struct cpu_call *call, const struct plain_transposed *product);

/* exp of docs/arithmetic.md */
float plain_exp(float x);
/* DRAW of one row: the place of the candidate that is chosen, or -1. */
int32_t plain_draw_row(const float *value, uint32_t count, const float how[4]);

/* Turns the pairs of a head by position · frequency; cosines and sines are multiplied by `magnitude`. */
void plain_turn(float *numbers, uint32_t pairs, int interleaved, double position, const float *frequency,
                float magnitude);

/* The cell of position p of a sequence; UINT32_MAX where the table or the cache has none. */
uint32_t plain_cell(const struct cpu_operand *table, const struct cpu_operand *cache, int32_t sequence,
                int32_t p);

/* The kernels; plain_<operation>_scratch() where one needs scratch. */
void plain_fill(const struct cpu_call *call);
void plain_copy(const struct cpu_call *call);
void plain_embed(const struct cpu_call *call);
void plain_gather(const struct cpu_call *call);
void plain_scatter_add(const struct cpu_call *call);
void plain_kv_store(const struct cpu_call *call);
void plain_kv_copy(const struct cpu_call *call);
void plain_kv_rotate(const struct cpu_call *call);
void plain_add(const struct cpu_call *call);
void plain_rmsnorm(const struct cpu_call *call);
void plain_quantize(const struct cpu_call *call);
void plain_matmul_ternary(const struct cpu_call *call);
void plain_matmul(const struct cpu_call *call);
void plain_rope(const struct cpu_call *call);
void plain_attention(const struct cpu_call *call);
void plain_gate(const struct cpu_call *call);
void plain_top_k(const struct cpu_call *call);
void plain_dropout(const struct cpu_call *call);
void plain_attention_train(const struct cpu_call *call);
void plain_head_loss(const struct cpu_call *call);
void plain_rmsnorm_backward(const struct cpu_call *call);
void plain_matmul_ternary_backward(const struct cpu_call *call);
void plain_matmul_backward(const struct cpu_call *call);
void plain_matmul_weight_backward(const struct cpu_call *call);
void plain_attention_train_backward(const struct cpu_call *call);
void plain_gate_backward(const struct cpu_call *call);
void plain_square_sum(const struct cpu_call *call);
void plain_adamw(const struct cpu_call *call);
void plain_draw(const struct cpu_call *call);

size_t plain_copy_scratch(const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);
size_t plain_kv_rotate_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);
size_t plain_matmul_ternary_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);
size_t plain_matmul_scratch(const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);
size_t plain_attention_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);
size_t plain_attention_train_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);
size_t plain_head_loss_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);
size_t plain_attention_train_backward_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);
size_t plain_square_sum_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);

#endif
