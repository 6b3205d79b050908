/* SPDX-License-Identifier: Apache-2.0 */
/* How far a float result may be off, from what the operation is: a sum of n products may be off by n roundings of
 * the sum of their magnitudes, a function of one number by what its own slope makes of one rounding. "Magnitudes" are
 * the plain kernel run over absolute values. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "engine/conformance/internal.h"
#include "plugins/cpu/plain/plain.h"

#define EPSILON CONFORMANCE_EPSILON
#define SMALLEST 1e-37   /* a device may take denormal numbers for zero */
#define SUM_TERMS 4096.0 /* nobody adds up more than this in one float */
/* Gradients through fixed weights need no more than one rounding to bf16, or to two bytes of the row's largest: half of
 * one of 127 · 254 steps and what the division into steps loses, which is this part of bf16's rounding. */
#define BF16_TERMS (0x1p-9 / EPSILON)
#define FIXED_POINT 0x1.08p-7

static int absolute(const struct cpu_operand *from, struct cpu_operand *ret_to)
{
        size_t count = (size_t)from->rows * from->columns;
        float *numbers = malloc(count * sizeof(*numbers) + 1);

        if (!numbers)
                return -ENOMEM;
        for (uint32_t row = 0; row < from->rows; row++)
                plain_dequantise(from, row, 0, from->columns, numbers + (size_t)row * from->columns);
        for (size_t i = 0; i < count; i++)
                numbers[i] = fabsf(numbers[i]);
        *ret_to = (struct cpu_operand){
                .data = numbers, .rows = from->rows, .columns = from->columns, .dtype = QVF_F32, .scale = 1
        };
        return 0;
}

/* Numbers of a row that share one scale are all as wrong as one of this part of the largest. */
static void raise_to_fixed_point(const struct cpu_operand *dy)
{
        for (uint32_t row = 0; row < dy->rows; row++) {
                float *numbers = (float *)dy->data + (size_t)row * dy->columns, largest = 0;

                for (uint32_t c = 0; c < dy->columns; c++)
                        largest = fmaxf(largest, numbers[c]);
                for (uint32_t c = 0; c < dy->columns; c++)
                        numbers[c] += (float)FIXED_POINT * largest;
        }
}

/* Operand 0 of a linear operation over absolute values, times `terms` roundings. Operands of other dtypes than a
 * matrix's are taken as they are. */
static int magnitudes(const struct conformance_run *run, double terms, double *bounds)
{
        struct cpu_operand operands[QVF_OP_OPERANDS] = { 0 };
        bool ours[QVF_OP_OPERANDS] = { 0 };
        struct qvf_op op = run->test->op;
        size_t count = (size_t)run->before[0].rows * run->before[0].columns;
        int r = 0;

        if (op.kind == QVF_OP_MATMUL_TERNARY_BACKWARD) {
                op.kind = QVF_OP_MATMUL_BACKWARD;
                op.f[0] = 1;
        }
        for (unsigned i = 0; i < run->n_operands && r == 0; i++) {
                operands[i] = run->before[i];
                if (!operands[i].data || operands[i].dtype == QVF_I32)
                        continue;
                r = absolute(&run->before[i], &operands[i]);
                ours[i] = r == 0;
                if (r == 0 && i == 1 && run->test->op.kind == QVF_OP_MATMUL_TERNARY_BACKWARD)
                        raise_to_fixed_point(&operands[i]);
        }
        for (unsigned i = 0; i < 4; i++)
                op.f[i] = fabsf(op.f[i]);
        if (r == 0)
                r = qvf_conformance_plain(&op, &run->test->args, run->test->rows, operands);
        for (size_t i = 0; i < count && r == 0; i++)
                bounds[i] = terms * EPSILON * ((float *)operands[0].data)[i] + SMALLEST;
        for (unsigned i = 0; i < run->n_operands; i++)
                if (ours[i])
                        free(operands[i].data);
        return r;
}

