/* SPDX-License-Identifier: Apache-2.0 */
/* y[r] = table[ids[r]]; a row of zeros where the table has no such row. */
#include "plugins/cpu/lanes/dense.h"

static ALWAYS_INLINE void spread(const uint32_t dtype, const uint8_t *row, uint32_t columns, float *to)
{
        uint32_t c = 0;

        for (; c + LANES <= columns; c += LANES)
                store(to + c, load_weights(dtype, row, c));
        if (c < columns)
                store_left(to + c, columns - c, false, load_weights_left(dtype, row, c, columns));
}

void LEVEL(embed)(const struct cpu_call *call)
{
        const struct cpu_operand *y = &call->operand[0], *table = &call->operand[2];
        size_t row_bytes = dense_row_bytes(table->dtype, table->columns);
        const int32_t *ids = call->operand[1].data;
        uint32_t begin, end;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                float *to = (float *)y->data + (size_t)r * y->columns;
                const uint8_t *row = (const uint8_t *)table->data + (size_t)(uint32_t)ids[r] * row_bytes;

                if (ids[r] < 0 || (uint32_t)ids[r] >= table->rows) {
                        memset(to, 0, y->columns * sizeof(*to));
                        continue;
                }
                switch (table->dtype) {
                case QVF_F16: spread(QVF_F16, row, y->columns, to); break;
                case QVF_BF16: spread(QVF_BF16, row, y->columns, to); break;
                case QVF_Q8_0: spread(QVF_Q8_0, row, y->columns, to); break;
                case QVF_Q4_0: spread(QVF_Q4_0, row, y->columns, to); break;
                case QVF_Q4_K: spread(QVF_Q4_K, row, y->columns, to); break;
                case QVF_Q6_K: spread(QVF_Q6_K, row, y->columns, to); break;
                default: spread(QVF_F32, row, y->columns, to); break;
                }
        }
}

bool LEVEL(embed_supports)(const struct qvf_op *op, const struct cpu_operand *operands)
{
        const struct cpu_operand *table = &operands[2];

        (void)op;
        return dense_known(table->dtype) && !table->packed &&
               (!dense_blocks(table->dtype) || operands[0].columns == table->columns);
}
