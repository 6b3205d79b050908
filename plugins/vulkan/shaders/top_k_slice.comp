/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_EXT_control_flow_attributes : require
#include "qvf.glsl"

/* TOP_K by subgroups: each takes a slice of a row and leaves its K largest, largest first, until one slice is all there is.
 * Then DRAW, if that follows. A candidate is a number's bits and where it stands in its row. n: 0 candidates of a row, 1 K. */
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint FIRST = 1; /* the candidates are the row's numbers */
layout(constant_id = 2) const uint LAST = 0;
layout(constant_id = 3) const uint DRAWS = 0;

layout(set = 0, binding = 1, std430) writeonly buffer result_value { float value[]; };
layout(set = 0, binding = 2, std430) writeonly buffer result_id { int id[]; };
layout(set = 0, binding = 3, std430) readonly buffer input_ { uint x[]; };
layout(set = 0, binding = 4, std430) readonly buffer candidates_ { uvec2 candidate[]; };
layout(set = 0, binding = 5, std430) writeonly buffer left_ { uvec2 left[]; };
layout(set = 0, binding = 6, std430) writeonly buffer result_drawn { int drawn[]; };
layout(set = 0, binding = 7, std430) readonly buffer how_ { float how[]; };

#define OF_LANE 16u /* candidates */
#define NOTHING uvec2(0xff800000u, 0xffffffffu)
#define HOW(i) how[gl_WorkGroupID.y * 4u + i]
#include "draw.glsl"

uvec2 load(uint row, uint at)
{
        if (at >= push.n[0])
                return NOTHING;
        return FIRST != 0 ? uvec2(x[row * push.n[0] + at], at) : candidate[row * push.n[0] + at];
}

/* Larger where the number is; NaN is -infinity, both zeros are one. */
uint key_of(uint bits)
{
        if ((bits & 0x7fffffffu) > 0x7f800000u)
                bits = 0xff800000u;
        if (bits == 0x80000000u)
                bits = 0u;
        return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}

uint clean(uint bits)
{
        return (bits & 0x7fffffffu) > 0x7f800000u ? 0xff800000u : bits;
}

void main()
{
        uint row = gl_WorkGroupID.y, slice = gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID, lane = gl_SubgroupInvocationID;
        uint first = slice * OF_LANE * gl_SubgroupSize, slices = (push.n[0] + OF_LANE * gl_SubgroupSize - 1u) / (OF_LANE * gl_SubgroupSize);
        uvec2 own[OF_LANE];
        uint keys[OF_LANE], key = 0u, id_ = 0xffffffffu;

        if (push.row0 + row >= qvf_rows() || slice >= slices)
                return;
        [[unroll]] for (uint i = 0; i < OF_LANE; i++)
                own[i] = load(row, first + i * gl_SubgroupSize + lane);
        [[unroll]] for (uint i = 0; i < OF_LANE; i++) {
                keys[i] = own[i].y == 0xffffffffu ? 0u : key_of(own[i].x);
                if (keys[i] > key || (keys[i] == key && own[i].y < id_)) {
                        key = keys[i];
                        id_ = own[i].y;
                }
        }
        for (uint k = 0; k < push.n[1]; k++) {
                uint most = subgroupMax(key), winner = subgroupMin(key == most ? id_ : 0xffffffffu);

                if (key == most && id_ == winner) { /* where nothing is left all lanes have it */
                        uint bits = NOTHING.x;

                        key = 0u;
                        id_ = 0xffffffffu;
                        [[unroll]] for (uint i = 0; i < OF_LANE; i++) {
                                if (own[i].y == winner && keys[i] != 0u) {
                                        bits = clean(own[i].x);
                                        keys[i] = 0u;
                                        own[i].y = 0xffffffffu;
                                }
                                if (keys[i] > key || (keys[i] == key && own[i].y < id_)) {
                                        key = keys[i];
                                        id_ = own[i].y;
                                }
                        }
                        if (LAST == 0)
                                left[(row * slices + slice) * push.n[1] + k] = uvec2(bits, winner);
                        if (LAST != 0 && DRAWS != 0) {
                                draw_value[k] = uintBitsToFloat(bits);
                                draw_id[k] = int(winner);
                        }
                        if (LAST != 0) {
                                value[row * push.n[1] + k] = uintBitsToFloat(bits);
                                id[row * push.n[1] + k] = int(winner);
                        }
                }
        }
        if (LAST == 0 || DRAWS == 0)
                return;
        subgroupBarrier();
        for (uint i = lane; i < push.n[1]; i += gl_SubgroupSize)
                draw_weigh(i);
        subgroupBarrier();
        if (lane == 0u)
                drawn[row] = draw(push.n[1]);
}
