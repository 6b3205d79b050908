#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* RB x NB numbers of the product by one workgroup, whose invocations share out the K products of each: for few rows or
 * a narrow result. */
#include "dense.glsl"

layout(local_size_x_id = 1) in;
layout(constant_id = 1) const uint THREADS = 64;
layout(constant_id = 2) const uint RB = 1;
layout(constant_id = 3) const uint NB = 8;

shared float part[THREADS * RB * NB]; /* [invocation][m][n] */

void main()
{
        uint rows = dense_rows(), t = gl_LocalInvocationIndex;
        uint m0 = gl_WorkGroupID.y * RB, n0 = gl_WorkGroupID.x * NB;
        float sum[RB * NB];

        if (m0 >= rows || n0 >= push.n[1])
                return;
        for (uint i = 0; i < RB * NB; i++)
                sum[i] = 0.0;
        for (uint k = t; k < push.n[2]; k += THREADS) {
                float a[RB];

                for (uint i = 0; i < RB; i++)
                        a[i] = dense_x_at(min(m0 + i, rows - 1), k);
                for (uint j = 0; j < NB; j++) {
                        float b = dense_weight(min(n0 + j, push.n[1] - 1), k);

                        for (uint i = 0; i < RB; i++)
                                sum[i * NB + j] += a[i] * b;
                }
        }
        for (uint i = 0; i < RB * NB; i++)
                part[t * (RB * NB) + i] = sum[i];
        for (uint half_of = THREADS / 2; half_of > 0; half_of /= 2) {
                barrier();
                for (uint i = t; i < half_of * (RB * NB); i += THREADS)
                        part[i] += part[i + half_of * (RB * NB)];
        }
        barrier();
        for (uint i = t; i < RB * NB; i += THREADS) {
                uint m = m0 + i / NB, n = n0 + i % NB;

                if (m < rows && n < push.n[1])
                        dense_store(m, n, part[i]);
        }
}
