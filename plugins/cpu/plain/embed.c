/* SPDX-License-Identifier: Apache-2.0 */
/* y[r] = table[ids[r]]; a row of zeros where the table has no such row. */
#include <string.h>

#include "plugins/cpu/plain/plain.h"

void plain_embed(const struct cpu_call *call)
{
        const struct cpu_operand *y = &call->operand[0], *ids = &call->operand[1],
                                 *table = &call->operand[2];
        uint32_t begin, end;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                int32_t id = *plain_integers(ids, r);

                if (id >= 0 && (uint32_t)id < table->rows)
                        plain_dequantise(table, (uint32_t)id, 0, y->columns, plain_row(y, r));
                else
                        memset(plain_row(y, r), 0, y->columns * sizeof(float));
        }
}
