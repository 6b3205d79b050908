/* SPDX-License-Identifier: Apache-2.0 */
/* RMSNORM, RMSNORM_BACKWARD, QUANTIZE: a workgroup for each row */
#include "plugins/vulkan/ops/elements.h"
#include "plugins/vulkan/ops/ops.h"

void vk_op_rmsnorm(struct vk_build *build, const struct vk_call *call)
{
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_RMSNORM);

        d.push.n[0] = call->operand[0].columns;
        vk_emit_rows(build, call, &d, 1 << 0 | 1 << 1);
}

void vk_op_rmsnorm_backward(struct vk_build *build, const struct vk_call *call)
{
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_RMSNORM_BACKWARD);

        d.push.n[0] = call->operand[0].columns;
        vk_emit_rows(build, call, &d, 1 << 0 | 1 << 1 | 1 << 3);
}

void vk_op_quantize(struct vk_build *build, const struct vk_call *call)
{
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_QUANTIZE);

        d.push.n[0] = call->operand[2].columns;
        d.push.n[1] = call->operand[0].columns;
        vk_emit_rows(build, call, &d, 1 << 0 | 1 << 2);
}
