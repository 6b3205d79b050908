/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "elements.glsl"

layout(set = 0, binding = 1, std430) writeonly buffer result { float y[]; };
layout(set = 0, binding = 2, std430) readonly buffer input_ { float x[]; };
layout(set = 0, binding = 3, std430) readonly buffer index_ { int index[]; };

/* n[1] rows of x, from row n[2] on; what is before or behind them another dispatch does, zeros the one with n[3]. */
void main()
{
        FOR_ELEMENTS(i) {
                int from = index[push.row0 + i / push.n[0]];
                uint row = uint(from) - push.n[2];

                if (from >= 0 && uint(from) >= push.n[2] && row < push.n[1])
                        y[i] = x[row * push.n[0] + i % push.n[0]];
                else if (push.n[3] != 0 && (from < 0 || uint(from) >= push.n[4]))
                        y[i] = 0.0;
        }
}
