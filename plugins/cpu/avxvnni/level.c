/* SPDX-License-Identifier: Apache-2.0 */
/* The AVX-VNNI level: x86-64 without AVX-512, but with its products of bytes at 256 bits. Everything else is AVX2's. */
#include <cpuid.h>

#include "plugins/cpu/lanes/kernels.h"

static bool has_avx_vnni(void) /* not every compiler's __builtin_cpu_supports() knows the word */
{
        unsigned a, b, c, d;

        return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1u << 4));
}

static bool available(void)
{
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_avx_vnni();
}

extern const struct cpu_level cpu_level_avxvnni;

const struct cpu_level cpu_level_avxvnni = {
        .name = "avxvnni",
        .available = available,
        .entries = {
                [QVF_OP_MATMUL_TERNARY] = SCRATCH_IF(matmul_ternary),
                [QVF_OP_MATMUL_TERNARY_BACKWARD] = SCRATCH_IF(matmul_ternary_backward),
        },
};
