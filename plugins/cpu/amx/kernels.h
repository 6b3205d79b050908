/* SPDX-License-Identifier: Apache-2.0 */
/* What this level has beside its kernels, and what it takes from the level below for few rows. */
#ifndef QVF_PLUGINS_CPU_AMX_KERNELS_H
#define QVF_PLUGINS_CPU_AMX_KERNELS_H

#include "plugins/cpu/lanes/kernels.h"

bool cpu_amx_has_bf16(void);
bool cpu_amx_matmul_ternary_by_rows(const struct cpu_operand *operands);

void cpu_avx512_matmul_ternary(const struct cpu_call *call);
size_t cpu_avx512_matmul_ternary_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);
bool cpu_avx512_matmul_ternary_supports(const struct qvf_op *op, const struct cpu_operand *operands);
bool cpu_avx512_matmul_ternary_backward_supports(
                const struct qvf_op *op, const struct cpu_operand *operands);

#endif
