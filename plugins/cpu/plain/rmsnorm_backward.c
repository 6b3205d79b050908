/* SPDX-License-Identifier: Apache-2.0 */
/* With t = 1 / sqrt(mean(x²) + f0): dx (+)= t w dy - x t³ / C Σ(x w dy) */
#include <math.h>

#include "plugins/cpu/plain/plain.h"

void plain_rmsnorm_backward(const struct cpu_call *call)
{
        const struct cpu_operand *dx = &call->operand[0], *x = &call->operand[1], *dy = &call->operand[3];
        const float *w = call->operand[2].data;
        uint32_t begin, end, columns = x->columns;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                const float *from = plain_row(x, r), *gradient = plain_row(dy, r);
                double mean = plain_dot(from, from, columns) / columns;
                double t = 1 / sqrt(mean + (double)call->op->f[0]), along = 0;

                for (uint32_t c = 0; c < columns; c++)
                        along += (double)from[c] * w[c] * gradient[c];
                along *= t * t * t / columns;
                for (uint32_t c = 0; c < columns; c++) {
                        double d = t * w[c] * gradient[c] - from[c] * along;
                        float *to = &plain_row(dx, r)[c];

                        *to = (float)(call->op->flags & QVF_ACCUMULATE ? d + *to : d);
                }
        }
}
