/* SPDX-License-Identifier: Apache-2.0 */
/* The plain level: every operation, on any CPU. */
#include "plugins/cpu/plain/plain.h"

static bool available(void)
{
        return true;
}

const struct cpu_level cpu_level_plain = {
        .name = "plain",
        .available = available,
        .entries = {
                [QVF_OP_FILL] = { { plain_fill, NULL, NULL }, NULL },
                [QVF_OP_COPY] = { { plain_copy, plain_copy_scratch, NULL }, NULL },
                [QVF_OP_EMBED] = { { plain_embed, NULL, NULL }, NULL },
                [QVF_OP_GATHER] = { { plain_gather, NULL, NULL }, NULL },
                [QVF_OP_SCATTER_ADD] = { { plain_scatter_add, NULL, NULL }, NULL },
                [QVF_OP_KV_STORE] = { { plain_kv_store, NULL, NULL }, NULL },
                [QVF_OP_KV_COPY] = { { plain_kv_copy, NULL, NULL }, NULL },
                [QVF_OP_KV_ROTATE] = { { plain_kv_rotate, plain_kv_rotate_scratch, NULL }, NULL },
                [QVF_OP_ADD] = { { plain_add, NULL, NULL }, NULL },
                [QVF_OP_RMSNORM] = { { plain_rmsnorm, NULL, NULL }, NULL },
                [QVF_OP_QUANTIZE] = { { plain_quantize, NULL, NULL }, NULL },
                [QVF_OP_MATMUL_TERNARY] = { { plain_matmul_ternary, plain_matmul_ternary_scratch, NULL }, NULL },
                [QVF_OP_MATMUL] = { { plain_matmul, plain_matmul_scratch, NULL }, NULL },
                [QVF_OP_ROPE] = { { plain_rope, NULL, NULL }, NULL },
                [QVF_OP_ATTENTION] = { { plain_attention, plain_attention_scratch, NULL }, NULL },
                [QVF_OP_GATE] = { { plain_gate, NULL, NULL }, NULL },
                [QVF_OP_TOP_K] = { { plain_top_k, NULL, NULL }, NULL },
                [QVF_OP_DROPOUT] = { { plain_dropout, NULL, NULL }, NULL },
                [QVF_OP_ATTENTION_TRAIN] = { { plain_attention_train, plain_attention_train_scratch, NULL }, NULL },
                [QVF_OP_HEAD_LOSS] = { { plain_head_loss, plain_head_loss_scratch, NULL }, NULL },
                [QVF_OP_RMSNORM_BACKWARD] = { { plain_rmsnorm_backward, NULL, NULL }, NULL },
                [QVF_OP_MATMUL_TERNARY_BACKWARD] = { { plain_matmul_ternary_backward, NULL, NULL }, NULL },
                [QVF_OP_MATMUL_BACKWARD] = { { plain_matmul_backward, NULL, NULL }, NULL },
                [QVF_OP_MATMUL_WEIGHT_BACKWARD] = { { plain_matmul_weight_backward, NULL, NULL }, NULL },
                [QVF_OP_ATTENTION_TRAIN_BACKWARD] = { { plain_attention_train_backward, plain_attention_train_backward_scratch, NULL }, NULL },
                [QVF_OP_GATE_BACKWARD] = { { plain_gate_backward, NULL, NULL }, NULL },
                [QVF_OP_SQUARE_SUM] = { { plain_square_sum, plain_square_sum_scratch, NULL }, NULL },
                [QVF_OP_ADAMW] = { { plain_adamw, NULL, NULL }, NULL },
                [QVF_OP_DRAW] = { { plain_draw, NULL, NULL }, NULL },
        },
};
