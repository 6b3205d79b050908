/* SPDX-License-Identifier: Apache-2.0 */
/* cache[cell] = x[r]; nothing where the table or the cache has no such cell. */
#include "common/half.h"
#include "plugins/cpu/lanes/cells.h"
#include "plugins/cpu/lanes/dense.h"

static void f16_cell(uint8_t *to, const float *from, uint32_t columns)
{
        uint32_t c = 0;

        for (; c + LANES <= columns; c += LANES)
                store_f16(to + 2 * (size_t)c, load(from + c));
        for (; c < columns; c++)
                qvf_store_u16(to + 2 * (size_t)c, qvf_f32_to_f16(from[c]));
}

/* m = max|x| of 32 numbers; scale = f16(m / 127); q = rint(x · (127 / m)), all zero where m is. */
static void q8_0_cell(uint8_t *to, const float *from, uint32_t columns)
{
        for (uint32_t c = 0; c < columns; c += 32, to += 34, from += 32) {
                floats most = zeros(), factor;
                float m;

                for (uint32_t i = 0; i < 32; i += LANES)
                        most = larger(magnitude(load(from + i)), most);
                m = largest(most);
                factor = all(m > 0 ? 127.0f / m : 0);
                qvf_store_u16(to, qvf_f32_to_f16(m / 127.0f));
                for (uint32_t i = 0; i < 32; i += LANES)
                        store_bytes((int8_t *)to + 2 + i,
                                        integers(larger(load(from + i) * factor, all(-127))));
        }
}

void LEVEL(kv_store)(const struct cpu_call *call)
{
        const struct cpu_operand *cache = &call->operand[0], *x = &call->operand[1];
        const int32_t *position = call->operand[2].data, *sequence = call->operand[3].data;
        size_t cell_bytes = dense_row_bytes(cache->dtype, cache->columns);
        uint32_t begin, end;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                uint32_t block = cell_block(&call->operand[4], cache, sequence[r], position[r]);
                const float *from = (const float *)x->data + (size_t)r * x->columns;
                uint8_t *to;

                if (block == NO_BLOCK)
                        continue;
                to = (uint8_t *)cache->data +
                     ((size_t)block * QVF_KV_BLOCK + (uint32_t)position[r] % QVF_KV_BLOCK) * cell_bytes;
                if (cache->dtype == QVF_F32)
                        memcpy(to, from, cell_bytes);
                else if (cache->dtype == QVF_F16)
                        f16_cell(to, from, cache->columns);
                else
                        q8_0_cell(to, from, cache->columns);
        }
}

bool LEVEL(kv_store_supports)(const struct qvf_op *op, const struct cpu_operand *operands)
{
        uint32_t dtype = operands[0].dtype;

        (void)op;
        return dtype == QVF_F32 || dtype == QVF_F16 || (dtype == QVF_Q8_0 && operands[0].columns % 32 == 0);
}
