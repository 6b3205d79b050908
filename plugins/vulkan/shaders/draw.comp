/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"

/* A workgroup draws for a row. n[0] candidates. */
layout(local_size_x_id = 0) in;

layout(set = 0, binding = 1, std430) writeonly buffer result { int drawn[]; };
layout(set = 0, binding = 2, std430) readonly buffer value_ { float value[]; };
layout(set = 0, binding = 3, std430) readonly buffer candidate_ { int candidate[]; };
layout(set = 0, binding = 4, std430) readonly buffer how_ { float how[]; };

#define HOW(i) how[qvf_group() * 4u + i]
#include "draw.glsl"

void main()
{
        uint row = qvf_group(), own = gl_LocalInvocationID.x;

        if (row >= push.n[7] || push.row0 + row >= qvf_rows())
                return;
        for (uint i = own; i < push.n[0]; i += gl_WorkGroupSize.x) {
                draw_value[i] = value[row * push.n[0] + i];
                draw_id[i] = candidate[row * push.n[0] + i];
        }
        barrier();
        for (uint i = own; i < push.n[0]; i += gl_WorkGroupSize.x)
                draw_weigh(i);
        barrier();
        if (own == 0u)
                drawn[row] = draw(push.n[0]);
}
