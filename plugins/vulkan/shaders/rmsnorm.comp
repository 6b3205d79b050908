/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "row.glsl"

layout(set = 0, binding = 1, std430) buffer result { float y[]; };
layout(set = 0, binding = 2, std430) buffer input_ { float x[]; };
layout(set = 0, binding = 3, std430) readonly buffer weight_ { float w[]; };

void main()
{
        uint row = qvf_group(), columns = push.n[0], at = row * columns;
        norm_sum sum = norm_begin();
        vec2 factor;

        if (row >= push.n[7] || push.row0 + row >= qvf_rows())
                return;
        for (uint c = gl_LocalInvocationID.x; c < columns; c += gl_WorkGroupSize.x)
                norm_add(sum, vec4(x[at + c], 0.0, 0.0, 0.0));
        factor = norm_factor(row_sum_pair(norm_end(sum)), float(columns), 1.0 / float(columns), push.f[0]);
        for (uint c = gl_LocalInvocationID.x; c < columns; c += gl_WorkGroupSize.x)
                y[at + c] = norm_scale(x[at + c], factor, w[push.rest[2] + c]);
}
