/* SPDX-License-Identifier: Apache-2.0 */
/* A score s = f q·k of d products may be off by δ = f (d + 8) ε Σ|q||k|, the weight exp(s - lse) then by 2 δ of
 * itself, and what n weights sum up by n roundings more. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "engine/conformance/internal.h"
#include "plugins/cpu/plain/plain.h"

#define EPSILON CONFORMANCE_EPSILON

static double absolute_dot(const float *a, const float *b, uint32_t count)
{
        double sum = 0;

        for (uint32_t i = 0; i < count; i++)
                sum += fabs((double)a[i] * b[i]);
        return sum;
}

/* A cache as floats, absolute if so wanted. */
static int widen(const struct cpu_operand *from, bool absolute, struct cpu_operand *ret_to)
{
        struct cpu_operand to = {
                .rows = from->rows, .columns = from->columns, .dtype = QVF_F32, .scale = 1
        };

        to.data = malloc((size_t)to.rows * to.columns * sizeof(float));
        if (!to.data)
                return -ENOMEM;
        for (uint32_t row = 0; row < to.rows; row++) {
                plain_dequantise(from, row, 0, to.columns, conformance_row(&to, row));
                for (uint32_t c = 0; c < to.columns && absolute; c++)
                        conformance_row(&to, row)[c] = fabsf(conformance_row(&to, row)[c]);
        }
        *ret_to = to;
        return 0;
}

/* y over |v|, with the weights as they are: Σ p |v|. */
static int weigh_absolute(const struct conformance_run *run, unsigned v, float **ret_sums)
{
        struct cpu_operand operands[QVF_OP_OPERANDS];
        _cleanup_free_ void *values = NULL, *sums = NULL, *lse = NULL;
        int r;

        memcpy(operands, run->before, sizeof(operands));
        r = widen(&run->before[v], true, &operands[v]);
        if (r < 0)
                return r;
        values = operands[v].data;
        sums = calloc((size_t)operands[0].rows * operands[0].columns, sizeof(float));
        lse = calloc((size_t)operands[1].rows * operands[1].columns, sizeof(float));
        if (!sums || !lse)
                return -ENOMEM;
        operands[0].data = sums;
        if (run->test->op.kind == QVF_OP_ATTENTION_TRAIN)
                operands[1].data = lse;
        r = qvf_conformance_plain(&run->test->op, &run->test->args, run->test->rows, operands);
        if (r < 0)
                return r;
        *ret_sums = QVF_TAKE(sums);
        return 0;
}

int qvf_conformance_attention_bounds(const struct conformance_run *run, unsigned operand, double *bounds)
{
        const struct cpu_operand *q = &run->before[1], *place = &run->before[4], *table = &run->before[5];
        uint32_t size = (uint32_t)run->test->op.i[0], heads = q->columns / size;
        uint32_t group = heads / (run->before[2].columns / size);
        struct cpu_operand keys = { 0 };
        _cleanup_free_ float *sums = NULL;
        _cleanup_free_ void *memory = NULL;
        int r = weigh_absolute(run, 3, &sums);

        (void)operand;
        if (r == 0)
                r = widen(&run->before[2], false, &keys);
        if (r < 0)
                return r;
        memory = keys.data;
        for (uint32_t row = 0; row < run->test->rows; row++)
                for (uint32_t head = 0; head < heads; head++) {
                        const int32_t *where = conformance_integers(place, row);
                        double delta = 0;
                        size_t at = (size_t)row * q->columns + (size_t)head * size;

                        for (int32_t p = 0; p <= where[0]; p++) {
                                uint32_t cell = plain_cell(table, &keys, where[1], p);

                                if (cell != UINT32_MAX)
                                        delta = fmax(delta,
                                                        absolute_dot((float *)q->data + at,
                                                                        conformance_row(&keys, cell) +
                                                                                        head / group * size,
                                                                        size));
                        }
                        delta *= fabs((double)run->test->op.f[0]) * (size + 8) * EPSILON;
                        for (uint32_t c = 0; c < size; c++)
                                bounds[at + c] = sums[at + c] * (2 * delta + (where[0] + 17) * EPSILON) +
                                                 1e-37;
                }
        return 0;
}

