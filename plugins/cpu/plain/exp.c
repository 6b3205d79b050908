/* SPDX-License-Identifier: Apache-2.0 */
/* exp as docs/arithmetic.md defines it: the same bits everywhere, where a math library's differ in the last one. */
#include <math.h>

#include "plugins/cpu/coefficients.h"
#include "plugins/cpu/plain/plain.h"

float plain_exp(float x)
{
        float n, r, p;

        if (isnan(x))
                return x;
        x = fminf(fmaxf(x, EXP_LEAST), EXP_MOST);
        n = rintf(x * EXP_LOG2E);
        r = fmaf(-n, EXP_LN2_HIGH, x);
        r = fmaf(-n, EXP_LN2_LOW, r);
        p = fmaf(EXP_E4, r, EXP_E3);
        p = fmaf(p, r, EXP_E2);
        p = fmaf(p, r, EXP_E1);
        p = fmaf(p, r, EXP_E0);
        p = fmaf(p, r * r, r) + 1;
        return ldexpf(p, (int)n);
}
