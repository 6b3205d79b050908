#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* y[r] = Σ_j exp(f0 q[r]·k[j] - lse[r]) v[j], j from first[r] to r, in tiles of 64 rows by 32 keys of one head.
 * n: 0 columns of q, 1 columns of k, 2 heads.
 * CUT: only rows row0 to n[4] - 1 are bound of y, lse and q, and only n[5] to n[6] - 1 of k and v. One such window after the
 * other adds to y, and leaves the largest score and Σ weights of a row and head in `state`; n[7]: 1 the first window, 2 the
 * last one. */
#include "qvf.glsl"

layout(local_size_x = 256) in;
layout(constant_id = 0) const uint SIZE = 64;
layout(constant_id = 6) const bool CUT = false;

layout(set = 0, binding = 1, std430) buffer train_y { float y[]; };
layout(set = 0, binding = 2, std430) writeonly buffer train_lse { float lse[]; };
layout(set = 0, binding = 3, std430) readonly buffer train_q { float q[]; };
layout(set = 0, binding = 4, std430) readonly buffer train_k { float k[]; };
layout(set = 0, binding = 5, std430) readonly buffer train_v { float v[]; };
layout(set = 0, binding = 6, std430) readonly buffer train_first { int first[]; };
layout(set = 0, binding = 7, std430) buffer train_state { vec2 state[]; };

#define Q 0u
#define K 1u
#define V 2u

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

float tile_load(uint which, uint row, uint d)
{
        if (row >= (which == Q ? row_end() : key_end()) || d >= SIZE)
                return 0.0;
        row -= which == Q ? row_begin() : key_begin();
        if (which == Q)
                return q[row * push.n[0] + head * SIZE + d];
        return which == K ? k[row * push.n[1] + key_head * SIZE + d] : v[row * push.n[1] + key_head * SIZE + d];
}

#include "attention_tile.glsl"
#include "attention_softmax.glsl"

shared int lowest;
float sums[4 * TILE_COLUMNS];

/* What the windows before found. */
void take_up(uint row0)
{
        for (uint i = 0; i < 4; i++) {
                uint row = tile_m() + 16 * i, r = row0 + row - row_begin();

                if (row0 + row >= row_end())
                        continue;
                if (tile_n() == 0) {
                        softmax_largest[row] = state[r * push.n[2] + head].x;
                        softmax_total[row] = state[r * push.n[2] + head].y;
                }
                [[unroll]] for (uint c = 0; c < TILE_COLUMNS; c++)
                        if (tile_n() + 16 * c < SIZE)
                                sums[i * TILE_COLUMNS + c] = y[r * push.n[0] + head * SIZE + tile_n() + 16 * c];
        }
}

void main()
{
        uint t = gl_LocalInvocationIndex, row0 = row_begin() + gl_WorkGroupID.x * TILE_A;
        bool ends = !CUT || (push.n[7] & 2u) != 0;
        int from[4];

        rows = qvf_rows();
        head = gl_WorkGroupID.y;
        key_head = head / (push.n[0] / push.n[1]);
        if (row0 >= row_end())
                return;
        if (t == 0)
                lowest = int(row0);
        softmax_begin();
        for (uint i = 0; i < 4; i++)
                from[i] = max(first[min(row0 + tile_m() + 16 * i, rows - 1)], 0);
        if (tile_n() == 0)
                for (uint i = 0; i < 4; i++)
                        atomicMin(lowest, from[i]);
        [[unroll]] for (uint i = 0; i < 4 * TILE_COLUMNS; i++)
                sums[i] = 0.0;
        if (CUT && (push.n[7] & 1u) == 0)
                take_up(row0);
        barrier();
        for (uint j0 = max(uint(lowest) / TILE_B * TILE_B, key_begin()); j0 < min(row0 + TILE_A, key_end()); j0 += TILE_B) {
                float scores[8], shrink[4];

                tile_product(Q, K, row0, j0, scores);
                [[unroll]] for (uint i = 0; i < 4; i++)
                        [[unroll]] for (uint j = 0; j < 2; j++) {
                                uint r = row0 + tile_m() + 16 * i, at = j0 + tile_n() + 16 * j;

                                scores[2 * i + j] = at <= r && int(at) >= from[i] && r < rows && (!CUT || at < key_end())
                                                                                             ? push.f[0] * scores[2 * i + j]
                                                                                             : SCORE_NONE;
                        }
                softmax_step(scores, shrink);
                tile_share(scores);
                [[unroll]] for (uint i = 0; i < 4; i++)
                        [[unroll]] for (uint c = 0; c < TILE_COLUMNS; c++)
                                sums[i * TILE_COLUMNS + c] *= shrink[i];
                TILE_ACCUMULATE(sums, V, j0)
        }
        for (uint i = 0; i < 4; i++) {
                uint row = tile_m() + 16 * i, r = row0 + row - row_begin();
                float total = softmax_total[row];

                if (row0 + row >= row_end())
                        continue;
                if (tile_n() == 0 && ends)
                        lse[r * push.n[2] + head] = softmax_largest[row] + log(total);
                else if (tile_n() == 0)
                        state[r * push.n[2] + head] = vec2(softmax_largest[row], total);
                [[unroll]] for (uint c = 0; c < TILE_COLUMNS; c++)
                        if (tile_n() + 16 * c < SIZE)
                                y[r * push.n[0] + head * SIZE + tile_n() + 16 * c] = !ends ? sums[i * TILE_COLUMNS + c]
                                                : total > 0.0 ? sums[i * TILE_COLUMNS + c] / total : 0.0;
        }
}
