/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/vulkan/ops/elements.h"
#include "plugins/vulkan/ops/ops.h"

void vk_op_copy(struct vk_build *build, const struct vk_call *call)
{
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_COPY);
        const struct vk_operand *y = &call->operand[0];

        d.constant[1] = y->dtype;
        d.constant[2] = call->operand[1].dtype;
        d.n_constants = 3;
        d.push.n[0] = d.push.n[1] = y->columns;
        vk_emit_elements(build, call, &d, 1 << 0 | 1 << 1);
}