static int embed_bounds(const struct conformance_run *run, double *bounds)
{
        for (uint32_t r = 0; r < run->test->rows; r++) {
                const float *y = conformance_row(&run->plain[0], r);
                double largest = 0;

                for (uint32_t c = 0; c < run->plain[0].columns; c++)
                        largest = fmax(largest, fabs((double)y[c]));
                for (uint32_t c = 0; c < run->plain[0].columns; c++)
                        bounds[(size_t)r * run->plain[0].columns + c] = 16 * EPSILON * largest;
        }
        return 0;
}

/* In parts of the result itself. */
static int relative_bounds(
                const struct conformance_run *run, unsigned operand, double roundings, double *bounds)
{
        size_t count = (size_t)run->test->rows * run->plain[operand].columns;

        for (size_t i = 0; i < count; i++)
                bounds[i] = roundings * EPSILON * fabs((double)((float *)run->plain[operand].data)[i]) +
                            SMALLEST;
        return 0;
}

/* The sums are exact integers; with block scales the products with them are added up. */
static int ternary_bounds(const struct conformance_run *run, double *bounds)
{
        const struct cpu_operand *weight = &run->before[3], *q = &run->before[1];
        uint32_t blocks = weight->columns / 256;
        size_t bytes = plain_row_bytes(weight->dtype, 256);

        if (!weight->block_scales)
                return relative_bounds(run, 0, 4, bounds);
        for (uint32_t n = 0; n < weight->rows; n++)
                for (uint32_t b = 0; b < blocks; b++) {
                        int8_t codes[256];
                        float scale;

                        plain_ternary_block(weight->dtype,
                                        (const uint8_t *)weight->data + ((size_t)n * blocks + b) * bytes,
                                        codes, &scale);
                        for (uint32_t r = 0; r < run->test->rows; r++) {
                                const int8_t *from = (const int8_t *)q->data + (size_t)r * q->columns +
                                                     (size_t)b * 256;
                                double sum = 0,
                                       factor = *conformance_row(&run->before[2], r) * weight->scale;

                                for (int i = 0; i < 256; i++)
                                        sum += codes[i] * from[i];
                                bounds[(size_t)r * weight->rows + n] +=
                                                (blocks + 8) * EPSILON * fabs(scale * sum * factor);
                        }
                }
        return 0;
}

/* A turn by an angle t that was rounded: off by t roundings of the pair's length, and a few more. */
static void turn_bounds(const float *x, uint32_t pairs, int interleaved, double position,
                const float *frequency, double magnitude, double *bounds)
{
        for (uint32_t i = 0; i < pairs; i++) {
                uint32_t a = interleaved ? 2 * i : i, b = interleaved ? a + 1 : a + pairs;
                double angle = fabs(position * frequency[i]);
                double bound = (2 * angle + 8) * EPSILON * (fabs((double)x[a]) + fabs((double)x[b])) *
                               fabs(magnitude);

                bounds[a] = bound;
                bounds[b] = bound;
        }
}

static int rope_bounds(const struct conformance_run *run, double *bounds)
{
        const struct qvf_op *op = &run->test->op;
        const struct cpu_operand *x = &run->before[1], *frequency = &run->before[3];

        for (uint32_t r = 0; r < run->test->rows; r++)
                for (uint32_t head = 0; head < x->columns; head += (uint32_t)op->i[0])
                        turn_bounds(conformance_row(x, r) + head, frequency->columns, op->i[1],
                                        *conformance_integers(&run->before[2], r), frequency->data, op->f[1],
                                        bounds + (size_t)r * x->columns + head);
        return 0;
}

