/* SPDX-License-Identifier: Apache-2.0 */
/* y[r] = x[index[r]]; a row of zeros where x has no such row. */
#include <string.h>

#include "plugins/cpu/plain/plain.h"

void plain_gather(const struct cpu_call *call)
{
        const struct cpu_operand *y = &call->operand[0], *x = &call->operand[1], *index = &call->operand[2];
        uint32_t begin, end;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                int32_t from = *plain_integers(index, r);

                if (from >= 0 && (uint32_t)from < x->rows)
                        memcpy(plain_row(y, r), plain_row(x, (uint32_t)from), y->columns * sizeof(float));
                else
                        memset(plain_row(y, r), 0, y->columns * sizeof(float));
        }
}
