/* SPDX-License-Identifier: Apache-2.0 */
/* The AVX-512 level: x86-64 with AVX-512 F, BW, DQ, VL and VNNI. What stands here is entered only where
 * available() said yes. */
#include "plugins/cpu/lanes/kernels.h"

static bool available(void)
{
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma");
}

extern const struct cpu_level cpu_level_avx512;

const struct cpu_level cpu_level_avx512 = {
        .name = "avx512",
        .available = available,
        .entries = {
                [QVF_OP_COPY] = KERNEL_IF(copy),
                [QVF_OP_EMBED] = KERNEL_IF(embed),
                [QVF_OP_KV_STORE] = KERNEL_IF(kv_store),
                [QVF_OP_ADD] = KERNEL(add),
                [QVF_OP_RMSNORM] = KERNEL(rmsnorm),
                [QVF_OP_QUANTIZE] = KERNEL(quantize),
                [QVF_OP_MATMUL_TERNARY] = SCRATCH_IF(matmul_ternary),
                [QVF_OP_MATMUL] = KERNEL_IF(matmul),
                [QVF_OP_ROPE] = KERNEL(rope),
                [QVF_OP_ATTENTION] = SCRATCH_IF(attention),
                [QVF_OP_GATE] = KERNEL(gate),
                [QVF_OP_DROPOUT] = KERNEL(dropout),
                [QVF_OP_ATTENTION_TRAIN] = SCRATCH_IF(attention_train),
                [QVF_OP_HEAD_LOSS] = SCRATCH_IF(head_loss),
                [QVF_OP_RMSNORM_BACKWARD] = KERNEL(rmsnorm_backward),
                [QVF_OP_MATMUL_TERNARY_BACKWARD] = SCRATCH_IF(matmul_ternary_backward),
                [QVF_OP_MATMUL_BACKWARD] = SCRATCH_IF(matmul_backward),
                [QVF_OP_MATMUL_WEIGHT_BACKWARD] = KERNEL(matmul_weight_backward),
                [QVF_OP_ATTENTION_TRAIN_BACKWARD] = SCRATCH_IF(attention_train_backward),
                [QVF_OP_GATE_BACKWARD] = KERNEL(gate_backward),
                [QVF_OP_SQUARE_SUM] = SCRATCH(square_sum),
                [QVF_OP_ADAMW] = KERNEL(adamw),
        },
};
