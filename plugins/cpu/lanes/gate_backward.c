/* SPDX-License-Identifier: Apache-2.0 */
/* dg = dy u act'(g), du = dy act(g). SiLU: with s = 1 / (1 + exp(-g)), act' = s (1 + g (1 - s)). ReLU²: act' = 2 g. */
#include "plugins/cpu/lanes/lanes.h"

static ALWAYS_INLINE void backward_numbers(
                const struct cpu_call *call, uint64_t i, uint64_t left, const bool whole, const bool silu)
{
        floats g = load_left((const float *)call->operand[2].data + i, left, whole);
        floats u = load_left((const float *)call->operand[3].data + i, left, whole);
        floats d = load_left((const float *)call->operand[4].data + i, left, whole);
        floats act, slope;

        if (silu) {
                floats s = all(1) / (all(1) + exponential(-g));

                act = g * s;
                slope = fma_of(act, all(1) - s, s);
        } else {
                g = larger(g, zeros());
                act = g * g;
                slope = g + g;
        }
        store_left((float *)call->operand[0].data + i, left, whole, d * u * slope);
        store_left((float *)call->operand[1].data + i, left, whole, d * act);
}

static ALWAYS_INLINE void backward(const struct cpu_call *call, const bool silu)
{
        uint64_t i, end;

        share_numbers(call, &i, &end);
        for (; i + LANES <= end; i += LANES)
                backward_numbers(call, i, LANES, true, silu);
        if (i < end)
                backward_numbers(call, i, end - i, false, silu);
}

void LEVEL(gate_backward)(const struct cpu_call *call)
{
        if (call->op->i[0] == 0)
                backward(call, true);
        else
                backward(call, false);
}
