/* SPDX-License-Identifier: Apache-2.0 */
/* The names of a level's kernels, and what its level.c makes its table of. CPU_LEVEL is the level that is compiled. */
#ifndef QVF_PLUGINS_CPU_LANES_KERNELS_H
#define QVF_PLUGINS_CPU_LANES_KERNELS_H

#include "plugins/cpu/kernel.h"

#define LEVEL_JOIN(level, name) cpu_##level##_##name
#define LEVEL_NAME(level, name) LEVEL_JOIN(level, name)
#define LEVEL(name) LEVEL_NAME(CPU_LEVEL, name)

/* Declared whether the level has them or not: the kernel, its scratch, and what it takes. */
#define LEVEL_KERNEL(name)                                                                                  \
        void LEVEL(name)(const struct cpu_call *call);                                                      \
        size_t LEVEL(name##_scratch)(                                                                       \
                        const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);   \
        bool LEVEL(name##_supports)(const struct qvf_op *op, const struct cpu_operand *operands)

LEVEL_KERNEL(fill);
LEVEL_KERNEL(copy);
LEVEL_KERNEL(embed);
LEVEL_KERNEL(gather);
LEVEL_KERNEL(scatter_add);
LEVEL_KERNEL(kv_store);
LEVEL_KERNEL(kv_copy);
LEVEL_KERNEL(kv_rotate);
LEVEL_KERNEL(add);
LEVEL_KERNEL(rmsnorm);
LEVEL_KERNEL(quantize);
LEVEL_KERNEL(matmul_ternary);
LEVEL_KERNEL(matmul);
LEVEL_KERNEL(rope);
LEVEL_KERNEL(attention);
LEVEL_KERNEL(gate);
LEVEL_KERNEL(top_k);
LEVEL_KERNEL(dropout);
LEVEL_KERNEL(attention_train);
LEVEL_KERNEL(head_loss);
LEVEL_KERNEL(rmsnorm_backward);
LEVEL_KERNEL(matmul_ternary_backward);
LEVEL_KERNEL(matmul_backward);
LEVEL_KERNEL(matmul_weight_backward);
LEVEL_KERNEL(attention_train_backward);
LEVEL_KERNEL(gate_backward);
LEVEL_KERNEL(square_sum);
LEVEL_KERNEL(adamw);

/* Entries of a level's table: a kernel alone, one that does not take everything, one that needs scratch. */
#define KERNEL(name)                                                                                        \
        {                                                                                                   \
                { LEVEL(name), NULL, NULL }, NULL                                                           \
        }
#define KERNEL_IF(name)                                                                                     \
        {                                                                                                   \
                { LEVEL(name), NULL, NULL }, LEVEL(name##_supports)                                         \
        }
#define SCRATCH(name)                                                                                       \
        {                                                                                                   \
                { LEVEL(name), LEVEL(name##_scratch), NULL }, NULL                                          \
        }
#define SCRATCH_IF(name)                                                                                    \
        {                                                                                                   \
                { LEVEL(name), LEVEL(name##_scratch), NULL }, LEVEL(name##_supports)                        \
        }

/* What every level of vectors has: lanes/ and, for ternary products, bytes/, arm/ or avx512/. */
#define LANES_ENTRIES                                                                                       \
        [QVF_OP_COPY] = KERNEL_IF(copy), [QVF_OP_EMBED] = KERNEL_IF(embed),                                 \
        [QVF_OP_KV_STORE] = KERNEL_IF(kv_store), [QVF_OP_ADD] = KERNEL(add),                                \
        [QVF_OP_RMSNORM] = KERNEL(rmsnorm), [QVF_OP_QUANTIZE] = KERNEL(quantize),                           \
        [QVF_OP_MATMUL_TERNARY] = SCRATCH_IF(matmul_ternary), [QVF_OP_MATMUL] = KERNEL_IF(matmul),          \
        [QVF_OP_ROPE] = KERNEL(rope), [QVF_OP_ATTENTION] = SCRATCH_IF(attention),                           \
        [QVF_OP_GATE] = KERNEL(gate), [QVF_OP_DROPOUT] = KERNEL(dropout),                                   \
        [QVF_OP_ATTENTION_TRAIN] = SCRATCH_IF(attention_train), [QVF_OP_HEAD_LOSS] = SCRATCH_IF(head_loss), \
        [QVF_OP_RMSNORM_BACKWARD] = KERNEL(rmsnorm_backward),                                               \
        [QVF_OP_MATMUL_TERNARY_BACKWARD] = SCRATCH_IF(matmul_ternary_backward),                             \
        [QVF_OP_MATMUL_BACKWARD] = SCRATCH_IF(matmul_backward),                                             \
        [QVF_OP_MATMUL_WEIGHT_BACKWARD] = KERNEL(matmul_weight_backward),                                   \
        [QVF_OP_ATTENTION_TRAIN_BACKWARD] = SCRATCH_IF(attention_train_backward),                           \
        [QVF_OP_GATE_BACKWARD] = KERNEL(gate_backward), [QVF_OP_SQUARE_SUM] = SCRATCH(square_sum),          \
        [QVF_OP_ADAMW] = KERNEL(adamw)

#endif
