/* SPDX-License-Identifier: Apache-2.0 */
/* m = max(max|x|, 1e-5); q = clamp(rint(x * (127 / m)), -128, 127); scale = m / 127: the same integers as plain. */
#include "plugins/cpu/lanes/lanes.h"

static float largest_of(const float *x, uint32_t count)
{
        floats most[2] = { all(1e-5f), all(1e-5f) };
        uint32_t i = 0;

        /* Of a number that is none and another, larger() gives its second operand: a NaN is passed over. */
        for (; i + 2 * LANES <= count; i += 2 * LANES) {
                most[0] = larger(magnitude(load(x + i)), most[0]);
                most[1] = larger(magnitude(load(x + i + LANES)), most[1]);
        }
        for (; i < count; i += LANES)
                most[0] = larger(magnitude(load_left(x + i, count - i, i + LANES <= count)), most[0]);
        return largest(larger(most[0], most[1]));
}

void LEVEL(quantize)(const struct cpu_call *call)
{
        const struct cpu_operand *q = &call->operand[0], *x = &call->operand[2];
        uint32_t begin, end, columns = x->columns;
        float *scale = call->operand[1].data;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                const float *from = (const float *)x->data + (size_t)r * columns;
                int8_t *to = (int8_t *)q->data + (size_t)r * q->columns, last[LANES];
                float m = largest_of(from, columns);
                floats factor = all(127.0f / m);
                uint32_t c = 0;

                for (; c + LANES <= columns; c += LANES)
                        store_bytes(to + c, integers(load(from + c) * factor));
                if (c < columns) {
                        store_bytes(last, integers(load_left(from + c, columns - c, false) * factor));
                        memcpy(to + c, last, columns - c);
                }
                memset(to + columns, 0, q->columns - columns);
                scale[r] = m / 127.0f;
        }
}
