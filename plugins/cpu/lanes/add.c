/* SPDX-License-Identifier: Apache-2.0 */
/* y = f0 a + f1 b */
#include "plugins/cpu/lanes/lanes.h"

void LEVEL(add)(const struct cpu_call *call)
{
        const float *a = call->operand[1].data, *b = call->operand[2].data;
        float *y = call->operand[0].data, f0 = call->op->f[0], f1 = call->op->f[1];
        uint64_t i, end;

        share_numbers(call, &i, &end);
        for (; i + LANES <= end; i += LANES)
                store(y + i, all(f0) * load(a + i) + all(f1) * load(b + i));
        for (; i < end; i++)
                y[i] = f0 * a[i] + f1 * b[i];
}
