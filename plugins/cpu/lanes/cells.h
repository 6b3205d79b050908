/* SPDX-License-Identifier: Apache-2.0 */
/* Where a position of a sequence stands in a cache. */
#ifndef QVF_PLUGINS_CPU_LANES_CELLS_H
#define QVF_PLUGINS_CPU_LANES_CELLS_H

#include "plugins/cpu/kernel.h"

#define NO_BLOCK UINT32_MAX

/* The block of cells that holds the position; NO_BLOCK where the table or the cache has none. */
static inline uint32_t cell_block(const struct cpu_operand *table, const struct cpu_operand *cache,
                int32_t sequence, int32_t position)
{
        uint32_t column = (uint32_t)position / QVF_KV_BLOCK;
        int32_t block;

        if (sequence < 0 || (uint32_t)sequence >= table->rows || position < 0 || column >= table->columns)
                return NO_BLOCK;
        block = ((const int32_t *)table->data)[(size_t)(uint32_t)sequence * table->columns + column];
        return block < 0 || (uint32_t)block >= cache->rows / QVF_KV_BLOCK ? NO_BLOCK : (uint32_t)block;
}

#endif
