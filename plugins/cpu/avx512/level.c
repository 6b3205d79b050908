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
                LANES_ENTRIES,
        },
};
