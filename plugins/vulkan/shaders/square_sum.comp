/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "row.glsl"

layout(set = 0, binding = 1, std430) buffer result { float y[]; };
layout(set = 0, binding = 2, std430) readonly buffer input_ { float x[]; };

/* n[0] numbers in all. With several groups each leaves its sum in y[group], which the last dispatch adds up (n[1]: it takes
 * them as they are). */
void main()
{
        uint stride = gl_WorkGroupSize.x * gl_NumWorkGroups.x;
        float sum = 0.0;

        for (uint i = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x; i < push.n[0]; i += stride) {
                float v = x[push.rest[1] + i];

                sum = push.n[1] != 0 ? sum + v : fma(v, v, sum);
        }
        sum = row_sum(sum);
        if (gl_LocalInvocationID.x == 0)
                y[push.rest[0] + gl_WorkGroupID.x] = (push.flags & QVF_ACCUMULATE) != 0 ? y[push.rest[0] + gl_WorkGroupID.x] + sum : sum;
}
