#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* As attention.comp, in tiles of 64 rows by one block of positions of one head, for the many rows of a prompt. Rows of
 * several sequences in one tile are done one sequence after the other. */
#include "qvf.glsl"
#include "attention_cache.glsl"

layout(local_size_x = 256) in;
layout(constant_id = 0) const uint SIZE = 64;
layout(constant_id = 1) const uint KEY_TYPE = 0;
layout(constant_id = 2) const uint VALUE_TYPE = 0;

layout(set = 0, binding = 1, std430) writeonly buffer attention_y
{
        float y[];
};

#define Q 0u
#define K 1u
#define V 2u

uint head, key_column, rows, first_cell;

float tile_load(uint which, uint row, uint d)
{
        uint at;

        if (which == Q)
                return row < rows && d < SIZE ? q[row * push.n[0] + head * SIZE + d] : 0.0;
        at = (first_cell + row) * push.n[1] + key_column + d;
        if (d >= SIZE)
                return 0.0;
        return which == K ? CACHE_NUMBER(KEY_TYPE, keys, at) : CACHE_NUMBER(VALUE_TYPE, values, at);
}

#include "attention_tile.glsl"
#include "attention_softmax.glsl"

#define SEQUENCE_NONE 0x7fffffff

shared int next_sequence, lowest, highest;
shared ivec3 looks[TILE_A]; /* of a row: sequence, first and last position */
float sums[4 * TILE_COLUMNS];

/* The least sequence after `last`, and between which positions its rows look. */
int choose_sequence(int last)
{
        uint t = gl_LocalInvocationIndex;
        int chosen;

        barrier();
        if (t == 0) {
                next_sequence = SEQUENCE_NONE;
                lowest = SEQUENCE_NONE;
                highest = -1;
        }
        barrier();
        if (t < TILE_A && looks[t].x > last)
                atomicMin(next_sequence, looks[t].x);
        barrier();
        chosen = next_sequence;
        if (t < TILE_A && looks[t].x == chosen && chosen != SEQUENCE_NONE) {
                atomicMin(lowest, looks[t].y);
                atomicMax(highest, looks[t].z);
        }
        barrier();
        return chosen;
}

void add_block(uint row0, int p0, int sequence)
{
        float scores[8], shrink[4];

        tile_product(Q, K, row0, 0, scores);
        [[unroll]] for (uint i = 0; i < 4; i++)
                [[unroll]] for (uint j = 0; j < 2; j++) {
                        ivec3 look = looks[tile_m() + 16 * i];
                        int p = p0 + int(tile_n() + 16 * j);

                        scores[2 * i + j] = look.x == sequence && p >= look.y && p <= look.z ? push.f[0] * scores[2 * i + j]
                                                                                             : SCORE_NONE;
                }
        softmax_step(scores, shrink);
        tile_share(scores);
        [[unroll]] for (uint i = 0; i < 4; i++)
                [[unroll]] for (uint c = 0; c < TILE_COLUMNS; c++)
                        sums[i * TILE_COLUMNS + c] *= shrink[i];
        TILE_ACCUMULATE(sums, V, 0)
}

void main()
{
        uint t = gl_LocalInvocationIndex, row0 = gl_WorkGroupID.x * TILE_A;

        rows = qvf_rows();
        head = gl_WorkGroupID.y;
        key_column = head / (push.n[0] / push.n[1]) * SIZE;
        if (row0 >= rows)
                return;
        if (t < TILE_A) {
                looks[t] = ivec3(SEQUENCE_NONE, 0, -1);
                if (row0 + t < rows)
                        looks[t] = ivec3(place[row0 + t].y, cache_span(place[row0 + t].x));
        }
        softmax_begin();
        [[unroll]] for (uint i = 0; i < 4 * TILE_COLUMNS; i++)
                sums[i] = 0.0;
        for (int sequence = choose_sequence(-1); sequence != SEQUENCE_NONE; sequence = choose_sequence(sequence))
                for (int p0 = lowest / int(KV_BLOCK) * int(KV_BLOCK); p0 <= highest; p0 += int(KV_BLOCK)) {
                        first_cell = cache_cell(sequence, p0);
                        if (first_cell != CELL_NONE)
                                add_block(row0, p0, sequence);
                }
        [[unroll]] for (uint i = 0; i < 4; i++) {
                uint r = row0 + tile_m() + 16 * i;
                float total = softmax_total[tile_m() + 16 * i];

                [[unroll]] for (uint c = 0; c < TILE_COLUMNS; c++)
                        if (r < rows && tile_n() + 16 * c < SIZE)
                                y[r * push.n[0] + head * SIZE + tile_n() + 16 * c] =
                                                total > 0.0 ? sums[i * TILE_COLUMNS + c] / total : 0.0;
        }
}
