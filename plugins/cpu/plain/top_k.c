/* SPDX-License-Identifier: Apache-2.0 */
/* The K largest of each row, largest first, the smaller index first among equals; NaN counts as -infinity.
 */
#include <math.h>
#include <string.h>

#include "plugins/cpu/plain/plain.h"

static void pick(const float *x, uint32_t columns, uint32_t k, float *value, int32_t *id)
{
        uint32_t held = 0;

        for (uint32_t c = 0; c < columns; c++) {
                float v = isnan(x[c]) ? -INFINITY : x[c];
                uint32_t place = 0, end = held;

                if (held == k && v <= value[k - 1])
                        continue;
                while (place < end) { /* the first place whose number is smaller */
                        uint32_t middle = (place + end) / 2;

                        if (value[middle] < v)
                                end = middle;
                        else
                                place = middle + 1;
                }
                if (held < k)
                        held++;
                memmove(value + place + 1, value + place, (held - place - 1) * sizeof(*value));
                memmove(id + place + 1, id + place, (held - place - 1) * sizeof(*id));
                value[place] = v;
                id[place] = (int32_t)c;
        }
}

void plain_top_k(const struct cpu_call *call)
{
        const struct cpu_operand *value = &call->operand[0], *id = &call->operand[1], *x = &call->operand[2];
        uint32_t begin, end;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++)
                pick(plain_row(x, r), x->columns, value->columns, plain_row(value, r),
                                plain_integers(id, r));
}
