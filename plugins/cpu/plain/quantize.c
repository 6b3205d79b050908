/* SPDX-License-Identifier: Apache-2.0 */
/* m = max(max|x|, 1e-5); q = clamp(rint(x * (127 / m)), -128, 127); scale = m / 127. All of it in float:
 * other backends must come to the same integers. */
#include <math.h>
#include <string.h>

#include "plugins/cpu/plain/plain.h"

void plain_quantize(const struct cpu_call *call)
{
        const struct cpu_operand *q = &call->operand[0], *scale = &call->operand[1], *x = &call->operand[2];
        uint32_t begin, end, columns = x->columns;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                const float *from = plain_row(x, r);
                int8_t *to = (int8_t *)q->data + (size_t)r * q->columns;
                float largest = 1e-5f, factor;

                for (uint32_t c = 0; c < columns; c++)
                        largest = fmaxf(largest, fabsf(from[c]));
                factor = 127.0f / largest;
                for (uint32_t c = 0; c < columns; c++) {
                        float v = rintf(from[c] * factor);

                        to[c] = v >= 127 ? 127 : v > -128 ? (int8_t)v : -128;
                }
                memset(to + columns, 0, q->columns - columns);
                *plain_row(scale, r) = largest / 127.0f;
        }
}
