/* SPDX-License-Identifier: Apache-2.0 */
/* The AMX level: what the AVX-512 level needs, and the matrix unit with products of bytes. Products of bf16 are a thing of
 * their own, which the kernels that need it ask for. */
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "plugins/cpu/amx/kernels.h"

#define BIT(n) (1u << (n))
#define ASK_FOR_STATE 0x1023 /* ARCH_REQ_XCOMP_PERM of arch_prctl(2), for the whole process */
#define STATE_OF_TILES 18    /* XFEATURE_XTILEDATA */

#define TILES (BIT(24) | BIT(25)) /* the unit and its products of bytes */
#define TILES_BF16 BIT(22)

/* Which of `wanted` leaf 7 knows in its register d. */
static bool has_tiles(unsigned wanted)
{
#ifdef QVF_AMX_MODEL
        (void)wanted;
        return true;
#else
        unsigned a, b, c, d;

        return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & wanted) == wanted;
#endif
}

/* Multiplication by a matrix of bits, which unpacks weights. */
static bool has_gfni(void)
{
        unsigned a, b, c, d;

        return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & BIT(8));
}

/* Products of bf16 in tiles, and vcvtneps2bf16, which makes them. */
bool cpu_amx_has_bf16(void)
{
        unsigned a, b, c, d;

        return has_tiles(TILES_BF16) && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & BIT(5));
}

static bool has_avx512(void)
{
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma");
}

#ifndef QVF_AMX_MODEL
static bool has_unit(void)
{
        unsigned a, b, c, d;

        if (!has_tiles(TILES))
                return false;
        /* palette 1: 8 tiles, of 16 rows of 64 bytes each */
        return __get_cpuid_count(0x1d, 1, &a, &b, &c, &d) && a >> 16 == 1024 && (b & 0xffff) == 64 &&
               b >> 16 >= 8 && (c & 0xffff) >= 16;
}

/* The kernel keeps the tiles of those who ask; it may refuse, or be too old to know of them. */
static bool may_use_unit(void)
{
        return syscall(SYS_arch_prctl, ASK_FOR_STATE, STATE_OF_TILES) == 0;
}
#else
static bool has_unit(void)
{
        return true;
}

static bool may_use_unit(void)
{
        return true;
}
#endif

static bool available(void)
{
        return has_avx512() && has_gfni() && has_unit() && may_use_unit();
}

extern const struct cpu_level cpu_level_amx;

const struct cpu_level cpu_level_amx = {
        .name = "amx",
        .available = available,
        .entries = {
                [QVF_OP_MATMUL_TERNARY] = { { cpu_amx_matmul_ternary, cpu_amx_matmul_ternary_scratch,
                                                            cpu_amx_matmul_ternary_by_rows },
                                cpu_amx_matmul_ternary_supports },
                [QVF_OP_HEAD_LOSS] = SCRATCH_IF(head_loss),
                [QVF_OP_MATMUL_TERNARY_BACKWARD] = SCRATCH_IF(matmul_ternary_backward),
        },
};
