#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* Of row r and head h: dy[r] · y[r] and the largest |dy[r]| over its columns. n: 0 columns, 1 heads, 2 rows, which are
 * bound from push.row0 on. */
#include "qvf.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint SIZE = 64;

layout(set = 0, binding = 1, std430) writeonly buffer delta_out { vec2 delta[]; };
layout(set = 0, binding = 2, std430) readonly buffer delta_y { float y[]; };
layout(set = 0, binding = 3, std430) readonly buffer delta_dy { float dy[]; };

shared vec2 part[64];

/* 8 invocations for each of 8 pairs of row and head. */
void main()
{
        uint t = gl_LocalInvocationIndex, pair = qvf_group() * 8 + t / 8, heads = push.n[1];
        uint at = pair / heads * push.n[0] + pair % heads * SIZE;
        bool within = pair / heads < push.n[2] && push.row0 + pair / heads < qvf_rows();
        vec2 found = vec2(0.0);

        for (uint d = t % 8; d < SIZE && within; d += 8)
                found = vec2(found.x + y[at + d] * dy[at + d], max(found.y, abs(dy[at + d])));
        part[t] = found;
        barrier();
        if (t % 8 != 0 || !within)
                return;
        for (uint i = 1; i < 8; i++)
                found = vec2(found.x + part[t + i].x, max(found.y, part[t + i].y));
        delta[pair] = found;
}
