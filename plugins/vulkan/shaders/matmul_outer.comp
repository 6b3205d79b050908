#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* The product where K is small (at most DEPTH): an invocation has one column and its K weights, and goes through RB
 * rows. */
#include "dense.glsl"

layout(local_size_x_id = 1) in;
layout(constant_id = 1) const uint THREADS = 64;
layout(constant_id = 2) const uint RB = 16;
layout(constant_id = 3) const uint DEPTH = 8;

shared float xs[RB * DEPTH];

void main()
{
        uint rows = dense_rows(), t = gl_LocalInvocationIndex, n = gl_WorkGroupID.x * THREADS + t;
        uint m0 = gl_WorkGroupID.y * RB;
        float b[DEPTH];

        if (m0 >= rows)
                return;
        for (uint i = t; i < RB * DEPTH; i += THREADS) {
                uint m = m0 + i / DEPTH, k = i % DEPTH;

                xs[i] = m < rows && k < push.n[2] ? dense_x_at(m, k) : 0.0;
        }
        for (uint k = 0; k < DEPTH; k++)
                b[k] = n < push.n[1] && k < push.n[2] ? dense_weight(n, k) : 0.0;
        barrier();
        if (n >= push.n[1])
                return;
        for (uint i = 0; i < min(RB, rows - m0); i++) {
                float sum = 0.0;

                for (uint k = 0; k < DEPTH; k++)
                        sum += xs[i * DEPTH + k] * b[k];
                dense_store(m0 + i, n, sum);
        }
}
