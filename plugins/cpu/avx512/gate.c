/* SPDX-License-Identifier: Apache-2.0 */
/* y = act(g) u; act(g) = g / (1 + exp(-g)) or max(g, 0)² */
#include "plugins/cpu/avx512/kernels.h"
#include "plugins/cpu/avx512/math.h"

static ALWAYS_INLINE __m512 activate(__m512 g, const bool silu)
{
        const __m512 one = _mm512_set1_ps(1), zero = _mm512_setzero_ps();

        if (silu)
                return _mm512_div_ps(g, _mm512_add_ps(one, vector_exp(_mm512_sub_ps(zero, g))));
        g = _mm512_max_ps(g, zero);
        return _mm512_mul_ps(g, g);
}

static ALWAYS_INLINE void gate_16(
                const struct cpu_call *call, uint64_t i, uint64_t left, const bool whole, const bool silu)
{
        __m512 g = load_floats((const float *)call->operand[1].data + i, left, whole);
        __m512 u = load_floats((const float *)call->operand[2].data + i, left, whole);

        store_floats((float *)call->operand[0].data + i, left, whole, _mm512_mul_ps(activate(g, silu), u));
}

static ALWAYS_INLINE void gate(const struct cpu_call *call, const bool silu)
{
        uint64_t i, end;

        share_numbers(call, &i, &end);
        for (; i + LANES <= end; i += LANES)
                gate_16(call, i, LANES, true, silu);
        if (i < end)
                gate_16(call, i, end - i, false, silu);
}

void cpu_avx512_gate(const struct cpu_call *call)
{
        if (call->op->i[0] == 0)
                gate(call, true);
        else
                gate(call, false);
}
