/* SPDX-License-Identifier: Apache-2.0 */
/* aarch64 with products of 2 x 4 by 4 x 2 bf16 (bfmmla): Cortex-A510, A710, X2, Neoverse N2, V1 and newer. */
#include <sys/auxv.h>

#include "plugins/cpu/lanes/kernels.h"

/* asm/hwcap.h: of AT_HWCAP what belongs to the ARMv8.2 that the compiler was told, of AT_HWCAP2 the rest */
#define HAS_CRC32 (1ul << 7)
#define HAS_ATOMICS (1ul << 8)
#define HAS_RDM (1ul << 12)
#define HAS_BF16 (1ul << 14)

static bool available(void)
{
        const unsigned long needed = HAS_CRC32 | HAS_ATOMICS | HAS_RDM;

        return (getauxval(AT_HWCAP) & needed) == needed && (getauxval(AT_HWCAP2) & HAS_BF16);
}

extern const struct cpu_level cpu_level_bf16;

const struct cpu_level cpu_level_bf16 = {
        .name = "bf16",
        .available = available,
        .entries = {
                [QVF_OP_HEAD_LOSS] = SCRATCH_IF(head_loss),
        },
};
