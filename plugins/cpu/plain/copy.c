/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/cpu/plain/plain.h"

void plain_copy(const struct cpu_call *call)
{
        const struct cpu_operand *y = &call->operand[0], *x = &call->operand[1];
        float *row = plain_thread_scratch(call, x->columns * sizeof(*row));
        uint32_t begin, end;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                plain_dequantise(x, r, 0, x->columns, row);
                plain_store(y, r, row);
        }
}

size_t plain_copy_scratch(const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        (void)op;
        return n_threads * plain_thread_bytes(operands[1].columns * sizeof(float));
}
