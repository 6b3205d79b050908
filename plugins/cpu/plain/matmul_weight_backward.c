/* SPDX-License-Identifier: Apache-2.0 */
/* dW[n][c] (+)= f0 * Σ_r dy[r][n] x[r][c] */
#include "plugins/cpu/plain/plain.h"

static void tile(const struct cpu_call *call, uint32_t n, uint32_t column)
{
        const struct cpu_operand *dw = &call->operand[0], *dy = &call->operand[1], *x = &call->operand[2];
        uint32_t columns = plain_min(PLAIN_COLUMNS, dw->columns - column);
        float *to = plain_row(dw, n) + column;
        double sums[PLAIN_COLUMNS] = { 0 };

        for (uint32_t r = 0; r < call->rows; r++) {
                double d = plain_row(dy, r)[n];

                for (uint32_t c = 0; c < columns; c++)
                        sums[c] += d * plain_row(x, r)[column + c];
        }
        for (uint32_t c = 0; c < columns; c++) {
                double product = call->op->f[0] * sums[c];

                to[c] = (float)(call->op->flags & QVF_ACCUMULATE ? to[c] + product : product);
        }
}

void plain_matmul_weight_backward(const struct cpu_call *call)
{
        const struct cpu_operand *dw = &call->operand[0];
        uint32_t begin, end;

        cpu_share(call, dw->rows, 1, &begin, &end);
        for (uint32_t n = begin; n < end; n++) {
                for (uint32_t column = 0; column < dw->columns; column += PLAIN_COLUMNS)
                        tile(call, n, column);
                cpu_pause_point(call);
        }
}
