/* SPDX-License-Identifier: Apache-2.0 */
/* aarch64 with products of 2 x 8 by 8 x 2 bytes (smmla): Cortex-A510, A710, X2, Neoverse N2, V1 and newer. It stands above
 * dotprod, whose instructions it uses as well. */
#include <sys/auxv.h>

#include "plugins/cpu/lanes/kernels.h"

#define HAS_I8MM (1ul << 13) /* of AT_HWCAP2: asm/hwcap.h */

static bool available(void)
{
        return getauxval(AT_HWCAP2) & HAS_I8MM;
}

extern const struct cpu_level cpu_level_i8mm;

const struct cpu_level cpu_level_i8mm = {
        .name = "i8mm",
        .available = available,
        .entries = {
                [QVF_OP_MATMUL_TERNARY] = SCRATCH_IF(matmul_ternary),
                [QVF_OP_MATMUL_TERNARY_BACKWARD] = SCRATCH_IF(matmul_ternary_backward),
        },
};
