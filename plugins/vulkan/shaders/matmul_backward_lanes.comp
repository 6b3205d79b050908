#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* dx[m][n] = f0 Σ_k dy[m][k] W[k][n] where n is small: RB rows by 8 columns by one subgroup, or with TOGETHER by
 * all of a workgroup, each lane with some k. W is F32 and its rows are whole vec4. */
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_EXT_control_flow_attributes : require

#define TRANSPOSED
#include "dense.glsl"

layout(local_size_x = 128) in;
layout(constant_id = 1) const uint RB = 1;
layout(constant_id = 2) const bool TOGETHER = false;
layout(constant_id = 3) const uint LANES = 32;

#define SUBGROUPS (128 / LANES)
#define AT_ONCE 4u /* k on their way to a lane */

layout(set = 0, binding = 3, std430) readonly buffer dense_w4
{
        vec4 w4[];
};

shared vec4 part[SUBGROUPS * RB * 2];

void main()
{
        uint across = push.n[1] / 8, own = TOGETHER ? gl_SubgroupID : 0;
        uint task = TOGETHER ? qvf_group() : qvf_group() * SUBGROUPS + gl_SubgroupID, step_ = TOGETHER ? 128 : LANES;
        uint rows = dense_rows(), m0 = task / across * RB, n0 = task % across * 8;
        vec4 sums[RB * 2];

        if (m0 >= rows)
                return;
        [[unroll]] for (uint i = 0; i < RB * 2; i++)
                sums[i] = vec4(0.0);
        for (uint k0 = own * LANES + gl_SubgroupInvocationID; k0 < push.n[2]; k0 += step_ * AT_ONCE) {
                vec4 b[AT_ONCE * 2];
                float a[AT_ONCE * RB];

                [[unroll]] for (uint u = 0; u < AT_ONCE; u++) {
                        uint k = min(k0 + u * step_, push.n[2] - 1);
                        uint at = (push.rest[2] + (push.rest[6] + k) * push.n[1] + n0) / 4;

                        b[2 * u] = w4[at];
                        b[2 * u + 1] = w4[at + 1];
                        [[unroll]] for (uint i = 0; i < RB; i++)
                                a[u * RB + i] = k0 + u * step_ < push.n[2] ? dense_x_at(min(m0 + i, rows - 1), k) : 0.0;
                }
                [[unroll]] for (uint u = 0; u < AT_ONCE; u++)
                        [[unroll]] for (uint i = 0; i < RB; i++) {
                                sums[2 * i] += a[u * RB + i] * b[2 * u];
                                sums[2 * i + 1] += a[u * RB + i] * b[2 * u + 1];
                        }
        }
        [[unroll]] for (uint i = 0; i < RB * 2; i++)
                sums[i] = subgroupAdd(sums[i]);
        if (TOGETHER) {
                [[unroll]] for (uint i = 0; i < RB * 2; i++)
                        if (gl_SubgroupInvocationID == 0)
                                part[own * (RB * 2) + i] = sums[i];
                barrier();
                if (own != 0)
                        return;
        }
        [[unroll]] for (uint i = 0; i < RB * 2; i++) {
                if (gl_SubgroupInvocationID != i % LANES || m0 + i / 2 >= rows)
                        continue;
                if (TOGETHER)
                        [[unroll]] for (uint s = 1; s < SUBGROUPS; s++)
                                sums[i] += part[s * (RB * 2) + i];
                [[unroll]] for (uint j = 0; j < 4; j++)
                        dense_store(m0 + i / 2, n0 + i % 2 * 4 + j, sums[i][j]);
        }
}