/* As a turn; and what is stored is rounded to f16, or to 1/127 of the largest of 32. */
static int kv_rotate_bounds(const struct conformance_run *run, double *bounds)
{
        const struct qvf_op *op = &run->test->op;
        const struct cpu_operand *cache = &run->before[0], *frequency = &run->before[2];
        uint32_t columns = cache->columns;
        _cleanup_free_ float *row = malloc(columns * sizeof(*row));

        if (!row)
                return -ENOMEM;
        for (uint32_t r = 0; r < run->test->rows; r++)
                for (uint32_t i = 0; i < QVF_KV_BLOCK; i++) {
                        const int32_t *turn = conformance_integers(&run->before[1], r);
                        uint32_t cell = (uint32_t)turn[0] * QVF_KV_BLOCK + i;
                        double *to = bounds + (size_t)cell * columns;

                        plain_dequantise(cache, cell, 0, columns, row);
                        for (uint32_t head = 0; head < columns; head += (uint32_t)op->i[0])
                                turn_bounds(row + head, frequency->columns, op->i[1], turn[1],
                                                frequency->data, 1, to + head);
                        plain_dequantise(&run->plain[0], cell, 0, columns, row);
                        for (uint32_t c = 0; c < columns && cache->dtype != QVF_F32; c++) {
                                double largest = 0;

                                for (uint32_t j = c / 32 * 32; j < columns && j < c / 32 * 32 + 32; j++)
                                        largest = fmax(largest, fabs((double)row[j]));
                                to[c] += cache->dtype == QVF_F16 ? fabs((double)row[c]) * 0x1p-10 + 0x1p-24
                                                                 : largest * 1.02 / 127;
                        }
                }
        return 0;
}

static int gate_bounds(const struct conformance_run *run, unsigned operand, double *bounds)
{
        bool backward = run->test->op.kind == QVF_OP_GATE_BACKWARD;
        const struct cpu_operand *gate = &run->before[backward ? 2 : 1],
                                 *up = &run->before[backward ? 3 : 2];
        uint32_t columns = gate->columns;

        for (uint32_t r = 0; r < run->test->rows; r++)
                for (uint32_t c = 0; c < columns; c++) {
                        double g = conformance_row(gate, r)[c], u = conformance_row(up, r)[c],
                               s = 1 / (1 + exp(-g));
                        double d = backward ? conformance_row(&run->before[4], r)[c] : u, size;
                        bool silu = run->test->op.i[0] == 0;

                        if (backward && operand == 0)
                                size = d * u * (silu ? s + fabs(g) * s * (1 - s) : 2 * g);
                        else
                                size = d * (silu ? g * s : g * g);
                        /* exp(-g) is off by g roundings, and 1 - s by one rounding of s */
                        bounds[(size_t)r * columns + c] = (fabs(g) + 16) * EPSILON * fabs(size) + SMALLEST;
                        if (silu && backward && operand == 0)
                                bounds[(size_t)r * columns + c] += 4 * EPSILON * fabs(d * u * g * s);
                }
        return 0;
}

static int rmsnorm_backward_bounds(const struct conformance_run *run, double *bounds)
{
        const struct cpu_operand *x = &run->before[1], *dy = &run->before[3];
        const float *w = run->before[2].data;
        uint32_t columns = x->columns;

        for (uint32_t r = 0; r < run->test->rows; r++) {
                const float *from = conformance_row(x, r), *gradient = conformance_row(dy, r);
                double mean = plain_dot(from, from, columns) / columns, along = 0;
                double t = 1 / sqrt(mean + (double)run->test->op.f[0]);

                for (uint32_t c = 0; c < columns; c++)
                        along += fabs((double)from[c] * w[c] * gradient[c]);
                for (uint32_t c = 0; c < columns; c++) {
                        double size = t * fabs((double)w[c] * gradient[c]) +
                                      fabs((double)from[c]) * t * t * t / columns * along;

                        if (run->test->op.flags & QVF_ACCUMULATE)
                                size += fabs((double)conformance_row(&run->before[0], r)[c]);
                        bounds[(size_t)r * columns + c] = (2.0 * columns + 16) * EPSILON * size;
                }
        }
        return 0;
}

