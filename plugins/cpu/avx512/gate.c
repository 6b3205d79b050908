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

static ALWAYS_INLINE void gate(const struct cpu_call *call, const bool silu)
{
        const float *g = call->operand[1].data, *u = call->operand[2].data;
        float *y = call->operand[0].data;
        uint64_t begin, end;

        share_numbers(call, &begin, &end);
        for (uint64_t i = begin; i < end; i += LANES) {
                __mmask16 there = lanes_left(end - i);
                __m512 act = activate(_mm512_maskz_loadu_ps(there, g + i), silu);

                _mm512_mask_storeu_ps(y + i, there, _mm512_mul_ps(act, _mm512_maskz_loadu_ps(there, u + i)));
        }
}

void cpu_avx512_gate(const struct cpu_call *call)
{
        if (call->op->i[0] == 0)
                gate(call, true);
        else
                gate(call, false);
}
