/* SPDX-License-Identifier: Apache-2.0 */
/* y = act(g) u; act(g) = g / (1 + exp(-g)) or max(g, 0)² */
#include "plugins/cpu/lanes/lanes.h"

static ALWAYS_INLINE floats activate(floats g, const bool silu)
{
        if (silu)
                return g / (all(1) + exponential(-g));
        g = larger(g, zeros());
        return g * g;
}

static ALWAYS_INLINE void gate(const struct cpu_call *call, const bool silu)
{
        const float *g = call->operand[1].data, *u = call->operand[2].data;
        float *y = call->operand[0].data;
        uint64_t i, end;

        share_numbers(call, &i, &end);
        for (; i + LANES <= end; i += LANES)
                store(y + i, activate(load(g + i), silu) * load(u + i));
        if (i < end)
                store_left(y + i, end - i, false,
                                activate(load_left(g + i, end - i, false), silu) *
                                                load_left(u + i, end - i, false));
}

void LEVEL(gate)(const struct cpu_call *call)
{
        if (call->op->i[0] == 0)
                gate(call, true);
        else
                gate(call, false);
}
