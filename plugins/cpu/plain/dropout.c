/* SPDX-License-Identifier: Apache-2.0 */
/* y = keep ? x / (1 - f0) : 0; the hash of a number's place in the matrix says which are kept. */
#include "plugins/cpu/plain/plain.h"

void plain_dropout(const struct cpu_call *call)
{
        const struct cpu_operand *y = &call->operand[0], *x = &call->operand[1];
        double drop = call->op->f[0], threshold = drop * 0x1p32;
        uint32_t begin, end;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                for (uint32_t c = 0; c < x->columns; c++) {
                        uint32_t hash = qvf_dropout_hash(
                                        call->args->seed, (uint32_t)call->op->i[0], r * x->columns + c);

                        plain_row(y, r)[c] =
                                        hash >= threshold ? (float)(plain_row(x, r)[c] / (1 - drop)) : 0;
                }
        }
}
