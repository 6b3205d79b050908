#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* dx[m][n] = f0 Σ_k dy[m][k] W[k][n] where n is small: RB rows by 8 columns by one subgroup, each lane with some k. W is
 * F32 and its rows are whole vec4. */
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_EXT_control_flow_attributes : require

#define TRANSPOSED
#include "dense.glsl"

layout(local_size_x = 128) in;
layout(constant_id = 1) const uint RB = 1;

layout(set = 0, binding = 3, std430) readonly buffer dense_w4
{
        vec4 w4[];
};

void main()
{
        uint across = push.n[1] / 8, task = qvf_group() * gl_NumSubgroups + gl_SubgroupID;
        uint rows = dense_rows(), m0 = task / across * RB, n0 = task % across * 8;
        vec4 sums[RB * 2];

        if (m0 >= rows)
                return;
        [[unroll]] for (uint i = 0; i < RB * 2; i++)
                sums[i] = vec4(0.0);
        for (uint k = gl_SubgroupInvocationID; k < push.n[2]; k += gl_SubgroupSize) {
                uint at = (push.rest[2] + (push.rest[6] + k) * push.n[1] + n0) / 4;
                vec4 b0 = w4[at], b1 = w4[at + 1];

                [[unroll]] for (uint i = 0; i < RB; i++) {
                        float a = dense_x_at(min(m0 + i, rows - 1), k);

                        sums[2 * i] += a * b0;
                        sums[2 * i + 1] += a * b1;
                }
        }
        [[unroll]] for (uint i = 0; i < RB * 2; i++) {
                vec4 sum = subgroupAdd(sums[i]);

                if (gl_SubgroupInvocationID == i % gl_SubgroupSize && m0 + i / 2 < rows)
                        [[unroll]] for (uint j = 0; j < 4; j++)
                                dense_store(m0 + i / 2, n0 + i % 2 * 4 + j, sum[j]);
        }
}
