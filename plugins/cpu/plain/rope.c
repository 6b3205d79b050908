/* SPDX-License-Identifier: Apache-2.0 */
/* Pair (a, b) at angle t = position * frequency: a' = a cos t - b sin t, b' = a sin t + b cos t. */
#include <math.h>
#include <string.h>

#include "plugins/cpu/plain/plain.h"

void plain_turn(float *numbers, uint32_t pairs, int interleaved, double position, const float *frequency,
                float magnitude)
{
        for (uint32_t i = 0; i < pairs; i++) {
                float *a = interleaved ? &numbers[2 * i] : &numbers[i];
                float *b = interleaved ? a + 1 : a + pairs;
                double angle = position * (double)frequency[i];
                float cosine = (float)cos(angle) * magnitude, sine = (float)sin(angle) * magnitude;
                float old_a = *a, old_b = *b;

                *a = fmaf(old_a, cosine, -(old_b * sine));
                *b = fmaf(old_a, sine, old_b * cosine);
        }
}

void plain_rope(const struct cpu_call *call)
{
        const struct cpu_operand *y = &call->operand[0], *x = &call->operand[1],
                                 *position = &call->operand[2];
        const struct cpu_operand *frequency = &call->operand[3];
        uint32_t begin, end, head_size = (uint32_t)call->op->i[0];

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                double way = (double)*plain_integers(position, r) * call->op->f[0];

                memmove(plain_row(y, r), plain_row(x, r), x->columns * sizeof(float));
                for (uint32_t head = 0; head < x->columns; head += head_size)
                        plain_turn(plain_row(y, r) + head, frequency->columns, call->op->i[1], way,
                                        frequency->data, call->op->f[1]);
        }
}
