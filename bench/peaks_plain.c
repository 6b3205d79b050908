/* SPDX-License-Identifier: Apache-2.0 */
/* For every CPU that has no file of its own: what the compiler makes of plain vectors of 16 bytes, which
 * every 64-bit ARM, POWER and RISC-V with vectors has. On ARM the instruction for dot products is named. */
#include "bench/peaks.h"

#if !defined(__x86_64__)

#include <string.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

enum { SUMS = 12 };

typedef float float_vector __attribute__((vector_size(16)));
typedef int32_t int_vector __attribute__((vector_size(16)));
typedef int8_t byte_vector __attribute__((vector_size(16)));
typedef int16_t short_vector __attribute__((vector_size(16)));

static void use(const void *bytes, size_t length)
{
        uint8_t folded = 0;

        for (size_t i = 0; i < length; i++)
                folded ^= ((const uint8_t *)bytes)[i];
        bench_sink[0] = folded;
}

#if defined(__aarch64__)
static bool has_sdot(void)
{
        return getauxval(AT_HWCAP) >> 20 & 1; /* HWCAP_ASIMDDP */
}

static bool has_bfdot(void)
{
        return getauxval(AT_HWCAP2) >> 14 & 1; /* HWCAP2_BF16 */
}

/* The two compilers name the same thing in two ways. */
#if defined(__clang__)
#define WITH_SDOT __attribute__((target("dotprod")))
#define WITH_BFDOT __attribute__((target("bf16")))
#else
#define WITH_SDOT __attribute__((target("arch=armv8.2-a+dotprod")))
#define WITH_BFDOT __attribute__((target("arch=armv8.2-a+bf16")))
#endif

WITH_SDOT static void int8_sdot(uint64_t rounds)
{
        int_vector sums[SUMS] = { 0 };
        byte_vector a = { 1, 2, 3 }, b = { 3, 2, 1 };

        for (uint64_t round = 0; round < rounds; round++) {
#pragma GCC unroll 12
                for (int i = 0; i < SUMS; i++)
                        __asm__("sdot %0.4s, %1.16b, %2.16b" : "+w"(sums[i]) : "w"(a), "w"(b));
        }
        use(sums, sizeof(sums));
}

WITH_BFDOT static void bfloat16_bfdot(uint64_t rounds)
{
        float_vector sums[SUMS] = { 0 };
        short_vector a = { 0x3f00, 0x3f00 }, b = { 0x3e80, 0x3e80 };

        for (uint64_t round = 0; round < rounds; round++) {
#pragma GCC unroll 12
                for (int i = 0; i < SUMS; i++)
                        __asm__("bfdot %0.4s, %1.8h, %2.8h" : "+w"(sums[i]) : "w"(a), "w"(b));
        }
        use(sums, sizeof(sums));
}

static void float32_fmla(uint64_t rounds)
{
        float_vector sums[SUMS] = { 0 }, a = { 0.5f, 0.5f }, b = { 0.25f, 0.25f };

        for (uint64_t round = 0; round < rounds; round++) {
#pragma GCC unroll 12
                for (int i = 0; i < SUMS; i++)
                        __asm__("fmla %0.4s, %1.4s, %2.4s" : "+w"(sums[i]) : "w"(a), "w"(b));
        }
        use(sums, sizeof(sums));
}
#endif

static void int8_plain(uint64_t rounds)
{
        int_vector sums[SUMS] = { 0 };
        volatile int32_t from = 3;
        int_vector a = { from, from, from, from };

        for (uint64_t round = 0; round < rounds; round++) {
#pragma GCC unroll 12
                for (int i = 0; i < SUMS; i++)
                        sums[i] = sums[i] * a + a;
        }
        use(sums, sizeof(sums));
}

static void float32_plain(uint64_t rounds)
{
        float_vector sums[SUMS] = { 0 };
        volatile float from = 0.5f;
        float_vector a = { from, from, from, from };

        for (uint64_t round = 0; round < rounds; round++) {
#pragma GCC unroll 12
                for (int i = 0; i < SUMS; i++)
                        sums[i] = sums[i] * a + a;
        }
        use(sums, sizeof(sums));
}

static void read_plain(const void *memory, size_t bytes)
{
        const int_vector *in = memory;
        int_vector sums[8] = { 0 };

        for (size_t at = 0; at < bytes / sizeof(*in); at += 8) {
#pragma GCC unroll 8
                for (size_t i = 0; i < 8; i++)
                        sums[i] ^= in[at + i];
        }
        use(sums, sizeof(sums));
}

const struct bench_kernel bench_kernels[] = {
#if defined(__aarch64__)
        { BENCH_PEAK_INT8, "sdot", SUMS * 16 * 2, has_sdot, int8_sdot },
        { BENCH_PEAK_FLOAT32, "fmla", SUMS * 4 * 2, NULL, float32_fmla },
        { BENCH_PEAK_BFLOAT16, "bfdot", SUMS * 8 * 2, has_bfdot, bfloat16_bfdot },
#endif
        { BENCH_PEAK_INT8, "32-bit multiply and add", SUMS * 4 * 2, NULL, int8_plain },
        { BENCH_PEAK_FLOAT32, "multiply and add", SUMS * 4 * 2, NULL, float32_plain },
};
const size_t bench_kernel_count = sizeof(bench_kernels) / sizeof(bench_kernels[0]);

const struct bench_reader bench_readers[] = {
        { NULL, read_plain },
};
const size_t bench_reader_count = sizeof(bench_readers) / sizeof(bench_readers[0]);

#endif
