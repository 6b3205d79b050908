/* SPDX-License-Identifier: Apache-2.0 */
/* y[r] = table[ids[r]]; a row of zeros where the table has no such row. */
#include "plugins/cpu/avx512/dense.h"
#include "plugins/cpu/avx512/kernels.h"

void cpu_avx512_embed(const struct cpu_call *call)
{
        const struct cpu_operand *y = &call->operand[0], *table = &call->operand[2];
        size_t row_bytes = dense_row_bytes(table->dtype, table->columns);
        const int32_t *ids = call->operand[1].data;
        uint32_t begin, end;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                float *to = (float *)y->data + (size_t)r * y->columns;

                if (ids[r] >= 0 && (uint32_t)ids[r] < table->rows)
                        cpu_avx512_dequantise(table->dtype,
                                        (const uint8_t *)table->data + (size_t)ids[r] * row_bytes,
                                        y->columns, to);
                else
                        memset(to, 0, y->columns * sizeof(*to));
        }
}

bool cpu_avx512_embed_supports(const struct qvf_op *op, const struct cpu_operand *operands)
{
        (void)op;
        /* whole vectors only: dequantising a row writes up to the next multiple of 16 */
        return dense_known(operands[2].dtype) && !operands[2].packed && operands[0].columns % LANES == 0 &&
               operands[0].columns == operands[2].columns;
}
