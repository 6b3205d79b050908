/* SPDX-License-Identifier: Apache-2.0 */
/* y = f0 a + f1 b */
#include "plugins/cpu/avx512/kernels.h"
#include "plugins/cpu/avx512/vector.h"

static ALWAYS_INLINE void add_16(const struct cpu_call *call, uint64_t i, uint64_t left, const bool whole)
{
        const __m512 f0 = _mm512_set1_ps(call->op->f[0]), f1 = _mm512_set1_ps(call->op->f[1]);
        __m512 a = load_floats((const float *)call->operand[1].data + i, left, whole);
        __m512 b = load_floats((const float *)call->operand[2].data + i, left, whole);

        store_floats((float *)call->operand[0].data + i, left, whole,
                        _mm512_add_ps(_mm512_mul_ps(f0, a), _mm512_mul_ps(f1, b)));
}

void cpu_avx512_add(const struct cpu_call *call)
{
        uint64_t i, end;

        share_numbers(call, &i, &end);
        for (; i + LANES <= end; i += LANES)
                add_16(call, i, LANES, true);
        if (i < end)
                add_16(call, i, end - i, false);
}
