/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require

/* y = f[0] · f[1] + f[2] */
#include "qvf.glsl"

layout(local_size_x = 1) in;

layout(set = 0, binding = 1, std430) writeonly buffer result { float y; };

void main()
{
        y = qvf_fma(push.f[0], push.f[1], push.f[2]);
}
