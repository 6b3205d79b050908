/* SPDX-License-Identifier: Apache-2.0 */
/* What both halves of ATTENTION_TRAIN_BACKWARD share: p[r][j] = exp(f0 q[r]·k[j] - lse[r]) and
 * ds[r][j] = p[r][j] (dy[r]·v[j] - delta[r]). n: 0 columns of q, 1 columns of k, 2 heads. */
#include "qvf.glsl"

layout(local_size_x = 256) in;
layout(constant_id = 0) const uint SIZE = 64;

layout(set = 0, binding = 1, std430) writeonly buffer gradient_1 { float out_1[]; }; /* dq or dk */
layout(set = 0, binding = 2, std430) writeonly buffer gradient_2 { float out_2[]; }; /* dv */
layout(set = 0, binding = 3, std430) readonly buffer gradient_delta { vec2 delta[]; };
layout(set = 0, binding = 4, std430) readonly buffer gradient_lse { float lse[]; };
layout(set = 0, binding = 5, std430) readonly buffer gradient_q { float q[]; };
layout(set = 0, binding = 6, std430) readonly buffer gradient_k { float k[]; };
layout(set = 0, binding = 7, std430) readonly buffer gradient_v { float v[]; };
layout(set = 0, binding = 8, std430) readonly buffer gradient_first { int first[]; };
layout(set = 0, binding = 9, std430) readonly buffer gradient_dy { float dy[]; };

#define Q 0u
#define K 1u
#define V 2u
#define DY 3u

uint head, key_head, rows;

float tile_load(uint which, uint row, uint d)
{
        if (row >= rows || d >= SIZE)
                return 0.0;
        if (which == Q)
                return q[row * push.n[0] + head * SIZE + d];
        if (which == DY)
                return dy[row * push.n[0] + head * SIZE + d];
        return which == K ? k[row * push.n[1] + key_head * SIZE + d] : v[row * push.n[1] + key_head * SIZE + d];
}

#include "attention_tile.glsl"

shared int bound; /* the lowest key or the highest row of the workgroup */

/* p and ds of a pair, from its dot products. */
vec2 gradient_pair(uint r, uint j, float score, float along_v)
{
        float p;

        if (r >= rows || j > r || int(j) < first[r])
                return vec2(0.0);
        p = exp(push.f[0] * score - lse[r * push.n[2] + head]);
        return vec2(p, p * (along_v - delta[r * push.n[2] + head].x));
}
