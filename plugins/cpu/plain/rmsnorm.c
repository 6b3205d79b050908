/* SPDX-License-Identifier: Apache-2.0 */
/* y = x / sqrt(mean(x²) + f0) * w */
#include <math.h>

#include "plugins/cpu/plain/plain.h"

void plain_rmsnorm(const struct cpu_call *call)
{
        const struct cpu_operand *y = &call->operand[0], *x = &call->operand[1];
        const float *w = call->operand[2].data;
        uint32_t begin, end, columns = x->columns;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                const float *from = plain_row(x, r);
                double mean = plain_dot(from, from, columns) / columns;
                double factor = 1 / sqrt(mean + (double)call->op->f[0]);

                for (uint32_t c = 0; c < columns; c++)
                        plain_row(y, r)[c] = (float)(from[c] * factor * w[c]);
        }
}
