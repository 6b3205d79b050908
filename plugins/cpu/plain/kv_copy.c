/* SPDX-License-Identifier: Apache-2.0 */
/* Block pairs[r][1] of the cache = block pairs[r][0]; nothing where the cache lacks one of them. */
#include <string.h>

#include "plugins/cpu/plain/plain.h"

void plain_kv_copy(const struct cpu_call *call)
{
        const struct cpu_operand *cache = &call->operand[0], *pairs = &call->operand[1];
        size_t bytes = QVF_KV_BLOCK * plain_row_bytes(cache->dtype, cache->columns);
        uint32_t begin, end, blocks = cache->rows / QVF_KV_BLOCK;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                int32_t from = plain_integers(pairs, r)[0], to = plain_integers(pairs, r)[1];

                if (from < 0 || (uint32_t)from >= blocks || to < 0 || (uint32_t)to >= blocks)
                        continue;
                memmove((char *)cache->data + (size_t)to * bytes, (char *)cache->data + (size_t)from * bytes,
                                bytes);
        }
}
