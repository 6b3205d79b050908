/* SPDX-License-Identifier: Apache-2.0 */
/* y = act(g) u; act(g) = g / (1 + exp(-g)) or max(g, 0)² */
#include "plugins/cpu/lanes/kernels.h"
#include "plugins/cpu/avx2/math.h"

static ALWAYS_INLINE void gate_8(
                const struct cpu_call *call, uint64_t i, uint64_t left, const bool whole, const bool silu)
{
        const __m256 one = _mm256_set1_ps(1), zero = _mm256_setzero_ps();
        __m256 g = load_floats((const float *)call->operand[1].data + i, left, whole);
        __m256 u = load_floats((const float *)call->operand[2].data + i, left, whole);

        if (silu) {
                g = _mm256_div_ps(g, _mm256_add_ps(one, vector_exp(_mm256_sub_ps(zero, g))));
        } else {
                g = _mm256_max_ps(g, zero);
                g = _mm256_mul_ps(g, g);
        }
        store_floats((float *)call->operand[0].data + i, left, whole, _mm256_mul_ps(g, u));
}

static ALWAYS_INLINE void gate(const struct cpu_call *call, const bool silu)
{
        uint64_t i, end;

        share_numbers(call, &i, &end);
        for (; i + LANES <= end; i += LANES)
                gate_8(call, i, LANES, true, silu);
        if (i < end)
                gate_8(call, i, end - i, false, silu);
}

void cpu_avx2_gate(const struct cpu_call *call)
{
        if (call->op->i[0] == 0)
                gate(call, true);
        else
                gate(call, false);
}
