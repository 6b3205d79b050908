/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "row.glsl"

layout(set = 0, binding = 1, std430) writeonly buffer result { uint q[]; };
layout(set = 0, binding = 2, std430) writeonly buffer result_scale { float scale[]; };
layout(set = 0, binding = 3, std430) readonly buffer input_ { float x[]; };

int quantized(uint at, uint c, float factor)
{
        precise float v = c < push.n[0] ? x[at + c] * factor : 0.0;

        return int(clamp(roundEven(v), -128.0, 127.0));
}

void main()
{
        uint row = qvf_group(), columns = push.n[0], at = row * columns, words = push.n[1] / 4;
        float largest = 1e-5, factor;

        if (row >= push.n[7] || push.row0 + row >= qvf_rows())
                return;
        for (uint c = gl_LocalInvocationID.x; c < columns; c += gl_WorkGroupSize.x)
                largest = max(largest, abs(x[at + c]));
        largest = row_max(largest);
        factor = qvf_divide(127.0, largest);
        for (uint i = gl_LocalInvocationID.x; i < words; i += gl_WorkGroupSize.x) {
                uint word = 0;

                for (uint b = 0; b < 4; b++)
                        word |= (uint(quantized(at, i * 4 + b, factor)) & 255u) << 8 * b;
                q[row * words + i] = word;
        }
        if (gl_LocalInvocationID.x == 0)
                scale[push.row0 + row] = qvf_divide(largest, 127.0);
}
