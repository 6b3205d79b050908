/* SPDX-License-Identifier: Apache-2.0 */
/* Sums along rows, in double: products of two floats are exact there. */
#ifndef QVF_PLUGINS_CPU_LANES_SUMS_H
#define QVF_PLUGINS_CPU_LANES_SUMS_H

#include "plugins/cpu/lanes/lanes.h"

#define HALF (LANES / 2) /* doubles in a vector */

static ALWAYS_INLINE double fold_doubles(const doubles sum[4])
{
        doubles all_four = (sum[0] + sum[1]) + (sum[2] + sum[3]);
        double total = 0;

        for (unsigned i = 0; i < HALF; i++)
                total += all_four[i];
        return total;
}

/* Σ a b */
static inline double sum_products(const float *a, const float *b, uint32_t count)
{
        doubles sum[4] = { { 0 }, { 0 }, { 0 }, { 0 } };
        double rest = 0;
        uint32_t i = 0;

        for (; i + 4 * HALF <= count; i += 4 * HALF) {
                UNROLL
                for (unsigned j = 0; j < 4; j++)
                        sum[j] += load_doubles(a + i + j * HALF) * load_doubles(b + i + j * HALF);
        }
        for (; i < count; i++)
                rest += (double)a[i] * (double)b[i];
        return fold_doubles(sum) + rest;
}

/* Σ a b c */
static inline double sum_triples(const float *a, const float *b, const float *c, uint32_t count)
{
        doubles sum[4] = { { 0 }, { 0 }, { 0 }, { 0 } };
        double rest = 0;
        uint32_t i = 0;

        for (; i + 4 * HALF <= count; i += 4 * HALF) {
                UNROLL
                for (unsigned j = 0; j < 4; j++)
                        sum[j] += load_doubles(a + i + j * HALF) * load_doubles(b + i + j * HALF) *
                                  load_doubles(c + i + j * HALF);
        }
        for (; i < count; i++)
                rest += (double)a[i] * (double)b[i] * (double)c[i];
        return fold_doubles(sum) + rest;
}

#endif
