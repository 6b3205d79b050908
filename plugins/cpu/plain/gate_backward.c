/* SPDX-License-Identifier: Apache-2.0 */
/* dg = dy u act'(g), du = dy act(g). SiLU: with s = 1 / (1 + exp(-g)), act' = s (1 + g (1 - s)). ReLU²: act'
 * = 2 g. */
#include <math.h>

#include "plugins/cpu/plain/plain.h"

void plain_gate_backward(const struct cpu_call *call)
{
        const struct cpu_operand *dg = &call->operand[0], *du = &call->operand[1], *gate = &call->operand[2];
        const struct cpu_operand *up = &call->operand[3], *dy = &call->operand[4];
        uint32_t begin, end;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                for (uint32_t c = 0; c < dg->columns; c++) {
                        double g = plain_row(gate, r)[c], u = plain_row(up, r)[c], d = plain_row(dy, r)[c];
                        double s = 1 / (1 + exp(-g));
                        double act = g > 0 ? g * g : 0, slope = g > 0 ? 2 * g : 0;

                        if (call->op->i[0] == 0) {
                                act = g * s;
                                slope = s * (1 + g * (1 - s));
                        }
                        plain_row(dg, r)[c] = (float)(d * u * slope);
                        plain_row(du, r)[c] = (float)(d * act);
                }
        }
}
