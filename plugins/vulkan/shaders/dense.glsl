/* SPDX-License-Identifier: Apache-2.0 */
/* What the products with dense weights share: y[m, n] (+)= f0 · s[m] · Σ_k x[m, k] · W(n, k). W(n, k) is W[n][k], or with
 * TRANSPOSED W[k][n]. All of a dispatch is a piece of the operation: rows from push.row0 on (what is bound begins
 * there), and of W the rows that are bound.
 * n: 0 rows of the piece, 1 N of the piece, 2 K of the piece, 3 columns of y, 4 columns of x, 5 columns of s (0: no s),
 * 6 where the piece's N begins in a row of y (TRANSPOSED: its K in a row of x), 7 column of s. f: 0 f0, 1 W.scale. */
#ifndef DENSE_GLSL
#define DENSE_GLSL

#include "qvf.glsl"

layout(set = 0, binding = 1, std430) buffer dense_y
{
        float y[];
};
layout(set = 0, binding = 2, std430) readonly buffer dense_x
{
        float x[];
};
layout(set = 0, binding = 3, std430) readonly buffer dense_w
{
        uint w[];
};
layout(set = 0, binding = 4, std430) readonly buffer dense_s
{
        float s[];
};

#define QVF_WEIGHT_WORDS w
#define QVF_WEIGHT_BASE push.rest[2]
#ifdef SCALES_BEHIND /* the rows of W, in the same binding, from word push.rest[7] on */
#define QVF_WEIGHT_SCALE(block) uintBitsToFloat(QVF_WEIGHT_WORDS[QVF_WEIGHT_BASE + push.rest[7] + block])
#else
layout(set = 0, binding = 5, std430) readonly buffer dense_scales
{
        float block_scales[];
};
#define QVF_WEIGHT_SCALE(block) block_scales[push.rest[4] + (block)]
#endif
#include "dense_weight.glsl"

layout(constant_id = 0) const uint DTYPE = 0;

uint dense_rows()
{
        uint rows = qvf_rows();

        return rows > push.row0 ? min(rows - push.row0, push.n[0]) : 0;
}

float dense_x_at(uint m, uint k)
{
#ifdef TRANSPOSED
        k += push.n[6];
#endif
        return x[push.rest[1] + m * push.n[4] + k];
}

float dense_weight(uint n, uint k)
{
#ifdef TRANSPOSED
        return qvf_weight(DTYPE, k, n, push.n[1], push.f[1]);
#else
        return qvf_weight(DTYPE, n, k, push.n[2], push.f[1]);
#endif
}

void dense_store(uint m, uint n, float sum)
{
        uint at;
        float factor = push.f[0];

        if (push.n[5] != 0)
                factor *= s[push.rest[3] + m * push.n[5] + push.n[7]];
#ifndef TRANSPOSED
        n += push.n[6];
#endif
        at = push.rest[0] + m * push.n[3] + n;
        sum *= factor;
        y[at] = (push.flags & QVF_ACCUMULATE) != 0 ? y[at] + sum : sum;
}

#endif
