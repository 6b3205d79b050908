/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of this level; level.c makes the table of them. */
#ifndef QVF_PLUGINS_CPU_AVX512_KERNELS_H
#define QVF_PLUGINS_CPU_AVX512_KERNELS_H

#include "plugins/cpu/kernel.h"

void cpu_avx512_adamw(const struct cpu_call *call);
void cpu_avx512_add(const struct cpu_call *call);
void cpu_avx512_attention(const struct cpu_call *call);
void cpu_avx512_attention_train(const struct cpu_call *call);
void cpu_avx512_attention_train_backward(const struct cpu_call *call);
void cpu_avx512_copy(const struct cpu_call *call);
void cpu_avx512_dropout(const struct cpu_call *call);
void cpu_avx512_embed(const struct cpu_call *call);
void cpu_avx512_gate(const struct cpu_call *call);
void cpu_avx512_gate_backward(const struct cpu_call *call);
void cpu_avx512_head_loss(const struct cpu_call *call);
void cpu_avx512_kv_store(const struct cpu_call *call);
void cpu_avx512_matmul(const struct cpu_call *call);
void cpu_avx512_matmul_backward(const struct cpu_call *call);
void cpu_avx512_matmul_ternary(const struct cpu_call *call);
void cpu_avx512_matmul_ternary_backward(const struct cpu_call *call);
void cpu_avx512_matmul_weight_backward(const struct cpu_call *call);
void cpu_avx512_quantize(const struct cpu_call *call);
void cpu_avx512_rmsnorm(const struct cpu_call *call);
void cpu_avx512_rmsnorm_backward(const struct cpu_call *call);
void cpu_avx512_rope(const struct cpu_call *call);
void cpu_avx512_square_sum(const struct cpu_call *call);

size_t cpu_avx512_attention_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);
size_t cpu_avx512_attention_train_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);
size_t cpu_avx512_attention_train_backward_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);
size_t cpu_avx512_head_loss_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);
size_t cpu_avx512_matmul_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);
size_t cpu_avx512_matmul_backward_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);
size_t cpu_avx512_matmul_ternary_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);
size_t cpu_avx512_matmul_ternary_backward_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);
size_t cpu_avx512_square_sum_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);

bool cpu_avx512_attention_supports(const struct qvf_op *op, const struct cpu_operand *operands);
bool cpu_avx512_attention_train_supports(const struct qvf_op *op, const struct cpu_operand *operands);
bool cpu_avx512_attention_train_backward_supports(
                const struct qvf_op *op, const struct cpu_operand *operands);
bool cpu_avx512_copy_supports(const struct qvf_op *op, const struct cpu_operand *operands);
bool cpu_avx512_embed_supports(const struct qvf_op *op, const struct cpu_operand *operands);
bool cpu_avx512_head_loss_supports(const struct qvf_op *op, const struct cpu_operand *operands);
bool cpu_avx512_kv_store_supports(const struct qvf_op *op, const struct cpu_operand *operands);
bool cpu_avx512_matmul_supports(const struct qvf_op *op, const struct cpu_operand *operands);
bool cpu_avx512_matmul_backward_supports(const struct qvf_op *op, const struct cpu_operand *operands);
bool cpu_avx512_matmul_ternary_supports(const struct qvf_op *op, const struct cpu_operand *operands);
bool cpu_avx512_matmul_ternary_backward_supports(
                const struct qvf_op *op, const struct cpu_operand *operands);

#endif
