#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of attention.comp become y: n[0] heads, n[1] parts. */
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

void main()
{
        uint head = gl_WorkGroupID.x, row = gl_WorkGroupID.y, at = (row * push.n[0] + head) * push.n[1] * (SIZE + 2);
        float largest = -3.0e38, total = 0.0;

        if (row >= qvf_rows())
                return;
        for (uint p = 0; p < push.n[1]; p++)
                if (parts[at + p * (SIZE + 2) + 1] > 0.0)
                        largest = max(largest, parts[at + p * (SIZE + 2)]);
        for (uint p = 0; p < push.n[1]; p++)
                if (parts[at + p * (SIZE + 2) + 1] > 0.0)
                        total += parts[at + p * (SIZE + 2) + 1] * qvf_exp(parts[at + p * (SIZE + 2)] - largest);
        for (uint d = gl_LocalInvocationIndex; d < SIZE; d += 64) {
                float sum = 0.0;

                for (uint p = 0; p < push.n[1]; p++)
                        if (parts[at + p * (SIZE + 2) + 1] > 0.0)
                                sum += parts[at + p * (SIZE + 2) + 2 + d] * qvf_exp(parts[at + p * (SIZE + 2)] - largest);
                y[(row * push.n[0] + head) * SIZE + d] = total > 0.0 ? sum / total : 0.0;
        }
}
