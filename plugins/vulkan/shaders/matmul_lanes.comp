#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* RB x NB numbers of the product by one subgroup, or with TOGETHER by all subgroups of a workgroup; its lanes share out the
 * K products of each: for few rows or a narrow result. Rows of W are whole groups of 8 numbers, those of x too. */
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_EXT_control_flow_attributes : require

#include "dense.glsl"

layout(local_size_x = 128) in;
layout(constant_id = 1) const uint RB = 1;
layout(constant_id = 2) const uint NB = 4;
layout(constant_id = 3) const bool WIDE = false; /* W is F16 or F32, and its rows are whole uvec4 */
layout(constant_id = 4) const bool TOGETHER = false;
layout(constant_id = 5) const uint LANES = 32;

layout(set = 0, binding = 2, std430) readonly buffer dense_x4
{
        vec4 x4[];
};
layout(set = 0, binding = 3, std430) readonly buffer dense_w4
{
        uvec4 w4[];
};

#define SUBGROUPS (128 / LANES)

shared float part[SUBGROUPS * RB * NB];

void eight_weights(uint n, uint k, out float eight[8])
{
        uint at = (push.rest[6] + n) * push.n[2] + k;

        if (WIDE && DTYPE == DTYPE_F16) {
                uvec4 four = w4[push.rest[2] / 4 + at / 8];

                [[unroll]] for (uint i = 0; i < 4; i++) {
                        vec2 two = unpackHalf2x16(four[i]);

                        eight[2 * i] = two.x;
                        eight[2 * i + 1] = two.y;
                }
        } else if (WIDE) {
                [[unroll]] for (uint i = 0; i < 2; i++) {
                        vec4 four = uintBitsToFloat(w4[push.rest[2] / 4 + at / 4 + i]);

                        [[unroll]] for (uint j = 0; j < 4; j++)
                                eight[4 * i + j] = four[j];
                }
        } else {
                weight_eight(DTYPE, n, k, push.n[2], push.f[1], eight);
        }
}

void main()
{
        uint across = (push.n[1] + NB - 1) / NB, own = TOGETHER ? gl_SubgroupID : 0;
        uint task = TOGETHER ? qvf_group() : qvf_group() * SUBGROUPS + gl_SubgroupID;
        uint rows = dense_rows(), m0 = task / across * RB, n0 = task % across * NB;
        float sums[RB * NB];

        if (m0 >= rows)
                return;
        [[unroll]] for (uint i = 0; i < RB * NB; i++)
                sums[i] = 0.0;
        for (uint k = (own * LANES + gl_SubgroupInvocationID) * 8; k < push.n[2]; k += (TOGETHER ? 128 : LANES) * 8) {
                vec4 a[RB * 2];
                float b[NB * 8];

                [[unroll]] for (uint i = 0; i < RB; i++) {
                        uint at = (push.rest[1] + min(m0 + i, rows - 1) * push.n[4] + k) / 4;

                        a[2 * i] = x4[at];
                        a[2 * i + 1] = x4[at + 1];
                }
                [[unroll]] for (uint j = 0; j < NB; j++) {
                        float eight[8];

                        eight_weights(min(n0 + j, push.n[1] - 1), k, eight);
                        [[unroll]] for (uint d = 0; d < 8; d++)
                                b[8 * j + d] = eight[d];
                }
                [[unroll]] for (uint i = 0; i < RB; i++)
                        [[unroll]] for (uint j = 0; j < NB; j++)
                                [[unroll]] for (uint d = 0; d < 8; d++)
                                        sums[i * NB + j] += a[2 * i + d / 4][d % 4] * b[8 * j + d];
        }
        [[unroll]] for (uint i = 0; i < RB * NB; i++)
                sums[i] = subgroupAdd(sums[i]);
        if (TOGETHER) {
                [[unroll]] for (uint i = 0; i < RB * NB; i++)
                        if (gl_SubgroupInvocationID == 0)
                                part[own * (RB * NB) + i] = sums[i];
                barrier();
                if (own != 0)
                        return;
                [[unroll]] for (uint i = 0; i < RB * NB; i++)
                        [[unroll]] for (uint s = 1; s < SUBGROUPS; s++)
                                sums[i] += part[s * (RB * NB) + i];
        }
        /* Each lane keeps one number, so that neighbours are stored together: results may stand in the host's memory. */
        float kept = 0.0;

        [[unroll]] for (uint i = 0; i < RB * NB; i++)
                if (gl_SubgroupInvocationID == i)
                        kept = sums[i];
                else if (i >= LANES && gl_SubgroupInvocationID == 0 && m0 + i / NB < rows && n0 + i % NB < push.n[1])
                        dense_store(m0 + i / NB, n0 + i % NB, sums[i]);
        uint m = m0 + gl_SubgroupInvocationID / NB, n = n0 + gl_SubgroupInvocationID % NB;

        if (gl_SubgroupInvocationID < RB * NB && m < rows && n < push.n[1])
                dense_store(m, n, kept);
}
