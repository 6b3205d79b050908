/* SPDX-License-Identifier: Apache-2.0 */
/* Ten to twelve independent sums hide the latency of the instruction under test; the empty asm statements
 * keep the compiler from computing a product once for all rounds. */
#include "bench/peaks.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>
#include <string.h>

enum { SUMS = 12 };

static bool has_avx2(void)
{
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
        return __builtin_cpu_supports("avx512f");
}

static bool has_avx512_vnni(void)
{
        return has_avx512() && __builtin_cpu_supports("avx512vnni");
}

/* Not every compiler's __builtin_cpu_supports() knows these two names. */
static bool has_leaf7_1_eax(unsigned bit)
{
        unsigned eax, ebx, ecx, edx;

        return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax >> bit & 1);
}

static bool has_avx_vnni(void)
{
        return has_avx2() && has_leaf7_1_eax(4);
}

static bool has_avx512_bf16(void)
{
        return has_avx512() && has_leaf7_1_eax(5);
}

static void use(const void *bytes, size_t length)
{
        uint8_t folded = 0;

        for (size_t i = 0; i < length; i++)
                folded ^= ((const uint8_t *)bytes)[i];
        bench_sink[0] = folded;
}

__attribute__((target("avx512f,avx512vnni"))) static void int8_avx512(uint64_t rounds)
{
        __m512i sums[SUMS], a = _mm512_set1_epi8(1), b = _mm512_set1_epi8(-1);

        for (int i = 0; i < SUMS; i++)
                sums[i] = _mm512_setzero_si512();
        for (uint64_t round = 0; round < rounds; round++) {
#pragma GCC unroll 12
                for (int i = 0; i < SUMS; i++)
                        sums[i] = _mm512_dpbusd_epi32(sums[i], a, b);
        }
        use(sums, sizeof(sums));
}

__attribute__((target("avx2,avxvnni"))) static void int8_avx_vnni(uint64_t rounds)
{
        __m256i sums[SUMS], a = _mm256_set1_epi8(1), b = _mm256_set1_epi8(-1);

        for (int i = 0; i < SUMS; i++)
                sums[i] = _mm256_setzero_si256();
        for (uint64_t round = 0; round < rounds; round++) {
#pragma GCC unroll 12
                for (int i = 0; i < SUMS; i++)
                        sums[i] = _mm256_dpbusd_avx_epi32(sums[i], a, b);
        }
        use(sums, sizeof(sums));
}

/* The 16-bit sums of maddubs take a few products of ternary weights before they must be widened: four here.
 */
__attribute__((target("avx2"))) static void int8_avx2(uint64_t rounds)
{
        enum { WIDE = 4 };
        __m256i sums[WIDE], a = _mm256_set1_epi8(1), b = _mm256_set1_epi8(-1), ones = _mm256_set1_epi16(1);

        for (int i = 0; i < WIDE; i++)
                sums[i] = _mm256_setzero_si256();
        for (uint64_t round = 0; round < rounds; round++) {
#pragma GCC unroll 4
                for (int i = 0; i < WIDE; i++) {
                        __m256i narrow;

                        __asm__ volatile("" : "+x"(a));
                        narrow = _mm256_maddubs_epi16(a, b);
                        __asm__ volatile("" : "+x"(a));
                        narrow = _mm256_add_epi16(narrow, _mm256_maddubs_epi16(a, b));
                        __asm__ volatile("" : "+x"(a));
                        narrow = _mm256_add_epi16(narrow, _mm256_maddubs_epi16(a, b));
                        __asm__ volatile("" : "+x"(a));
                        narrow = _mm256_add_epi16(narrow, _mm256_maddubs_epi16(a, b));
                        sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(narrow, ones));
                }
        }
        use(sums, sizeof(sums));
}

__attribute__((target("avx512f"))) static void float32_avx512(uint64_t rounds)
{
        __m512 sums[SUMS], a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.25f);

        for (int i = 0; i < SUMS; i++)
                sums[i] = _mm512_set1_ps((float)i);
        for (uint64_t round = 0; round < rounds; round++) {
#pragma GCC unroll 12
                for (int i = 0; i < SUMS; i++)
                        sums[i] = _mm512_fmadd_ps(sums[i], a, b);
        }
        use(sums, sizeof(sums));
}

__attribute__((target("avx2,fma"))) static void float32_avx2(uint64_t rounds)
{
        __m256 sums[SUMS], a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.25f);

        for (int i = 0; i < SUMS; i++)
                sums[i] = _mm256_set1_ps((float)i);
        for (uint64_t round = 0; round < rounds; round++) {
#pragma GCC unroll 12
                for (int i = 0; i < SUMS; i++)
                        sums[i] = _mm256_fmadd_ps(sums[i], a, b);
        }
        use(sums, sizeof(sums));
}

