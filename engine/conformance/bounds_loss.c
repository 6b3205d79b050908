/* SPDX-License-Identifier: Apache-2.0 */
/* A logit of C products may be off by δ = ((C + 8) ε + 3 · 2⁻¹⁶) Σ|W||x|, each factor a float or a sum of two bf16, whose
 * lower parts are not multiplied by each other; log Σ exp by 2 δ and V roundings; a probability by as much in parts of itself.
 * Gradients need no more than bf16: one rounding of the probability, one of the weight. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "engine/conformance/internal.h"
#include "plugins/cpu/plain/plain.h"

#define EPSILON CONFORMANCE_EPSILON
#define SPLIT (3 * 0x1p-16)
#define BF16 0x1.01p-7

enum { LOSS, DX, BEST, SCRATCH, X, W, TARGET };

static void logit_of(const struct conformance_run *run, uint32_t row, uint32_t word, double *ret_logit,
                double *ret_magnitude)
{
        const struct cpu_operand *weight = &run->before[W];
        float numbers[256];

        *ret_logit = *ret_magnitude = 0;
        for (uint32_t column = 0; column < weight->columns; column += 256) {
                const float *x = conformance_row(&run->before[X], row) + column;
                uint32_t count = plain_min(256, weight->columns - column);

                plain_dequantise(weight, word, column, count, numbers);
                for (uint32_t c = 0; c < count; c++) {
                        *ret_logit += (double)numbers[c] * x[c];
                        *ret_magnitude += fabs((double)numbers[c] * x[c]);
                }
        }
}

double qvf_conformance_logit(const struct conformance_run *run, uint32_t row, uint32_t word)
{
        double logit, magnitude;

        logit_of(run, row, word, &logit, &magnitude);
        return logit;
}

double qvf_conformance_logit_error(const struct conformance_run *run, uint32_t row)
{
        double logit, magnitude, largest = 0;

        for (uint32_t word = 0; word < run->before[W].rows; word++) {
                logit_of(run, row, word, &logit, &magnitude);
                largest = fmax(largest, magnitude);
        }
        return ((run->before[X].columns + 8) * EPSILON + SPLIT) * largest;
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
                double d = fabs(p - (word == (uint32_t)target));

                plain_dequantise(weight, word, 0, weight->columns, numbers);
                for (uint32_t c = 0; c < weight->columns; c++)
                        bounds[c] += scale * fabs((double)numbers[c]) *
                                     (p * part + d * ((weight->rows + 16) * EPSILON + BF16));
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
