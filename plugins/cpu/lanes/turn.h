/* SPDX-License-Identifier: Apache-2.0 */
/* Sines and cosines of angles in double, right to the once-rounded float: a position times a frequency has more digits
 * than a float. */
#ifndef QVF_PLUGINS_CPU_LANES_TURN_H
#define QVF_PLUGINS_CPU_LANES_TURN_H

#include "plugins/cpu/lanes/lanes.h"

typedef int64_t longs __attribute__((vector_size(4 * LANES)));

static ALWAYS_INLINE doubles choose_doubles(longs mask, doubles a, doubles b)
{
        return (doubles)((mask & (longs)a) | (~mask & (longs)b));
}

static ALWAYS_INLINE doubles next_term(doubles sum, doubles z, double term)
{
        return fma_doubles(sum, z, (doubles){ 0 } + term);
}

static ALWAYS_INLINE void sine_and_cosine(doubles angle, doubles *ret_sine, doubles *ret_cosine)
{
        const doubles whole = { 0 };
        /* Added to 1.5 · 2⁵², a number is rounded to whole ones, which then are its last bits. */
        doubles moved = angle * TWO_OVER_PI + 0x1.8p52, n = moved - (whole + 0x1.8p52);
        longs quarter = (longs)moved, odd = -(quarter & 1);
        doubles r = fma_doubles(n, whole - HALF_PI_1, angle), z, s, c;

        r = fma_doubles(n, whole - HALF_PI_3, fma_doubles(n, whole - HALF_PI_2, r));
        z = r * r;
        s = next_term(next_term(next_term(whole + SIN_S5, z, SIN_S4), z, SIN_S3), z, SIN_S2);
        s = next_term(next_term(s, z, SIN_S1), z, SIN_S0);
        s = fma_doubles(s * z, r, r);
        c = next_term(next_term(next_term(whole + COS_C5, z, COS_C4), z, COS_C3), z, COS_C2);
        c = next_term(next_term(next_term(next_term(c, z, COS_C1), z, COS_C0), z, -0.5), z, 1);
        /* the sine is negative in quarters 2 and 3, the cosine in 1 and 2 */
        *ret_sine = (doubles)((longs)choose_doubles(odd, c, s) ^ (quarter & 2) << 62);
        *ret_cosine = (doubles)((longs)choose_doubles(odd, s, c) ^ ((quarter + 1) & 2) << 62);
}

#endif
