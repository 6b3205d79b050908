/* SPDX-License-Identifier: Apache-2.0 */
/* DRAW as docs/arithmetic.md defines it: few numbers, added up in one order, so that every device and the sampler choose
 * the same token. */
#include <float.h>
#include <math.h>

#include "plugins/cpu/plain/plain.h"

/* How far a candidate lies below the best. */
static float below(const float *value, uint32_t i)
{
        return fminf(value[i], FLT_MAX) - fminf(value[0], FLT_MAX);
}

/* Those that top_p and min_p leave: as many of the first. */
static uint32_t keep(const float *value, uint32_t count, float top_p, float least)
{
        float sum = 0, mass = 0, wanted;
        uint32_t kept = 0;

        for (uint32_t i = 0; i < count; i++)
                sum += plain_exp(below(value, i));
        wanted = top_p * sum;
        while (kept < count && (kept == 0 || (mass < wanted && below(value, kept) >= least)))
                mass += plain_exp(below(value, kept++));
        return kept;
}

int32_t plain_draw_row(const float *value, uint32_t count, const float how[4])
{
        uint32_t kept, last = 0;
        float sum = 0, point;

        if (count == 0 || !(value[0] > -INFINITY))
                return -1;
        while (count > 1 && !(value[count - 1] > -INFINITY)) /* there were not so many to choose from */
                count--;
        kept = keep(value, count, how[1], how[2]);
        for (uint32_t i = 0; i < kept; i++)
                sum += plain_exp(below(value, i) * how[0]);
        point = how[3] * sum;
        sum = 0;
        for (uint32_t i = 0; i < kept && !(sum > point); i++) {
                sum += plain_exp(below(value, i) * how[0]);
                last = i;
        }
        return (int32_t)last;
}

void plain_draw(const struct cpu_call *call)
{
        const struct cpu_operand *value = &call->operand[1], *candidate = &call->operand[2];
        uint32_t begin, end;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                int32_t place = plain_draw_row(
                                plain_row(value, r), value->columns, plain_row(&call->operand[3], r));

                *plain_integers(&call->operand[0], r) = place < 0 ? -1 : plain_integers(candidate, r)[place];
        }
}
