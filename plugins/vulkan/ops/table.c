/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/vulkan/ops/ops.h"

vk_emitter *const vk_emitters[QVF_OP_COUNT] = {
        [QVF_OP_FILL] = vk_op_fill,
        [QVF_OP_MATMUL] = vk_op_matmul,
        [QVF_OP_MATMUL_BACKWARD] = vk_op_matmul_backward,
        [QVF_OP_MATMUL_WEIGHT_BACKWARD] = vk_op_matmul_weight_backward,
};
