/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/vulkan/ops/ops.h"

vk_emitter *const vk_emitters[QVF_OP_COUNT] = {
        [QVF_OP_ADAMW] = vk_op_adamw,
        [QVF_OP_ADD] = vk_op_add,
        [QVF_OP_ATTENTION_TRAIN] = vk_op_attention_train,
        [QVF_OP_ATTENTION_TRAIN_BACKWARD] = vk_op_attention_train_backward,
        [QVF_OP_COPY] = vk_op_copy,
        [QVF_OP_DROPOUT] = vk_op_dropout,
        [QVF_OP_EMBED] = vk_op_embed,
        [QVF_OP_FILL] = vk_op_fill,
        [QVF_OP_GATE] = vk_op_gate,
        [QVF_OP_GATE_BACKWARD] = vk_op_gate_backward,
        [QVF_OP_GATHER] = vk_op_gather,
<<<<<<< HEAD
        [QVF_OP_KV_COPY] = vk_op_kv_copy,
        [QVF_OP_KV_ROTATE] = vk_op_kv_rotate,
=======
        [QVF_OP_HEAD_LOSS] = vk_op_head_loss,
>>>>>>> dee68e9 (Vulkan: the head's loss in chunks)
        [QVF_OP_KV_STORE] = vk_op_kv_store,
        [QVF_OP_MATMUL] = vk_op_matmul,
        [QVF_OP_MATMUL_BACKWARD] = vk_op_matmul_backward,
        [QVF_OP_MATMUL_WEIGHT_BACKWARD] = vk_op_matmul_weight_backward,
        [QVF_OP_QUANTIZE] = vk_op_quantize,
        [QVF_OP_RMSNORM] = vk_op_rmsnorm,
        [QVF_OP_RMSNORM_BACKWARD] = vk_op_rmsnorm_backward,
        [QVF_OP_ROPE] = vk_op_rope,
        [QVF_OP_SCATTER_ADD] = vk_op_scatter_add,
        [QVF_OP_SQUARE_SUM] = vk_op_square_sum,
        [QVF_OP_TOP_K] = vk_op_top_k,
};
