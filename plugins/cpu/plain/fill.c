/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/cpu/plain/plain.h"

void plain_fill(const struct cpu_call *call)
{
        const struct cpu_operand *y = &call->operand[0];
        uint32_t begin, end;

        cpu_share(call, y->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++)
                for (uint32_t c = 0; c < y->columns; c++)
                        plain_row(y, r)[c] = call->op->f[0];
}
