/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of rows to rows of the same batch; lse is the logarithm of the sum of exp(score). */
#include "plugins/cpu/avx512/attention.h"
#include "plugins/cpu/lanes/kernels.h"

void cpu_avx512_attention_train(const struct cpu_call *call)
{
        const struct cpu_operand *o = call->operand;
        uint32_t size = (uint32_t)call->op->i[0], key_heads = o[3].columns / size;
        struct attention a = {
                .y = o[0].data,
                .lse = o[1].data,
                .q = o[2].data,
                .keys = &o[3],
                .values = &o[4],
                .first = o[5].data,
                .rows = call->rows,
                .columns = o[2].columns,
                .size = size,
                .width = head_width(size),
                .group = o[2].columns / size / key_heads,
                .key_heads = key_heads,
                .cell_bytes = o[3].columns * sizeof(float),
                .head_bytes = size * sizeof(float),
                .factor = call->op->f[0],
        };
        struct work work = work_of(call, &a);

        share_rows(call, &a, &work);
}

size_t cpu_avx512_attention_train_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        return n_threads * work_bytes((uint32_t)op->i[0], operands[2].columns / operands[3].columns);
}

bool cpu_avx512_attention_train_supports(const struct qvf_op *op, const struct cpu_operand *operands)
{
        uint32_t size = (uint32_t)op->i[0];

        (void)operands;
        return size > 0 && size <= HEAD_MOST && size % 2 == 0;
}
