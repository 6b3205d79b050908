/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "math.glsl"

/* One invocation turns one pair of each of some heads; what stands beyond the pairs of a head is copied by those of its
 * first ones. */
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint HEADS = 1; /* of an invocation, which turn alike */

layout(set = 0, binding = 1, std430) buffer result { float y[]; };
layout(set = 0, binding = 2, std430) buffer input_ { float x[]; };
layout(set = 0, binding = 3, std430) readonly buffer position_ { int position[]; };
layout(set = 0, binding = 4, std430) readonly buffer frequency_ { float frequency[]; };

void main()
{
        uint columns = push.n[0], head_size = push.n[1], pairs = push.n[2], interleaved = push.n[3];
        uint half_ = head_size / 2, heads = columns / head_size;
        uint i = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x, row = push.row0 + gl_WorkGroupID.y;
        uint first_head = i / half_ * HEADS, pair = i % half_;

        if (row >= qvf_rows() || first_head >= heads)
                return;
        uint a = interleaved != 0 || pair >= pairs ? 2 * pair : pair, b = interleaved != 0 || pair >= pairs ? a + 1 : pair + pairs;
        vec2 turn = vec2(0.0);

        if (pair < pairs)
                turn = push.f[1] * qvf_sine_cosine(float(position[row]) * push.f[0], frequency[push.rest[3] + pair]);
        for (uint head = first_head; head < min(first_head + HEADS, heads); head++) {
                uint at = (row - push.row0) * columns + head * head_size;

                if (pair >= pairs) {
                        y[at + a] = x[at + a];
                        y[at + b] = x[at + b];
                } else {
                        vec2 turned = qvf_turn(vec2(x[at + a], x[at + b]), turn);

                        y[at + a] = turned.x;
                        y[at + b] = turned.y;
                }
                if (pair == 0 && (head_size & 1u) != 0)
                        y[at + head_size - 1] = x[at + head_size - 1];
        }
}