__attribute__((target("avx512f,avx512bf16"))) static void bfloat16_avx512(uint64_t rounds)
{
        __m512 sums[SUMS];
        __m512bh a = (__m512bh)_mm512_set1_epi16(0x3f00),
                 b = (__m512bh)_mm512_set1_epi16(0x3e80); /* 0.5, 0.25 */

        for (int i = 0; i < SUMS; i++)
                sums[i] = _mm512_setzero_ps();
        for (uint64_t round = 0; round < rounds; round++) {
#pragma GCC unroll 12
                for (int i = 0; i < SUMS; i++)
                        sums[i] = _mm512_dpbf16_ps(sums[i], a, b);
        }
        use(sums, sizeof(sums));
}

__attribute__((target("avx512f"))) static void read_avx512(const void *memory, size_t bytes)
{
        const __m512i *in = memory;
        __m512i sums[8];

        for (int i = 0; i < 8; i++)
                sums[i] = _mm512_setzero_si512();
        for (size_t at = 0; at < bytes / sizeof(*in); at += 8) {
#pragma GCC unroll 8
                for (size_t i = 0; i < 8; i++)
                        sums[i] = _mm512_xor_si512(sums[i], _mm512_load_si512(&in[at + i]));
        }
        use(sums, sizeof(sums));
}

__attribute__((target("avx2"))) static void read_avx2(const void *memory, size_t bytes)
{
        const __m256i *in = memory;
        __m256i sums[8];

        for (int i = 0; i < 8; i++)
                sums[i] = _mm256_setzero_si256();
        for (size_t at = 0; at < bytes / sizeof(*in); at += 8) {
#pragma GCC unroll 8
                for (size_t i = 0; i < 8; i++)
                        sums[i] = _mm256_xor_si256(sums[i], _mm256_load_si256(&in[at + i]));
        }
        use(sums, sizeof(sums));
}

static void read_sse2(const void *memory, size_t bytes)
{
        const __m128i *in = memory;
        __m128i sums[8];

        for (int i = 0; i < 8; i++)
                sums[i] = _mm_setzero_si128();
        for (size_t at = 0; at < bytes / sizeof(*in); at += 8) {
#pragma GCC unroll 8
                for (size_t i = 0; i < 8; i++)
                        sums[i] = _mm_xor_si128(sums[i], _mm_load_si128(&in[at + i]));
        }
        use(sums, sizeof(sums));
}

static void float32_sse2(uint64_t rounds)
{
        __m128 sums[SUMS], a = _mm_set1_ps(0.5f), b = _mm_set1_ps(0.25f);

        for (int i = 0; i < SUMS; i++)
                sums[i] = _mm_set1_ps((float)i);
        for (uint64_t round = 0; round < rounds; round++) {
#pragma GCC unroll 12
                for (int i = 0; i < SUMS; i++)
                        sums[i] = _mm_add_ps(_mm_mul_ps(sums[i], a), b);
        }
        use(sums, sizeof(sums));
}

/* Sign-extended to 16 bits outside the loop: pmaddwd is all that SSE2 has. */
static void int8_sse2(uint64_t rounds)
{
        __m128i sums[SUMS], a = _mm_set1_epi16(1), b = _mm_set1_epi16(-1);

        for (int i = 0; i < SUMS; i++)
                sums[i] = _mm_setzero_si128();
        for (uint64_t round = 0; round < rounds; round++) {
#pragma GCC unroll 12
                for (int i = 0; i < SUMS; i++) {
                        __asm__ volatile("" : "+x"(a));
                        sums[i] = _mm_add_epi32(sums[i], _mm_madd_epi16(a, b));
                }
        }
        use(sums, sizeof(sums));
}

const struct bench_kernel bench_kernels[] = {
        { BENCH_PEAK_INT8, "vpdpbusd zmm", SUMS * 64 * 2, has_avx512_vnni, int8_avx512 },
        { BENCH_PEAK_INT8, "vpdpbusd ymm", SUMS * 32 * 2, has_avx_vnni, int8_avx_vnni },
        { BENCH_PEAK_INT8, "vpmaddubsw ymm", 4 * 4 * 32 * 2, has_avx2, int8_avx2 },
        { BENCH_PEAK_INT8, "pmaddwd xmm", SUMS * 8 * 2, NULL, int8_sse2 },
        { BENCH_PEAK_FLOAT32, "vfmadd zmm", SUMS * 16 * 2, has_avx512, float32_avx512 },
        { BENCH_PEAK_FLOAT32, "vfmadd ymm", SUMS * 8 * 2, has_avx2, float32_avx2 },
        { BENCH_PEAK_FLOAT32, "mulps, addps xmm", SUMS * 4 * 2, NULL, float32_sse2 },
        { BENCH_PEAK_BFLOAT16, "vdpbf16ps zmm", SUMS * 32 * 2, has_avx512_bf16, bfloat16_avx512 },
};
const size_t bench_kernel_count = sizeof(bench_kernels) / sizeof(bench_kernels[0]);

const struct bench_reader bench_readers[] = {
        { has_avx512, read_avx512 },
        { has_avx2, read_avx2 },
        { NULL, read_sse2 },
};
const size_t bench_reader_count = sizeof(bench_readers) / sizeof(bench_readers[0]);

#endif