/* The corrections 1 - βⁿ lose what βⁿ has in front of them. */
static int adamw_bounds(const struct conformance_run *run, unsigned operand, double *bounds)
{
        const struct cpu_operand *before = run->before, *plain = run->plain;
        const struct qvf_args *args = &run->test->args;
        const float *f = run->test->op.f;
        double power1 = pow(f[0], args->step), power2 = pow(f[1], args->step);
        double roundings = 16 + 2 * power1 / (1 - power1) + power2 / (1 - power2);
        size_t count = (size_t)plain[operand].rows * plain[operand].columns;
        const float *was = before[operand].data, *is = plain[operand].data, *g = before[1].data;

        for (size_t i = 0; i < count; i++) {
                double size = fabs((double)is[i]) + fabs((double)was[i]);

                if (operand == 0)
                        bounds[i] = EPSILON * (4 * size + roundings * fabs((double)is[i] - was[i]) +
                                                              roundings * args->learning_rate);
                else if (operand == 5 || operand == 6)
                        bounds[i] = 64 * EPSILON * size; /* of scales */
                else
                        bounds[i] = 8 * EPSILON *
                                    (size + (operand == 2 ? fabs((double)g[i]) : (double)g[i] * g[i]));
        }
        return 0;
}

int qvf_conformance_bounds(const struct conformance_run *run, unsigned operand, double *bounds)
{
        const struct cpu_operand *o = run->before;

        switch (run->test->op.kind) {
        case QVF_OP_EMBED: return embed_bounds(run, bounds);
        case QVF_OP_KV_ROTATE: return kv_rotate_bounds(run, bounds);
        case QVF_OP_ADD:
        case QVF_OP_SCATTER_ADD: return magnitudes(run, 4, bounds);
        case QVF_OP_RMSNORM: return relative_bounds(run, operand, o[1].columns / 2.0 + 8, bounds);
        case QVF_OP_QUANTIZE: return relative_bounds(run, operand, 4, bounds);
        case QVF_OP_MATMUL_TERNARY: return ternary_bounds(run, bounds);
        case QVF_OP_MATMUL: return magnitudes(run, o[1].columns + 8.0, bounds);
        case QVF_OP_ROPE: return rope_bounds(run, bounds);
        case QVF_OP_ATTENTION: return qvf_conformance_attention_bounds(run, operand, bounds);
        case QVF_OP_GATE:
        case QVF_OP_GATE_BACKWARD: return gate_bounds(run, operand, bounds);
        case QVF_OP_DROPOUT: return relative_bounds(run, operand, 4, bounds);
        case QVF_OP_ATTENTION_TRAIN: return qvf_conformance_attention_train_bounds(run, operand, bounds);
        case QVF_OP_ATTENTION_TRAIN_BACKWARD:
                return qvf_conformance_attention_backward_bounds(run, operand, bounds);
        case QVF_OP_HEAD_LOSS: return qvf_conformance_loss_bounds(run, operand, bounds);
        case QVF_OP_RMSNORM_BACKWARD: return rmsnorm_backward_bounds(run, bounds);
        case QVF_OP_MATMUL_TERNARY_BACKWARD: return magnitudes(run, o[1].columns + 8.0 + BF16_TERMS, bounds);
        case QVF_OP_MATMUL_BACKWARD: return magnitudes(run, o[1].columns + 8.0, bounds);
        case QVF_OP_MATMUL_WEIGHT_BACKWARD: return magnitudes(run, run->test->rows + 8.0, bounds);
        case QVF_OP_SQUARE_SUM:
                return magnitudes(run, fmin((double)o[1].rows * o[1].columns, SUM_TERMS) + 8, bounds);
        case QVF_OP_ADAMW: return adamw_bounds(run, operand, bounds);
        default: return 0; /* moved numbers are equal */
        }
}
