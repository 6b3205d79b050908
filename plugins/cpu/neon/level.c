/* SPDX-License-Identifier: Apache-2.0 */
/* The NEON level: every aarch64, the first ARMv8.0 too. */
#include <sys/auxv.h>

#include "plugins/cpu/lanes/kernels.h"

#define HAS_ASIMD (1ul << 1) /* of AT_HWCAP: asm/hwcap.h */

static bool available(void)
{
        return getauxval(AT_HWCAP) & HAS_ASIMD;
}

extern const struct cpu_level cpu_level_neon;

const struct cpu_level cpu_level_neon = {
        .name = "neon",
        .available = available,
        .entries = {
                LANES_ENTRIES,
                [QVF_OP_TOP_K] = KERNEL(top_k),
        },
};
