/* SPDX-License-Identifier: Apache-2.0 */
/* DRAW of one row (docs/arithmetic.md): candidates in draw_value and draw_id, HOW(i) what the row is told. */
#include "math.glsl"

#define DRAW_MOST 64u

shared float draw_value[DRAW_MOST], draw_weight[DRAW_MOST], draw_chance[DRAW_MOST];
shared int draw_id[DRAW_MOST];

bool draw_is_there(uint i)
{
        return draw_value[i] > uintBitsToFloat(0xff800000u);
}

float draw_below(uint i)
{
        const float most = uintBitsToFloat(0x7f7fffffu);
        precise float d = min(draw_value[i], most) - min(draw_value[0], most);

        return d;
}

void draw_weigh(uint i)
{
        precise float warm = draw_below(i) * HOW(0);

        draw_weight[i] = qvf_exp(draw_below(i));
        draw_chance[i] = qvf_exp(warm);
}

/* Once all are weighed. The sums are one invocation's, in order. */
int draw(uint count)
{
        uint kept = 0u, chosen = 0u;
        precise float sum = 0.0, mass = 0.0, wanted, point;

        if (!draw_is_there(0u))
                return -1;
        while (count > 1u && !draw_is_there(count - 1u))
                count--;
        for (uint i = 0; i < count; i++)
                sum += draw_weight[i];
        wanted = HOW(1) * sum;
        while (kept < count && (kept == 0u || (mass < wanted && draw_below(kept) >= HOW(2)))) {
                mass += draw_weight[kept];
                kept++;
        }
        sum = 0.0;
        for (uint i = 0; i < kept; i++)
                sum += draw_chance[i];
        point = HOW(3) * sum;
        sum = 0.0;
        for (uint i = 0; i < kept && !(sum > point); i++) {
                sum += draw_chance[i];
                chosen = i;
        }
        return draw_id[chosen];
}
