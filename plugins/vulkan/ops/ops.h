/* SPDX-License-Identifier: Apache-2.0 */
/* The emitters of all operations. */
#ifndef QVF_PLUGINS_VULKAN_OPS_H
#define QVF_PLUGINS_VULKAN_OPS_H

#include "plugins/vulkan/emit.h"

vk_emitter vk_op_fill;
vk_emitter vk_op_matmul;
vk_emitter vk_op_matmul_backward;
vk_emitter vk_op_matmul_weight_backward;

#endif
