/* SPDX-License-Identifier: Apache-2.0 */
#version 450
/* Whether workgroups go on side by side and see each other's numbers: n[0] steps, in each of which every workgroup makes
 * its part of a row from all of the row before; n[1] looks before giving up. When one gives up all do, also those that have
 * not begun yet. Row 0 is made by workgroup 0. */
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 1, std430) coherent volatile buffer exchange_ { uint words[]; } exchange;
layout(set = 0, binding = 1, std430) coherent volatile buffer exchange4_ { uvec4 fours[]; } exchange4;
layout(set = 0, binding = 2, std430) coherent volatile buffer status_ { uint gave_up; } status;

#define NOT_YET 0x7fd5a3c1u /* as in walk.glsl */
#define LOOKS_TOGETHER 1024u /* between looks at whether another one gave up */
shared uint gone;
shared uint sums[1024];

void main()
{
        uint own = gl_LocalInvocationID.x, threads = gl_WorkGroupSize.x, columns = gl_NumWorkGroups.x * 4u;

        if (own == 0u)
                gone = 0u;
        barrier();
        for (uint s = 0; s < push.n[0]; s++) {
                uint sum = 0u;

                for (uint i = own; s > 0u && i < columns / 4u; i += threads) {
                        uvec4 seen = exchange4.fours[(s - 1u) * columns / 4u + i];
                        uint looks = 0u;

                        while (any(equal(seen, uvec4(NOT_YET)))) {
                                if (++looks > push.n[1])
                                        status.gave_up = 1u;
                                if (looks > push.n[1] || gone != 0u || looks % LOOKS_TOGETHER == 1u && status.gave_up != 0u) {
                                        gone = 1u;
                                        break;
                                }
                                seen = exchange4.fours[(s - 1u) * columns / 4u + i];
                        }
                        sum += seen.x + 3u * seen.y + 5u * seen.z + 7u * seen.w;
                }
                sums[own] = sum;
                barrier();
                if (gone != 0u)
                        break;
                if (own < 4u) {
                        uint number = s + own;

                        for (uint i = 0; i < threads; i++)
                                number += sums[i];
                        exchange.words[s * columns + gl_WorkGroupID.x * 4u + own] = number & 0xffffffu;
                }
                barrier();
        }
}
