/* SPDX-License-Identifier: Apache-2.0 */
/* KV_COPY, KV_ROTATE: whole blocks of a cache. */
#include "plugins/vulkan/ops/ops.h"

#define INVOCATIONS 256u
#define SHARED_NUMBERS 2048u /* as in kv_rotate.comp */

void vk_op_kv_copy(struct vk_build *build, const struct vk_call *call)
{
        const struct vk_operand *cache = &call->operand[0];
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_KV_COPY);

        d.constant[0] = INVOCATIONS;
        d.n_constants = 1;
        d.push.n[0] = (uint32_t)(QVF_KV_BLOCK * vk_operand_row_bytes(cache));
        d.push.n[1] = cache->rows / QVF_KV_BLOCK;
        d.groups[0] = vk_div_up(d.push.n[0], 4 * INVOCATIONS);
        d.cost = (uint64_t)call->rows * d.push.n[0];
        vk_emit(build, &d);
}

void vk_op_kv_rotate(struct vk_build *build, const struct vk_call *call)
{
        const struct vk_operand *cache = &call->operand[0];
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_KV_ROTATE);
        uint32_t head_size = (uint32_t)call->op->i[0];

        d.constant[0] = INVOCATIONS;
        d.constant[1] = cache->dtype;
        d.n_constants = 2;
        d.push.n[0] = cache->columns;
        d.push.n[1] = head_size;
        d.push.n[2] = call->operand[2].columns;
        d.push.n[3] = (uint32_t)call->op->i[1];
        d.push.n[4] = cache->rows / QVF_KV_BLOCK;
        d.push.n[5] = SHARED_NUMBERS / head_size;
        d.groups[0] = QVF_KV_BLOCK;
        d.groups[1] = call->rows;
        d.cost = 8 * (uint64_t)call->rows * QVF_KV_BLOCK * cache->columns;
        vk_emit(build, &d);
}
