#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* The spans of attention.comp become y, in their order: n[0] heads, n[1] spans. What is bound begins at row push.row0. */
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "math.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint SIZE = 64;

layout(set = 0, binding = 1, std430) writeonly buffer combine_y
{
        float y[];
};
layout(set = 0, binding = 2, std430) readonly buffer combine_parts
{
        float parts[];
};

#include "attention_merge.glsl"

void main()
{
        uint head = gl_WorkGroupID.x, row = gl_WorkGroupID.y, at = (row * push.n[0] + head) * push.n[1] * (SIZE + 2u);

        if (push.row0 + row >= qvf_rows())
                return;
        for (uint d = gl_LocalInvocationIndex; d < SIZE; d += 64u) {
                float top = SCORE_NONE, total = 0.0, sum = 0.0;

                for (uint p = 0; p < push.n[1]; p++) {
                        uint from = at + p * (SIZE + 2u);

                        if (parts[from + 1u] == 0.0)
                                continue;
                        vec2 factor = attention_merge(top, total, parts[from], parts[from + 1u]);

                        sum = attention_merged(sum, parts[from + 2u + d], factor);
                }
                y[(row * push.n[0] + head) * SIZE + d] = attention_result(sum, total);
        }
}
