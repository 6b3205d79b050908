/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of this level; level.c makes the table of them. */
#ifndef QVF_PLUGINS_CPU_AVX2_KERNELS_H
#define QVF_PLUGINS_CPU_AVX2_KERNELS_H

#include "plugins/cpu/kernel.h"

void cpu_avx2_add(const struct cpu_call *call);
void cpu_avx2_attention(const struct cpu_call *call);
void cpu_avx2_gate(const struct cpu_call *call);
void cpu_avx2_matmul(const struct cpu_call *call);
void cpu_avx2_matmul_ternary(const struct cpu_call *call);
void cpu_avx2_quantize(const struct cpu_call *call);
void cpu_avx2_rmsnorm(const struct cpu_call *call);
void cpu_avx2_rope(const struct cpu_call *call);

size_t cpu_avx2_matmul_ternary_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);

bool cpu_avx2_attention_supports(const struct qvf_op *op, const struct cpu_operand *operands);
bool cpu_avx2_matmul_supports(const struct qvf_op *op, const struct cpu_operand *operands);
bool cpu_avx2_matmul_ternary_supports(const struct qvf_op *op, const struct cpu_operand *operands);

#endif
