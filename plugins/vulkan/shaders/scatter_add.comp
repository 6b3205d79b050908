/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "elements.glsl"

layout(set = 0, binding = 1, std430) buffer result { float y[]; };
layout(set = 0, binding = 2, std430) readonly buffer input_ { float x[]; };
layout(set = 0, binding = 3, std430) readonly buffer index_ { int index[]; };

/* n[1] rows of y, from row n[2] on. */
void main()
{
        FOR_ELEMENTS(i) {
                int to = index[push.row0 + i / push.n[0]];
                uint row = uint(to) - push.n[2];

                if (to >= 0 && uint(to) >= push.n[2] && row < push.n[1])
                        y[row * push.n[0] + i % push.n[0]] += x[i];
        }
}
