/* SPDX-License-Identifier: Apache-2.0 */
/* What both halves of ATTENTION_TRAIN_BACKWARD share: p[r][j] = exp(f0 q[r]·k[j] - lse[r]) and
 * ds[r][j] = p[r][j] (dy[r]·v[j] - delta[r]). n: 0 columns of q, 1 columns of k, 2 heads.
 * CUT: only rows row0 to n[4] - 1 are bound of all that belongs to queries, and only n[5] to n[6] - 1 of what belongs to
 * keys; n[7] is not 0 where the results add to what other such windows gave. */
#include "qvf.glsl"

layout(local_size_x = 256) in;
layout(constant_id = 0) const uint SIZE = 64;
layout(constant_id = 6) const bool CUT = false;

layout(set = 0, binding = 1, std430) buffer gradient_1 { float out_1[]; }; /* dq or dk */
layout(set = 0, binding = 2, std430) buffer gradient_2 { float out_2[]; }; /* dv */
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

uint row_begin()
{
        return CUT ? push.row0 : 0;
}

uint row_end()
{
        return CUT ? min(push.n[4], rows) : rows;
}

uint key_begin()
{
        return CUT ? push.n[5] : 0;
}

uint key_end()
{
        return CUT ? min(push.n[6], rows) : rows;
}

float with_others(float before, float own)
{
        return CUT && push.n[7] != 0 ? before + own : own;
}

float tile_load(uint which, uint row, uint d)
{
        bool of_query = which == Q || which == DY;

        if (row >= (of_query ? row_end() : key_end()) || d >= SIZE)
                return 0.0;
        row -= of_query ? row_begin() : key_begin();
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
        uint at = (r - row_begin()) * push.n[2] + head;
        float p;

        if (r >= row_end() || j > r || CUT && j >= key_end() || int(j) < first[r])
                return vec2(0.0);
        p = exp(push.f[0] * score - lse[at]);
        return vec2(p, p * (along_v - delta[at].x));
}
