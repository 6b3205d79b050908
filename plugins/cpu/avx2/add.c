/* SPDX-License-Identifier: Apache-2.0 */
/* y = f0 a + f1 b */
#include "plugins/cpu/lanes/kernels.h"
#include "plugins/cpu/avx2/vector.h"

static ALWAYS_INLINE void add_8(const struct cpu_call *call, uint64_t i, uint64_t left, const bool whole)
{
        const __m256 f0 = _mm256_set1_ps(call->op->f[0]), f1 = _mm256_set1_ps(call->op->f[1]);
        __m256 a = load_floats((const float *)call->operand[1].data + i, left, whole);
        __m256 b = load_floats((const float *)call->operand[2].data + i, left, whole);

        store_floats((float *)call->operand[0].data + i, left, whole,
                        _mm256_fmadd_ps(f0, a, _mm256_mul_ps(f1, b)));
}

void cpu_avx2_add(const struct cpu_call *call)
{
        uint64_t i, end;

        share_numbers(call, &i, &end);
        for (; i + LANES <= end; i += LANES)
                add_8(call, i, LANES, true);
        if (i < end)
                add_8(call, i, end - i, false);
}
