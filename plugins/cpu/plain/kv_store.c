/* SPDX-License-Identifier: Apache-2.0 */
/* cache[cell] = x[r]; nothing where the table or the cache has no such cell. */
#include "plugins/cpu/plain/plain.h"

uint32_t plain_cell(const struct cpu_operand *table, const struct cpu_operand *cache, int32_t sequence,
                int32_t p)
{
        uint32_t column = (uint32_t)p / QVF_KV_BLOCK;
        int32_t block;

        if (sequence < 0 || (uint32_t)sequence >= table->rows || p < 0 || column >= table->columns)
                return UINT32_MAX;
        block = plain_integers(table, (uint32_t)sequence)[column];
        if (block < 0 || (uint32_t)block >= cache->rows / QVF_KV_BLOCK)
                return UINT32_MAX;
        return (uint32_t)block * QVF_KV_BLOCK + (uint32_t)p % QVF_KV_BLOCK;
}

void plain_kv_store(const struct cpu_call *call)
{
        const struct cpu_operand *cache = &call->operand[0], *x = &call->operand[1];
        const struct cpu_operand *position = &call->operand[2], *sequence = &call->operand[3];
        const struct cpu_operand *table = &call->operand[4];
        uint32_t begin, end;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                uint32_t cell = plain_cell(
                                table, cache, *plain_integers(sequence, r), *plain_integers(position, r));

                if (cell != UINT32_MAX)
                        plain_store(cache, cell, plain_row(x, r));
        }
}
