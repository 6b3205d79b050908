/* SPDX-License-Identifier: Apache-2.0 */
/* aarch64 with products of bytes that add up four neighbours (sdot): most cores since the Cortex-A55 and A76. */
#include <sys/auxv.h>

#include "plugins/cpu/lanes/kernels.h"

/* Of AT_HWCAP, as in asm/hwcap.h; the compiler was told ARMv8.2, to which the first three belong. */
#define HAS_CRC32 (1ul << 7)
#define HAS_ATOMICS (1ul << 8)
#define HAS_RDM (1ul << 12)
#define HAS_DOTPROD (1ul << 20)

static bool available(void)
{
        const unsigned long needed = HAS_CRC32 | HAS_ATOMICS | HAS_RDM | HAS_DOTPROD;

        return (getauxval(AT_HWCAP) & needed) == needed;
}

extern const struct cpu_level cpu_level_dotprod;

const struct cpu_level cpu_level_dotprod = {
        .name = "dotprod",
        .available = available,
        .entries = {
                [QVF_OP_MATMUL_TERNARY] = SCRATCH_IF(matmul_ternary),
                [QVF_OP_MATMUL_TERNARY_BACKWARD] = SCRATCH_IF(matmul_ternary_backward),
        },
};
