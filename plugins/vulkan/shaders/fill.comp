/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"

layout(local_size_x_id = 0) in;

layout(set = 0, binding = 1, std430) writeonly buffer result
{
        float y[];
};

void main()
{
        uint stride = gl_WorkGroupSize.x * gl_NumWorkGroups.x * gl_NumWorkGroups.y;

        for (uint i = qvf_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x; i < push.n[0]; i += stride)
                y[push.rest[0] + i] = push.f[0];
}
