/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "math.glsl"
#include "elements.glsl"

layout(set = 0, binding = 1, std430) buffer result_g { float dg[]; };
layout(set = 0, binding = 2, std430) buffer result_u { float du[]; };
layout(set = 0, binding = 3, std430) buffer input_g { float g[]; };
layout(set = 0, binding = 4, std430) buffer input_u { float u[]; };
layout(set = 0, binding = 5, std430) buffer gradient { float dy[]; };

void main()
{
        FOR_ELEMENTS(i) {
                float v = g[i], up = u[i], d = dy[i];
                float act = max(v, 0.0) * max(v, 0.0), slope = 2.0 * max(v, 0.0);

                if (push.n[1] == 0) {
                        float s = qvf_sigmoid(v), rest = qvf_sigmoid(-v);

                        act = v * s;
                        slope = s * fma(v, rest, 1.0);
                }
                dg[i] = d * up * slope;
                du[i] = d * act;
        }
}
