/* SPDX-License-Identifier: Apache-2.0 */
/* y = f0 · s[r][i0] · (W x) and dx = f0 · Wᵀ dy, W of any dtype. */
#include "plugins/vulkan/ops/dense.h"
#include "plugins/vulkan/ops/ops.h"

static void emit_product(struct vk_build *build, const struct vk_call *call, bool transposed)
{
        const struct vk_operand *o = call->operand;

        vk_dense_emit(build, call,
                        &(struct vk_dense){
                                        .transposed = transposed,
                                        .weight = &o[2],
                                        .words = o[2].rows,
                                        .y = o[0].value,
                                        .x = o[1].value,
                                        .s = transposed ? NULL : o[3].value,
                                        .y_columns = o[0].columns,
                                        .x_columns = o[1].columns,
                                        .rows = call->rows,
                                        .s_column = (uint32_t)call->op->i[0],
                                        .flags = call->op->flags,
                                        .factor = call->op->f[0],
                        });
}

void vk_op_matmul(struct vk_build *build, const struct vk_call *call)
{
        emit_product(build, call, false);
}

void vk_op_matmul_backward(struct vk_build *build, const struct vk_call *call)
{
        emit_product(build, call, true);
}
