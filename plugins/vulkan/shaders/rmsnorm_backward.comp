/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "row.glsl"

layout(set = 0, binding = 1, std430) buffer result { float dx[]; };
layout(set = 0, binding = 2, std430) buffer input_ { float x[]; };
layout(set = 0, binding = 3, std430) readonly buffer weight_ { float w[]; };
layout(set = 0, binding = 4, std430) buffer gradient { float dy[]; };

void main()
{
        uint row = qvf_group(), columns = push.n[0], at = row * columns;
        float sum = 0.0, along = 0.0, t;

        if (row >= push.n[7] || push.row0 + row >= qvf_rows())
                return;
        for (uint c = gl_LocalInvocationID.x; c < columns; c += gl_WorkGroupSize.x) {
                sum = fma(x[at + c], x[at + c], sum);
                along = fma(x[at + c] * w[push.rest[2] + c], dy[at + c], along);
        }
        t = row_inverse_root(row_sum(sum) / float(columns) + push.f[0]);
        along = row_sum(along) / float(columns) * t * t * t;
        for (uint c = gl_LocalInvocationID.x; c < columns; c += gl_WorkGroupSize.x) {
                float d = t * w[push.rest[2] + c] * dy[at + c] - x[at + c] * along;

                dx[at + c] = (push.flags & QVF_ACCUMULATE) != 0 ? dx[at + c] + d : d;
        }
}
