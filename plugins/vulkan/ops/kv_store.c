/* SPDX-License-Identifier: Apache-2.0 */
#include "common/checked.h"
#include "plugins/vulkan/ops/ops.h"

#define INVOCATIONS 64u
#define ROWS_OF_DISPATCH 32768u

/* What one invocation stores. */
static uint32_t pieces_of_row(const struct vk_operand *cache)
{
        switch (cache->dtype) {
        case QVF_F32: return cache->columns;
        case QVF_Q8_0: return cache->columns / 32;
        default: return vk_div_up(cache->columns, 2);
        }
}

static void emit_rows(struct vk_build *build, const struct vk_call *call, struct vk_dispatch *d)
{
        uint32_t step = vk_rows_of_piece(call, 1 << 1, call->rows, 1, ROWS_OF_DISPATCH);

        for (uint32_t row = 0; row < call->rows; row += step) {
                uint32_t rows = (uint32_t)qvf_min_u64(step, call->rows - row);

                d->bind[1].offset = row * vk_operand_row_bytes(&call->operand[1]);
                d->bind[1].bytes = rows * vk_operand_row_bytes(&call->operand[1]);
                d->push.row0 = row;
                d->groups[0] = vk_div_up(pieces_of_row(&call->operand[0]), INVOCATIONS);
                d->groups[1] = rows;
                d->cost = 4 * (uint64_t)rows * call->operand[1].columns;
                vk_emit(build, d);
        }
}

void vk_op_kv_store(struct vk_build *build, const struct vk_call *call)
{
        const struct vk_operand *cache = &call->operand[0], *table = &call->operand[4];
        uint32_t step = vk_rows_of_piece(call, 1 << 0, cache->rows, 1, UINT32_MAX);

        for (uint32_t cell = 0; cell < cache->rows; cell += step) {
                struct vk_dispatch d = vk_dispatch(call, VK_SHADER_KV_STORE);
                uint32_t cells = (uint32_t)qvf_min_u64(step, cache->rows - cell);

                d.bind[0].offset = cell * vk_operand_row_bytes(cache);
                d.bind[0].bytes = cells * vk_operand_row_bytes(cache);
                d.constant[0] = INVOCATIONS;
                d.constant[1] = cache->dtype;
                d.n_constants = 2;
                d.push.n[0] = cache->columns;
                d.push.n[1] = cells;
                d.push.n[2] = cell;
                d.push.n[3] = table->rows;
                d.push.n[4] = table->columns;
                d.push.n[5] = cache->rows / QVF_KV_BLOCK;
                emit_rows(build, call, &d);
        }
}
