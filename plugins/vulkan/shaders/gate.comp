/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "math.glsl"
#include "elements.glsl"

layout(set = 0, binding = 1, std430) buffer result { float y[]; };
layout(set = 0, binding = 2, std430) buffer input_g { float g[]; };
layout(set = 0, binding = 3, std430) buffer input_u { float u[]; };

void main()
{
        FOR_ELEMENTS(i) {
                float v = g[i], up = u[i];

                y[i] = qvf_gate(push.n[1] == 0, v, up);
        }
}
