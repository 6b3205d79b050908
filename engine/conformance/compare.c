/* SPDX-License-Identifier: Apache-2.0 */
/* Results: bytes that must be equal, floats with a bound for each, and a few formats with rules of their own. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/half.h"
#include "engine/conformance/internal.h"
#include "plugins/cpu/plain/plain.h"

static void wrong(struct conformance_run *run, unsigned operand, uint64_t row, uint64_t column,
                double expected, double got, double allowed)
{
        if (!run->text[0])
                snprintf(run->text, sizeof(run->text),
                                "operand %u, row %llu, column %llu: %.9g, expected %.9g, may differ by %.3g",
                                operand, (unsigned long long)row, (unsigned long long)column, got, expected,
                                allowed);
}

/* Equal bytes are right under any rule: this is also how inputs and rows that are not in use are checked. */
static bool row_is_equal(const struct conformance_run *run, unsigned operand, uint32_t row)
{
        size_t bytes = plain_row_bytes(run->plain[operand].dtype, run->plain[operand].columns);

        return memcmp((char *)run->plain[operand].data + row * bytes,
                               (char *)run->device[operand].data + row * bytes, bytes) == 0;
}

static int compare_floats(struct conformance_run *run, unsigned operand)
{
        const struct cpu_operand *plain = &run->plain[operand], *device = &run->device[operand];
        uint32_t columns = plain->columns;
        _cleanup_free_ double *bounds = calloc((size_t)plain->rows * columns, sizeof(*bounds));
        _cleanup_free_ float *rows = calloc(2 * (size_t)columns, sizeof(*rows));
        int r;

        if (!bounds || !rows)
                return -ENOMEM;
        r = qvf_conformance_bounds(run, operand, bounds);
        if (r < 0)
                return r;
        for (uint32_t row = 0; row < plain->rows; row++) {
                if (row_is_equal(run, operand, row))
                        continue;
                plain_dequantise(plain, row, 0, columns, rows);
                plain_dequantise(device, row, 0, columns, rows + columns);
                for (uint32_t c = 0; c < columns; c++) {
                        double expected = rows[c], got = rows[columns + c];
                        double bound = bounds[(size_t)row * columns + c], error = fabs(expected - got);

                        if (qvf_f32_bits(rows[c]) == qvf_f32_bits(rows[columns + c]))
                                continue;
                        if (bound > 0 && fabs(expected) < FLT_MIN && fabs(got) < FLT_MIN)
                                continue;      /* numbers this small may as well be 0 */
                        if (!(error <= bound)) /* NaN too */
                                wrong(run, operand, row, c, expected, got, bound);
                        if (bound > 0 && error / bound > run->worst)
                                run->worst = error / bound;
                }
        }
        return 0;
}

static int compare_bytes(struct conformance_run *run, unsigned operand)
{
        const uint8_t *plain = run->plain[operand].data, *device = run->device[operand].data;
        size_t bytes = plain_row_bytes(run->plain[operand].dtype, run->plain[operand].columns);

        for (uint32_t row = 0; row < run->plain[operand].rows; row++)
                for (size_t i = 0; i < bytes && !row_is_equal(run, operand, row); i++)
                        if (plain[row * bytes + i] != device[row * bytes + i]) {
                                wrong(run, operand, row, i, plain[row * bytes + i], device[row * bytes + i],
                                                0);
                                return 0;
                        }
        return 0;
}

/* A code may be its neighbour where the number stood closer to the middle than float arithmetic can tell. */
static int compare_quantised(struct conformance_run *run)
{
        const struct cpu_operand *x = &run->before[2];

        for (uint32_t row = 0; row < run->plain[0].rows; row++) {
                double largest = 1e-5f;

                if (row_is_equal(run, 0, row))
                        continue;
                for (uint32_t c = 0; c < x->columns; c++)
                        largest = fmax(largest, fabs((double)conformance_row(x, row)[c]));
                for (uint32_t c = 0; c < run->plain[0].columns; c++) {
                        size_t at = (size_t)row * run->plain[0].columns + c;
                        int expected = (int)((int8_t *)run->plain[0].data)[at],
                            got = (int)((int8_t *)run->device[0].data)[at];
                        double exact = c < x->columns ? conformance_row(x, row)[c] * 127.0 / largest : 0;
                        double from_middle = fabs(fabs(exact - floor(exact)) - 0.5);

                        if (expected != got && (abs(expected - got) > 1 ||
                                                               from_middle > 127 * 4 * CONFORMANCE_EPSILON))
                                wrong(run, 0, row, c, expected, got, 0);
                }
        }
        return 0;
}

/* 8-bit codes of numbers that themselves may differ a little: neighbours, and nearly all of them equal. A byte
 * is signed where the format has it so; in all of them the distance of two bytes says enough. */
static int compare_codes(struct conformance_run *run, unsigned operand)
{
        const uint8_t *plain = run->plain[operand].data, *device = run->device[operand].data;
        size_t bytes = qvf_conformance_bytes(&run->plain[operand]), different = 0;

        for (size_t i = 0; i < bytes; i++) {
                int distance = abs((int8_t)(plain[i] - device[i]));

                different += distance > 0;
                if (distance > 1) {
                        wrong(run, operand, 0, i, plain[i], device[i], 1);
                        return 0;
                }
        }
        if (different > 4 + bytes / 50)
                wrong(run, operand, 0, 0, 0, (double)different, (double)bytes / 50);
        return 0;
}

/* The best word may be another one where two logits are as close as their errors. */
static int compare_best(struct conformance_run *run)
{
        for (uint32_t row = 0; row < run->test->rows; row++) {
                int32_t expected = *conformance_integers(&run->plain[2], row);
                int32_t got = *conformance_integers(&run->device[2], row);

                if (expected == got)
                        continue;
                if (got < 0 || (uint32_t)got >= run->before[5].rows ||
                                qvf_conformance_logit(run, row, (uint32_t)expected) -
                                                                qvf_conformance_logit(
                                                                                run, row, (uint32_t)got) >
                                                2 * qvf_conformance_logit_error(run, row))
                        wrong(run, 2, row, 0, expected, got, 0);
        }
        return 0;
}

int qvf_conformance_compare(struct conformance_run *run, unsigned operand)
{
        uint32_t dtype = run->plain[operand].dtype;

        bool sum = operand == 0 && run->test->op.flags & QVF_ACCUMULATE;

        /* An input, or nothing to do; but a sum may stay as it was and yet be one, when too little was added. */
        if (!sum && !memcmp(run->before[operand].data, run->plain[operand].data,
                                    qvf_conformance_bytes(&run->plain[operand])))
                return compare_bytes(run, operand);
        if (run->test->op.kind == QVF_OP_QUANTIZE && operand == 0)
                return compare_quantised(run);
        if (run->test->op.kind == QVF_OP_HEAD_LOSS && operand == 2)
                return compare_best(run);
        if (dtype == QVF_U8 || (dtype == QVF_Q8_0 && run->test->op.kind == QVF_OP_KV_STORE))
                return compare_codes(run, operand);
        if (dtype == QVF_F32 ||
                        ((dtype == QVF_F16 || dtype == QVF_Q8_0) && run->test->op.kind == QVF_OP_KV_ROTATE))
                return compare_floats(run, operand);
        return compare_bytes(run, operand);
}