/* δ of a row and head over the rows that it looks at. */
static double row_delta(const struct conformance_run *run, const struct cpu_operand *q,
                const struct cpu_operand *k, int32_t first, uint32_t row, uint32_t head)
{
        uint32_t size = (uint32_t)run->test->op.i[0], group = q->columns / k->columns;
        double delta = 0;

        for (uint32_t j = (uint32_t)first; j <= row; j++)
                delta = fmax(delta, absolute_dot(conformance_row(q, row) + (size_t)head * size,
                                                    conformance_row(k, j) + (size_t)(head / group) * size,
                                                    size));
        return delta * fabs((double)run->test->op.f[0]) * (size + 8) * EPSILON;
}

int qvf_conformance_attention_train_bounds(
                const struct conformance_run *run, unsigned operand, double *bounds)
{
        const struct cpu_operand *q = &run->before[2], *k = &run->before[3];
        uint32_t size = (uint32_t)run->test->op.i[0], heads = q->columns / size;
        _cleanup_free_ float *sums = NULL;
        int r = weigh_absolute(run, 4, &sums);

        if (r < 0)
                return r;
        for (uint32_t row = 0; row < run->test->rows; row++)
                for (uint32_t head = 0; head < heads; head++) {
                        int32_t first = *conformance_integers(&run->before[5], row);
                        double delta = row_delta(run, q, k, first, row, head),
                               n = row - (uint32_t)first + 17.0;
                        size_t at = (size_t)row * q->columns + (size_t)head * size;

                        if (operand == 1)
                                bounds[(size_t)row * heads + head] =
                                                2 * delta + n * EPSILON +
                                                4 * EPSILON *
                                                                fabs((double)conformance_row(
                                                                                &run->plain[1], row)[head]);
                        for (uint32_t c = 0; c < size && operand == 0; c++)
                                bounds[at + c] = sums[at + c] * (2 * delta + n * EPSILON) + 1e-37;
                }
        return 0;
}

enum { DQ, DK, DV, Y, LSE, Q, K, V, FIRST, DY };

/* What one pair of rows adds to the bounds of dq, dk or dv. */
static void add_pair(const struct conformance_run *run, unsigned operand, uint32_t row, uint32_t j,
                uint32_t head, double delta, double *bounds)
{
        const struct cpu_operand *o = run->before;
        uint32_t size = (uint32_t)run->test->op.i[0];
        size_t column = (size_t)head * size,
               key_column = (size_t)(head / (o[Q].columns / o[K].columns)) * size;
        const float *q = conformance_row(&o[Q], row) + column, *k = conformance_row(&o[K], j) + key_column;
        const float *dy = conformance_row(&o[DY], row) + column, *v = conformance_row(&o[V], j) + key_column;
        double f = fabs((double)run->test->op.f[0]), n = size + run->test->rows + 32.0;
        double lse = conformance_row(&o[LSE], row)[head];
        double p = exp((double)run->test->op.f[0] * plain_dot(q, k, size) - lse);
        double ds = p * (absolute_dot(dy, v, size) +
                                        absolute_dot(dy, conformance_row(&o[Y], row) + column, size));
        double part = 2 * delta + (n + 4 * fabs(lse)) * EPSILON;

        for (uint32_t c = 0; c < size; c++) {
                if (operand == DQ)
                        bounds[(size_t)row * o[Q].columns + column + c] +=
                                        f * ds * fabs((double)k[c]) * part;
                else if (operand == DK)
                        bounds[(size_t)j * o[K].columns + key_column + c] +=
                                        f * ds * fabs((double)q[c]) * part;
                else
                        bounds[(size_t)j * o[K].columns + key_column + c] += p * fabs((double)dy[c]) * part;
        }
}

int qvf_conformance_attention_backward_bounds(
                const struct conformance_run *run, unsigned operand, double *bounds)
{
        const struct cpu_operand *o = run->before;
        uint32_t heads = o[LSE].columns;

        for (uint32_t row = 0; row < run->test->rows; row++)
                for (uint32_t head = 0; head < heads; head++) {
                        int32_t first = *conformance_integers(&o[FIRST], row);
                        double delta = row_delta(run, &o[Q], &o[K], first, row, head);

                        for (uint32_t j = (uint32_t)first; j <= row; j++)
                                add_pair(run, operand, row, j, head, delta, bounds);
                }
        return 0;
}
