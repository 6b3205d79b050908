#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* A tile of 16 RM x 16 RN of the product by 16 x 16 invocations; W is decoded into shared memory as it comes. */
#include "dense.glsl"

layout(local_size_x = 256) in;
layout(constant_id = 1) const uint RM = 4;
layout(constant_id = 2) const uint RN = 4;

const uint STEP = 16;
const uint PITCH = 65;

shared float xs[STEP * PITCH];
shared float ws[STEP * PITCH];

void load(uint m0, uint n0, uint k0, uint rows)
{
        uint t = gl_LocalInvocationIndex;

        for (uint i = t; i < STEP * 16 * RM; i += 256) {
                uint k = i % STEP, m = i / STEP;

                xs[k * PITCH + m] = m0 + m < rows && k0 + k < push.n[2] ? dense_x_at(m0 + m, k0 + k) : 0.0;
        }
        for (uint i = t; i < STEP * 16 * RN; i += 256) {
#ifdef TRANSPOSED
                uint n = i % (16 * RN), k = i / (16 * RN);
#else
                uint k = i % STEP, n = i / STEP;
#endif
                ws[k * PITCH + n] = n0 + n < push.n[1] && k0 + k < push.n[2] ? dense_weight(n0 + n, k0 + k) : 0.0;
        }
}

void main()
{
        uint rows = dense_rows(), tm = gl_LocalInvocationIndex / 16, tn = gl_LocalInvocationIndex % 16;
        uint m0 = gl_WorkGroupID.y * 16 * RM, n0 = gl_WorkGroupID.x * 16 * RN;
        float sum[4][4];

        if (m0 >= rows)
                return;
        for (uint i = 0; i < 4; i++)
                for (uint j = 0; j < 4; j++)
                        sum[i][j] = 0.0;
        for (uint k0 = 0; k0 < push.n[2]; k0 += STEP) {
                barrier();
                load(m0, n0, k0, rows);
                barrier();
                for (uint k = 0; k < STEP; k++) {
                        float a[4], b[4];

                        for (uint i = 0; i < RM; i++)
                                a[i] = xs[k * PITCH + tm + 16 * i];
                        for (uint j = 0; j < RN; j++)
                                b[j] = ws[k * PITCH + tn + 16 * j];
                        for (uint i = 0; i < RM; i++)
                                for (uint j = 0; j < RN; j++)
                                        sum[i][j] += a[i] * b[j];
                }
        }
        for (uint i = 0; i < RM; i++)
                for (uint j = 0; j < RN; j++) {
                        uint m = m0 + tm + 16 * i, n = n0 + tn + 16 * j;

                        if (m < rows && n < push.n[1])
                                dense_store(m, n, sum[i][j]);
                }
}
