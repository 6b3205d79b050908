/* SPDX-License-Identifier: Apache-2.0 */
/* The AVX2 level: x86-64 with AVX2, FMA and F16C. What stands here is entered only where available() said yes. */
#include <cpuid.h>

#include "plugins/cpu/lanes/kernels.h"

static bool has_f16c(void) /* not every compiler's __builtin_cpu_supports() knows the word */
{
        unsigned a, b, c, d;

        return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static bool available(void)
{
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}

extern const struct cpu_level cpu_level_avx2;

const struct cpu_level cpu_level_avx2 = {
        .name = "avx2",
        .available = available,
        .entries = {
                LANES_ENTRIES,
                [QVF_OP_TOP_K] = KERNEL(top_k),
        },
};
