/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a gradient, as the products with ternary weights read them that make bytes of them. */
#ifndef QVF_PLUGINS_CPU_LANES_GRADIENT_H
#define QVF_PLUGINS_CPU_LANES_GRADIENT_H

#include "plugins/cpu/lanes/lanes.h"

/* Numbers `at` to `at` + LANES - 1 of `count`, zeros behind their end. */
static ALWAYS_INLINE floats gradient_at(const float *x, uint32_t at, uint32_t count)
{
        if (at + LANES <= count)
                return load(x + at);
        return at < count ? load_left(x + at, count - at, false) : zeros();
}

/* The largest magnitude; no number if one of them is none. */
static inline float gradient_length(const float *x, uint32_t count)
{
        floats most = zeros(), nothing = zeros();

        for (uint32_t i = 0; i < count; i += LANES) {
                floats v = gradient_at(x, i, count);

                most = larger(magnitude(v), most);
                nothing = fma_of(v, zeros(), nothing); /* 0, or not a number */
        }
        return largest(most) + fold(nothing);
}

#endif
