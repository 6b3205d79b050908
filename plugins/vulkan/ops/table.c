/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/vulkan/ops/ops.h"

vk_emitter *const vk_emitters[QVF_OP_COUNT] = {
        [QVF_OP_FILL] = vk_op_fill,
};
