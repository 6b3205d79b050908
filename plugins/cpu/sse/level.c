/* SPDX-License-Identifier: Apache-2.0 */
/* The SSE level: x86-64 with SSSE3 and SSE4.1, which all have had since 2008 to 2013. There is no fused product: float
 * results keep within bounds of the others' and are not the same to the last bit (docs/arithmetic.md). What stands here is
 * entered only where available() said yes. */
#include "plugins/cpu/lanes/kernels.h"

static bool available(void)
{
        return __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1");
}

extern const struct cpu_level cpu_level_sse;

const struct cpu_level cpu_level_sse = {
        .name = "sse",
        .available = available,
        .entries = {
                LANES_ENTRIES,
                [QVF_OP_TOP_K] = KERNEL(top_k),
        },
};
