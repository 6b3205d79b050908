/* SPDX-License-Identifier: Apache-2.0 */
/* y = act(g) u; act(g) = g / (1 + exp(-g)) or max(g, 0)² */
#include "plugins/cpu/plain/plain.h"

static float activate(float g, bool silu)
{
        if (silu)
                return g / (1 + plain_exp(-g));
        return g > 0 ? g * g : 0;
}

void plain_gate(const struct cpu_call *call)
{
        const struct cpu_operand *y = &call->operand[0], *gate = &call->operand[1], *up = &call->operand[2];
        uint32_t begin, end;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++)
                for (uint32_t c = 0; c < y->columns; c++)
                        plain_row(y, r)[c] = activate(plain_row(gate, r)[c], call->op->i[0] == 0) *
                                             plain_row(up, r)[c];
}
