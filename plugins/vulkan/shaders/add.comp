/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "elements.glsl"

layout(set = 0, binding = 1, std430) buffer result { float y[]; };
layout(set = 0, binding = 2, std430) buffer input_a { float a[]; };
layout(set = 0, binding = 3, std430) buffer input_b { float b[]; };

void main()
{
        FOR_ELEMENTS(i)
                y[i] = qvf_weighted_sum(push.f[0], a[i], push.f[1], b[i]);
}
