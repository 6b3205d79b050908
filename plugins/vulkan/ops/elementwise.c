/* SPDX-License-Identifier: Apache-2.0 */
/* ADD, GATE, GATE_BACKWARD, DROPOUT */
#include <math.h>

#include "plugins/vulkan/ops/elements.h"
#include "plugins/vulkan/ops/ops.h"

static void emit(struct vk_build *build, const struct vk_call *call, enum vk_shader shader, uint32_t kind)
{
        struct vk_dispatch d = vk_dispatch(call, shader);

        d.push.n[0] = call->operand[0].columns;
        d.push.n[1] = kind;
        if (shader == VK_SHADER_DROPOUT) {
                double threshold = ceil((double)call->op->f[0] * 0x1p32);

                d.push.n[2] = threshold >= 0x1p32 ? UINT32_MAX : (uint32_t)threshold;
        }
        vk_emit_elements(build, call, &d, (1u << d.n_bind) - 1);
}

void vk_op_add(struct vk_build *build, const struct vk_call *call)
{
        emit(build, call, VK_SHADER_ADD, 0);
}

void vk_op_gate(struct vk_build *build, const struct vk_call *call)
{
        emit(build, call, VK_SHADER_GATE, (uint32_t)call->op->i[0]);
}

void vk_op_gate_backward(struct vk_build *build, const struct vk_call *call)
{
        emit(build, call, VK_SHADER_GATE_BACKWARD, (uint32_t)call->op->i[0]);
}

void vk_op_dropout(struct vk_build *build, const struct vk_call *call)
{
        emit(build, call, VK_SHADER_DROPOUT, (uint32_t)call->op->i[0]);
}
