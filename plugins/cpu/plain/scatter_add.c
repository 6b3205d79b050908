/* SPDX-License-Identifier: Apache-2.0 */
/* y[index[r]] += x[r]; nothing where y has no such row. */
#include "plugins/cpu/plain/plain.h"

void plain_scatter_add(const struct cpu_call *call)
{
        const struct cpu_operand *y = &call->operand[0], *x = &call->operand[1], *index = &call->operand[2];
        uint32_t begin, end;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                int32_t to = *plain_integers(index, r);

                if (to < 0 || (uint32_t)to >= y->rows)
                        continue;
                for (uint32_t c = 0; c < y->columns; c++)
                        plain_row(y, (uint32_t)to)[c] += plain_row(x, r)[c];
        }
}
