/* SPDX-License-Identifier: Apache-2.0 */
/* y = f0 a + f1 b */
#include "plugins/cpu/plain/plain.h"

void plain_add(const struct cpu_call *call)
{
        const struct cpu_operand *y = &call->operand[0], *a = &call->operand[1], *b = &call->operand[2];
        float f0 = call->op->f[0], f1 = call->op->f[1];
        uint32_t begin, end;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++)
                for (uint32_t c = 0; c < y->columns; c++)
                        plain_row(y, r)[c] = f0 * plain_row(a, r)[c] + f1 * plain_row(b, r)[c];
}
