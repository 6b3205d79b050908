/* SPDX-License-Identifier: Apache-2.0 */
/* A logit of C products may be off by δ = ((C + 8) ε + 3 · 2⁻¹⁶) Σ|W||x| + 2⁻¹⁴ |W| |x|: each factor is a float, or a sum of two
 * bf16 whose lower parts are not multiplied by each other, or a row of whole steps. log Σ exp may be off by 2 δ and V
 * roundings; a probability by as much in parts of itself. Gradients need no more than bf16, one rounding of the probability
 * and one of the weight, or steps that are a part of the largest beside them. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "engine/conformance/internal.h"
#include "plugins/cpu/plain/plain.h"

#define EPSILON CONFORMANCE_EPSILON
#define SPLIT (3 * 0x1p-16)
/* A row whose length |W| or |x| is 2¹⁵ steps: products are off by |W| |x| / 2¹⁶ in the mean, and four times as much is allowed. */
#define STEPS 0x1p-14
#define BF16 0x1.01p-7
#define OF_LARGEST 0x1p-11

enum { LOSS, DX, BEST, SCRATCH, X, W, TARGET };

static void logit_of(const struct conformance_run *run, uint32_t row, uint32_t word, double *ret_logit,
                double *ret_error)
{
        const struct cpu_operand *weight = &run->before[W];
        double magnitude = 0, weights = 0, inputs = 0;
        float numbers[256];

        *ret_logit = 0;
        for (uint32_t column = 0; column < weight->columns; column += 256) {
                const float *x = conformance_row(&run->before[X], row) + column;
                uint32_t count = plain_min(256, weight->columns - column);

                plain_dequantise(weight, word, column, count, numbers);
                for (uint32_t c = 0; c < count; c++) {
                        *ret_logit += (double)numbers[c] * x[c];
                        magnitude += fabs((double)numbers[c] * x[c]);
                        weights += (double)numbers[c] * numbers[c];
                        inputs += (double)x[c] * x[c];
                }
        }
        *ret_error = ((weight->columns + 8) * EPSILON + SPLIT) * magnitude + STEPS * sqrt(weights * inputs);
}

double qvf_conformance_logit(const struct conformance_run *run, uint32_t row, uint32_t word)
{
        double logit, error;

        logit_of(run, row, word, &logit, &error);
        return logit;
}

double qvf_conformance_logit_error(const struct conformance_run *run, uint32_t row)
{
        double logit, error, largest = 0;

        for (uint32_t word = 0; word < run->before[W].rows; word++) {
                logit_of(run, row, word, &logit, &error);
                largest = fmax(largest, error);
        }
        return largest;
}

static int gradient_bounds(const struct conformance_run *run, uint32_t row, double part, double *bounds)
{
        const struct cpu_operand *weight = &run->before[W];
        int32_t target = *conformance_integers(&run->before[TARGET], row);
        _cleanup_free_ double *logits = calloc(weight->rows, sizeof(*logits));
        _cleanup_free_ float *numbers = calloc(weight->columns, sizeof(*numbers));
        double largest = -INFINITY, total = 0, scale = fabs((double)run->test->args.loss_scale);

        if (!logits || !numbers)
                return -ENOMEM;
        for (uint32_t word = 0; word < weight->rows; word++) {
                logits[word] = qvf_conformance_logit(run, row, word);
                largest = fmax(largest, logits[word]);
        }
        for (uint32_t c = 0; c < weight->columns; c++)
                bounds[c] = weight->rows * (double)FLT_MIN; /* products so small may be 0 */
        for (uint32_t word = 0; word < weight->rows; word++)
                total += exp(logits[word] - largest);
        for (uint32_t word = 0; word < weight->rows && target >= 0; word++) {
                double p = exp(logits[word] - largest) / total;
                double d = fabs(p - (word == (uint32_t)target)), most = 0;

                plain_dequantise(weight, word, 0, weight->columns, numbers);
                for (uint32_t c = 0; c < weight->columns; c++)
                        most = fmax(most, fabs((double)numbers[c]));
                for (uint32_t c = 0; c < weight->columns; c++)
                        bounds[c] += scale * fabs((double)numbers[c]) *
                                                     (p * part + d * ((weight->rows + 16) * EPSILON +
                                                                                     BF16)) +
                                     scale * d * OF_LARGEST * most;
        }
        return 0;
}

int qvf_conformance_loss_bounds(const struct conformance_run *run, unsigned operand, double *bounds)
{
        uint32_t words = run->before[W].rows, columns = run->before[X].columns;

        for (uint32_t row = 0; row < run->test->rows; row++) {
                double delta = qvf_conformance_logit_error(run, row),
                       part = 2 * delta + (words + 32) * EPSILON;
                int r;

                if (operand == LOSS) {
                        bounds[row] = part + 8 * delta / columns;
                        continue;
                }
                r = gradient_bounds(run, row, part, bounds + (size_t)row * columns);
                if (r < 0)
                        return r;
        }
        return 0;
}
