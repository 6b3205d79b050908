/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"

/* An invocation copies the same words of all pairs, one pair after another: a later one may read what an earlier one
 * wrote. n[0] bytes of a block, n[1] blocks. */
layout(local_size_x_id = 0) in;

layout(set = 0, binding = 1, std430) buffer cache_ { uint cache[]; };
layout(set = 0, binding = 2, std430) readonly buffer pairs_ { int pairs[]; };

void main()
{
        uint words = push.n[0] / 4, rows = qvf_rows();
        uint i = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;

        if (i >= words)
                return;
        for (uint row = 0; row < rows; row++) {
                int from = pairs[2 * row], to = pairs[2 * row + 1];

                if (from >= 0 && uint(from) < push.n[1] && to >= 0 && uint(to) < push.n[1])
                        cache[uint(to) * words + i] = cache[uint(from) * words + i];
        }
}
