#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* As matmul_outer, four columns by an invocation: N and the columns of y are whole vec4, W is F32. */
#extension GL_EXT_control_flow_attributes : require

#include "dense.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 1) const uint RB = 16; /* rows, 4 at a time */
layout(constant_id = 2) const uint DEPTH = 8;

layout(set = 0, binding = 1, std430) buffer dense_y4
{
        vec4 y4[];
};

shared float xs[RB * DEPTH];

void main()
{
        uint rows = dense_rows(), t = gl_LocalInvocationIndex, n = (gl_WorkGroupID.x * 64 + t) * 4;
        uint m0 = gl_WorkGroupID.y * RB;
        bool add = (push.flags & QVF_ACCUMULATE) != 0;
        vec4 b[DEPTH];

        if (m0 >= rows)
                return;
        for (uint i = t; i < RB * DEPTH; i += 64) {
                uint m = m0 + i / DEPTH, k = i % DEPTH;

                xs[i] = m < rows && k < push.n[2] ? push.f[0] * dense_x_at(m, k) : 0.0;
                if (push.n[5] != 0 && m < rows)
                        xs[i] *= s[push.rest[3] + m * push.n[5] + push.n[7]];
        }
        [[unroll]] for (uint k = 0; k < DEPTH; k++)
                [[unroll]] for (uint j = 0; j < 4; j++)
                        b[k][j] = n < push.n[1] && k < push.n[2] ? dense_weight(n + j, k) : 0.0;
        barrier();
        if (n >= push.n[1])
                return;
#ifndef TRANSPOSED
        n += push.n[6];
#endif
        [[unroll]] for (uint i0 = 0; i0 < RB; i0 += 4) {
                uint at = (push.rest[0] + (m0 + i0) * push.n[3] + n) / 4, step_ = push.n[3] / 4;
                vec4 sums[4];

                [[unroll]] for (uint i = 0; i < 4; i++)
                        sums[i] = add && m0 + i0 + i < rows ? y4[at + i * step_] : vec4(0.0);
                [[unroll]] for (uint i = 0; i < 4; i++)
                        [[unroll]] for (uint k = 0; k < DEPTH; k++)
                                sums[i] += xs[(i0 + i) * DEPTH + k] * b[k];
                [[unroll]] for (uint i = 0; i < 4; i++)
                        if (m0 + i0 + i < rows)
                                y4[at + i * step_] = sums[i];
        }
}
