/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"

/* As kv_copy.comp where no binding holds the cache: some pairs' blocks out of one window of it after the other, then into
 * one after the other. A later pair reads what an earlier one wrote, as if one went after another: its block is looked for
 * where it stood before them all, and only the last that goes to a place goes there.
 * n: 0 bytes of a block, 1 blocks, 2 first and 3 number of the window's, 4 first and 5 number of the pairs. */
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint INTO = 0;

layout(set = 0, binding = 1, std430) buffer cache_ { uint cache[]; };
layout(set = 0, binding = 2, std430) readonly buffer pairs_ { int pairs[]; };
layout(set = 0, binding = 3, std430) buffer apart_ { uint apart[]; };

bool is_sound(uint pair)
{
        int from = pairs[2 * pair], to = pairs[2 * pair + 1];

        return from >= 0 && uint(from) < push.n[1] && to >= 0 && uint(to) < push.n[1];
}

void main()
{
        uint words = push.n[0] / 4, end = min(qvf_rows(), push.n[4] + push.n[5]), pair = push.n[4] + gl_WorkGroupID.y;
        uint i = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x, block;

        if (i >= words || pair >= end || !is_sound(pair))
                return;
        block = uint(pairs[2 * pair + INTO]);
        if (INTO != 0) {
                for (uint later = pair + 1; later < end; later++)
                        if (is_sound(later) && uint(pairs[2 * later + 1]) == block)
                                return;
        } else {
                for (uint earlier = pair; earlier-- > push.n[4];)
                        if (is_sound(earlier) && uint(pairs[2 * earlier + 1]) == block)
                                block = uint(pairs[2 * earlier]);
        }
        block -= push.n[2];
        if (block >= push.n[3])
                return;
        if (INTO != 0)
                cache[block * words + i] = apart[gl_WorkGroupID.y * words + i];
        else
                apart[gl_WorkGroupID.y * words + i] = cache[block * words + i];
}
