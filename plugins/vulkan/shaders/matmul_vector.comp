#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* One row of x times W of F16, whose rows are whole uvec4: NB numbers of the result by one subgroup. What memory brings is
 * all that counts: DEEP times NB loads are under way at once, and none waits for what another one brought. */
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_EXT_control_flow_attributes : require

#include "dense.glsl"

layout(local_size_x_id = 3) in;
layout(constant_id = 1) const uint NB = 4;
layout(constant_id = 2) const uint DEEP = 2;
layout(constant_id = 3) const uint THREADS = 128;
layout(constant_id = 4) const uint LANES = 32;

layout(set = 0, binding = 2, std430) readonly buffer dense_x4
{
        vec4 x4[];
};
layout(set = 0, binding = 3, std430) readonly buffer dense_w4
{
        uvec4 w4[];
};

/* The workgroup's results leave together: where they stand in the host's memory, each store is a packet on the bus. */
shared float found[THREADS / LANES * NB];

void main()
{
        uint n0 = (qvf_group() * (THREADS / LANES) + gl_SubgroupID) * NB, width = push.n[2] / 8;
        float sums[NB];

        if (dense_rows() == 0)
                return;
        [[unroll]] for (uint j = 0; j < NB; j++)
                sums[j] = 0.0;
        for (uint k0 = gl_SubgroupInvocationID; k0 < width; k0 += LANES * DEEP) {
                uvec4 raw[NB * DEEP];
                vec4 a[DEEP * 2];

                [[unroll]] for (uint u = 0; u < DEEP; u++) {
                        uint k = k0 + u * LANES;

                        [[unroll]] for (uint j = 0; j < NB; j++)
                                raw[u * NB + j] = w4[push.rest[2] / 4 + (push.rest[6] + min(n0 + j, push.n[1] - 1)) * width +
                                                min(k, width - 1)];
                        a[2 * u] = k < width ? x4[push.rest[1] / 4 + 2 * k] : vec4(0.0);
                        a[2 * u + 1] = k < width ? x4[push.rest[1] / 4 + 2 * k + 1] : vec4(0.0);
                }
                [[unroll]] for (uint u = 0; u < DEEP; u++)
                        [[unroll]] for (uint j = 0; j < NB; j++) {
                                uvec4 four = raw[u * NB + j];

                                sums[j] += dot(a[2 * u], vec4(unpackHalf2x16(four.x), unpackHalf2x16(four.y)));
                                sums[j] += dot(a[2 * u + 1], vec4(unpackHalf2x16(four.z), unpackHalf2x16(four.w)));
                        }
        }
        [[unroll]] for (uint j = 0; j < NB; j++) {
                float sum = subgroupAdd(sums[j]);

                if (gl_SubgroupInvocationID == j)
                        found[gl_SubgroupID * NB + j] = sum;
        }
        barrier();
        uint n = qvf_group() * (THREADS / LANES) * NB + gl_LocalInvocationIndex;

        if (gl_LocalInvocationIndex < THREADS / LANES * NB && n < push.n[1])
                dense_store(0, n, found[gl_LocalInvocationIndex]);
}
