/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "cells.glsl"
#include "math.glsl"

/* Queries and keys turn in place, then keys and values go to their caches: n[0] columns of q, n[1] of k and v, n[2] head
 * size (all of it turns), n[3] interleaved, n[4] rows and n[5] columns of the table, n[6] blocks of the caches. */
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint dtype = 0; /* F32 or F16 */

layout(set = 0, binding = 1, std430) buffer queries { float q[]; };
layout(set = 0, binding = 2, std430) buffer keys { float k[]; };
layout(set = 0, binding = 3, std430) readonly buffer values { float v[]; };
layout(set = 0, binding = 4, std430) buffer key_cache { uint cached_k[]; };
layout(set = 0, binding = 5, std430) buffer value_cache { uint cached_v[]; };
layout(set = 0, binding = 6, std430) readonly buffer position_ { int position[]; };
layout(set = 0, binding = 7, std430) readonly buffer sequence_ { int sequence[]; };
layout(set = 0, binding = 9, std430) readonly buffer table_ { int table[]; };
layout(set = 0, binding = 8, std430) readonly buffer frequency_ { float frequency[]; };

uint cell_of(uint row)
{
        int s = sequence[row], p = position[row], block;

        if (s < 0 || uint(s) >= push.n[4] || p < 0 || uint(p) / QVF_KV_BLOCK >= push.n[5])
                return CELL_NONE;
        block = table[uint(s) * push.n[5] + uint(p) / QVF_KV_BLOCK];
        if (block < 0 || uint(block) >= push.n[6])
                return CELL_NONE;
        return uint(block) * QVF_KV_BLOCK + uint(p) % QVF_KV_BLOCK;
}

/* Two pairs at a time: (a, b) and the next. */
void turn_two(vec4 old, uint pair, float way, out vec4 new_)
{
        vec2 one = push.f[1] * qvf_sine_cosine(way, frequency[push.rest[7] + pair]);
        vec2 two = push.f[1] * qvf_sine_cosine(way, frequency[push.rest[7] + pair + 1]);

        new_ = vec4(qvf_turn(old.xy, one), qvf_turn(old.zw, two));
}

void store_two(bool of_keys, uint cell, uint c, float one, float two)
{
        uint at = cell * push.n[1] + c;

        if (dtype == TYPE_F32 && of_keys) {
                cached_k[at] = floatBitsToUint(one);
                cached_k[at + 1] = floatBitsToUint(two);
        } else if (dtype == TYPE_F32) {
                cached_v[at] = floatBitsToUint(one);
                cached_v[at + 1] = floatBitsToUint(two);
        } else if (of_keys) {
                cached_k[at / 2] = cells_half(one) | cells_half(two) << 16;
        } else {
                cached_v[at / 2] = cells_half(one) | cells_half(two) << 16;
        }
}

void main()
{
        uint row = gl_WorkGroupID.y, i = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
        uint quarter = push.n[2] / 4, of_q = push.n[0] / 4, of_k = push.n[1] / 4;
        vec4 turned;

        if (row >= qvf_rows() || i >= of_q + of_k + push.n[1] / 2)
                return;
        if (i >= of_q + of_k) { /* two values */
                uint c = (i - of_q - of_k) * 2, cell = cell_of(row);

                if (cell != CELL_NONE)
                        store_two(false, cell, c, v[row * push.n[1] + c], v[row * push.n[1] + c + 1]);
                return;
        }
        bool of_keys = i >= of_q;
        uint j = of_keys ? i - of_q : i, pair = j % quarter * 2, head = j / quarter * push.n[2];
        uint columns = of_keys ? push.n[1] : push.n[0];
        /* Places of a, b of both pairs. */
        uvec4 at = head + (push.n[3] != 0 ? 2 * pair + uvec4(0, 1, 2, 3)
                : uvec4(pair, pair + push.n[2] / 2, pair + 1, pair + 1 + push.n[2] / 2));
        uvec4 in_row = row * columns + at;
        float way = float(position[row]) * push.f[0];

        if (of_keys) {
                uint cell = cell_of(row);

                turn_two(vec4(k[in_row.x], k[in_row.y], k[in_row.z], k[in_row.w]), pair, way, turned);
                k[in_row.x] = turned.x;
                k[in_row.y] = turned.y;
                k[in_row.z] = turned.z;
                k[in_row.w] = turned.w;
                if (cell == CELL_NONE)
                        return;
                if (push.n[3] != 0) {
                        store_two(true, cell, at.x, turned.x, turned.y);
                        store_two(true, cell, at.z, turned.z, turned.w);
                } else {
                        store_two(true, cell, at.x, turned.x, turned.z);
                        store_two(true, cell, at.y, turned.y, turned.w);
                }
        } else {
                turn_two(vec4(q[in_row.x], q[in_row.y], q[in_row.z], q[in_row.w]), pair, way, turned);
                q[in_row.x] = turned.x;
                q[in_row.y] = turned.y;
                q[in_row.z] = turned.z;
                q[in_row.w] = turned.w;
        }
}
