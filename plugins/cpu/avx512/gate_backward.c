/* SPDX-License-Identifier: Apache-2.0 */
/* dg = dy u act'(g), du = dy act(g). SiLU: with s = 1 / (1 + exp(-g)), act' = s (1 + g (1 - s)). ReLU²: act' = 2 g. */
#include "plugins/cpu/avx512/kernels.h"
#include "plugins/cpu/avx512/math.h"

static ALWAYS_INLINE void backward_16(
                const struct cpu_call *call, uint64_t i, uint64_t left, const bool whole, const bool silu)
{
        const __m512 one = _mm512_set1_ps(1), zero = _mm512_setzero_ps();
        __m512 g = load_floats((const float *)call->operand[2].data + i, left, whole);
        __m512 u = load_floats((const float *)call->operand[3].data + i, left, whole);
        __m512 d = load_floats((const float *)call->operand[4].data + i, left, whole);
        __m512 act, slope;

        if (silu) {
                __m512 s = _mm512_div_ps(one, _mm512_add_ps(one, vector_exp(_mm512_sub_ps(zero, g))));

                act = _mm512_mul_ps(g, s);
                slope = _mm512_fmadd_ps(act, _mm512_sub_ps(one, s), s);
        } else {
                g = _mm512_max_ps(g, zero);
                act = _mm512_mul_ps(g, g);
                slope = _mm512_add_ps(g, g);
        }
        store_floats((float *)call->operand[0].data + i, left, whole,
                        _mm512_mul_ps(_mm512_mul_ps(d, u), slope));
        store_floats((float *)call->operand[1].data + i, left, whole, _mm512_mul_ps(d, act));
}

static ALWAYS_INLINE void backward(const struct cpu_call *call, const bool silu)
{
        uint64_t i, end;

        share_numbers(call, &i, &end);
        for (; i + LANES <= end; i += LANES)
                backward_16(call, i, LANES, true, silu);
        if (i < end)
                backward_16(call, i, end - i, false, silu);
}

void cpu_avx512_gate_backward(const struct cpu_call *call)
{
        if (call->op->i[0] == 0)
                backward(call, true);
        else
                backward(call, false);
}
