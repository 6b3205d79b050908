/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of this level; level.c makes the table of them. */
#ifndef QVF_PLUGINS_CPU_AVX512_KERNELS_H
#define QVF_PLUGINS_CPU_AVX512_KERNELS_H

#include "plugins/cpu/kernel.h"

void cpu_avx512_matmul_ternary(const struct cpu_call *call);
size_t cpu_avx512_matmul_ternary_scratch(const struct qvf_op *op, const struct cpu_operand *operands,
                unsigned n_threads);
bool cpu_avx512_matmul_ternary_supports(const struct qvf_op *op, const struct cpu_operand *operands);
void cpu_avx512_matmul(const struct cpu_call *call);
size_t cpu_avx512_matmul_scratch(const struct qvf_op *op, const struct cpu_operand *operands,
                unsigned n_threads);
bool cpu_avx512_matmul_supports(const struct qvf_op *op, const struct cpu_operand *operands);

#endif
