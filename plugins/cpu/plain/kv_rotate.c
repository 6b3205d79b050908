/* SPDX-License-Identifier: Apache-2.0 */
/* Turns the keys of block blocks[r][0] by blocks[r][1] positions; nothing where the cache has no such block.
 */
#include "plugins/cpu/plain/plain.h"

void plain_kv_rotate(const struct cpu_call *call)
{
        const struct cpu_operand *cache = &call->operand[0], *blocks = &call->operand[1];
        const struct cpu_operand *frequency = &call->operand[2];
        float *row = plain_thread_scratch(call, cache->columns * sizeof(*row));
        uint32_t begin, end, head_size = (uint32_t)call->op->i[0];

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                int32_t block = plain_integers(blocks, r)[0], positions = plain_integers(blocks, r)[1];

                if (block < 0 || (uint32_t)block >= cache->rows / QVF_KV_BLOCK)
                        continue;
                for (uint32_t i = 0; i < QVF_KV_BLOCK; i++) {
                        uint32_t cell = (uint32_t)block * QVF_KV_BLOCK + i;

                        plain_dequantise(cache, cell, 0, cache->columns, row);
                        for (uint32_t head = 0; head < cache->columns; head += head_size)
                                plain_turn(row + head, frequency->columns, call->op->i[1], positions,
                                                frequency->data, 1);
                        plain_store(cache, cell, row);
                }
                cpu_pause_point(call);
        }
}

size_t plain_kv_rotate_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        (void)op;
        return n_threads * plain_thread_bytes(operands[0].columns * sizeof(float));
}
