/* SPDX-License-Identifier: Apache-2.0 */
/* The emitters of all operations. */
#ifndef QVF_PLUGINS_VULKAN_OPS_H
#define QVF_PLUGINS_VULKAN_OPS_H

#include "plugins/vulkan/emit.h"

vk_emitter vk_op_adamw;
vk_emitter vk_op_add;
vk_emitter vk_op_attention;
vk_emitter vk_op_attention_train;
vk_emitter vk_op_attention_train_backward;
vk_emitter vk_op_copy;
vk_emitter vk_op_dropout;
vk_emitter vk_op_embed;
vk_emitter vk_op_fill;
vk_emitter vk_op_gate;
vk_emitter vk_op_gate_backward;
vk_emitter vk_op_gather;
vk_emitter vk_op_head_loss;
vk_emitter vk_op_kv_copy;
vk_emitter vk_op_kv_rotate;
vk_emitter vk_op_kv_store;
vk_emitter vk_op_matmul;
vk_emitter vk_op_matmul_backward;
vk_emitter vk_op_matmul_ternary;
vk_emitter vk_op_matmul_ternary_backward;
vk_emitter vk_op_matmul_weight_backward;
vk_emitter vk_op_quantize;
vk_emitter vk_op_rmsnorm;
vk_emitter vk_op_rmsnorm_backward;
vk_emitter vk_op_rope;
vk_emitter vk_op_scatter_add;
vk_emitter vk_op_square_sum;
vk_emitter vk_op_top_k;
vk_emitter vk_op_draw;

#endif
