/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "cells.glsl"

/* Up to five COPYs between F32 and F16, all one way, 8 numbers by each invocation: gl_WorkGroupID.y says which.
 * n[k]: eights of a row of copy k. */
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint to_halves = 0;

layout(set = 0, binding = 1, std430) writeonly buffer result_0 { uvec4 y0[]; };
layout(set = 0, binding = 2, std430) readonly buffer input_0 { uvec4 x0[]; };
layout(set = 0, binding = 3, std430) writeonly buffer result_1 { uvec4 y1[]; };
layout(set = 0, binding = 4, std430) readonly buffer input_1 { uvec4 x1[]; };
layout(set = 0, binding = 5, std430) writeonly buffer result_2 { uvec4 y2[]; };
layout(set = 0, binding = 6, std430) readonly buffer input_2 { uvec4 x2[]; };
layout(set = 0, binding = 7, std430) writeonly buffer result_3 { uvec4 y3[]; };
layout(set = 0, binding = 8, std430) readonly buffer input_3 { uvec4 x3[]; };
layout(set = 0, binding = 9, std430) writeonly buffer result_4 { uvec4 y4[]; };
layout(set = 0, binding = 10, std430) readonly buffer input_4 { uvec4 x4[]; };

uint two_halves(uint a, uint b)
{
        return cells_half(uintBitsToFloat(a)) | cells_half(uintBitsToFloat(b)) << 16;
}

uvec4 narrow(uvec4 a, uvec4 b)
{
        return uvec4(two_halves(a.x, a.y), two_halves(a.z, a.w), two_halves(b.x, b.y), two_halves(b.z, b.w));
}

uvec4 widen(uvec2 two)
{
        return uvec4(floatBitsToUint(unpackHalf2x16(two.x)), floatBitsToUint(unpackHalf2x16(two.y)));
}

#define COPY(x, y) \
        if (to_halves != 0) { \
                y[i] = narrow(x[2 * i], x[2 * i + 1]); \
        } else { \
                uvec4 eight = x[i]; \
                y[2 * i] = widen(eight.xy); \
                y[2 * i + 1] = widen(eight.zw); \
        }

void main()
{
        uint which = gl_WorkGroupID.y, end = qvf_rows() * push.n[which];

        for (uint i = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x; i < end;
                i += gl_WorkGroupSize.x * gl_NumWorkGroups.x) {
                if (which == 0) {
                        COPY(x0, y0)
                } else if (which == 1) {
                        COPY(x1, y1)
                } else if (which == 2) {
                        COPY(x2, y2)
                } else if (which == 3) {
                        COPY(x3, y3)
                } else {
                        COPY(x4, y4)
                }
        }
}
