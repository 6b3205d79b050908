/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of q times a ternary matrix whose blocks have scales of their own: 16 invocations for each number of y, a block
 * each; the products of a block's sum with its scale are added in the order of the blocks that an invocation has, then
 * of invocations. */
#version 450
#extension GL_GOOGLE_include_directive : require
#define TERNARY_BINDING 4
#include "qvf.glsl"
#include "ternary.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 1) const uint LAYOUT = 0;

layout(set = 0, binding = 1, std430) writeonly buffer result { float y[]; };
layout(set = 0, binding = 2, std430) readonly buffer quantised { uint q[]; };
layout(set = 0, binding = 3, std430) readonly buffer scales { float scale[]; };
layout(set = 0, binding = 5, std430) readonly buffer blocks_packed { float block_scale[]; };

/* push.n: columns of q, rows of W here, columns of y, first row of W here; f[0] the scale of W */
#define LANES 16u

shared float sums[64];

void main()
{
        uint rows = qvf_rows(), lane = gl_LocalInvocationID.x % LANES, blocks = push.n[0] / 256u;
        uint n = gl_WorkGroupID.x * (64u / LANES) + gl_LocalInvocationID.x / LANES, row = gl_WorkGroupID.y;
        precise float sum = 0.0;

        rows -= min(rows, push.row0);
        if (row >= rows)
                return;
        for (uint b = lane; b < blocks && n < push.n[1]; b += LANES) {
                uint block = n * blocks + b;
                int part = 0;

                for (uint k = 64u * b; k < 64u * b + 64u; k++)
                        part += ternary_dot(q[push.rest[1] + row * 64u * blocks + k],
                                ternary_signed(ternary_codes(LAYOUT, n, push.n[0], k)));
                sum += (LAYOUT <= LAYOUT_P1 ? block_scale[push.rest[4] + block] : ternary_block_scale(LAYOUT, block)) * float(part);
        }
        sums[gl_LocalInvocationID.x] = sum;
        barrier();
        if (lane != 0u || n >= push.n[1])
                return;
        for (uint i = 1u; i < LANES; i++)
                sum += sums[gl_LocalInvocationID.x + i];
        y[push.rest[0] + row * push.n[2] + push.n[3] + n] = sum * (scale[push.rest[2] + row] * push.f[0]);
}
