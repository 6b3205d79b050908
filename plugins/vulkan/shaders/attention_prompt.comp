#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* As attention.comp, in tiles of 64 rows by one block of positions of one head, for the many rows of a prompt. Rows of
 * several sequences in one tile are done one sequence after the other. */
#include "qvf.glsl"
#include "math.glsl"
#include "attention_cache.glsl"

layout(local_size_x = 256) in;
layout(constant_id = 0) const uint SIZE = 64;
layout(constant_id = 1) const uint KEY_TYPE = 0;
layout(constant_id = 2) const uint VALUE_TYPE = 0;

layout(set = 0, binding = 1, std430) buffer attention_y
{
        float y[]; /* between spans: the sums of those before, which the same invocation takes up again */
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

#define TILE_EXACT
#define SOFTMAX_EXP qvf_exp
#include "attention_tile.glsl"
#include "attention_softmax.glsl"

#define SPAN 512 /* positions whose sums are added by themselves */

#define SEQUENCE_NONE 0x7fffffff

shared int next_sequence, lowest, highest;
shared ivec3 looks[TILE_A]; /* of a row: sequence, first and last position */
float sums[4 * TILE_COLUMNS]; /* of the span */
vec2 before[4];               /* of the spans before: largest score, Σ weights */
bool any_before = false;

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
        float scores[8];

        tile_product(Q, K, row0, 0, scores);
        [[unroll]] for (uint i = 0; i < 4; i++)
                [[unroll]] for (uint j = 0; j < 2; j++) {
                        ivec3 look = looks[tile_m() + 16 * i];
                        int p = p0 + int(tile_n() + 16 * j);

                        precise float score = push.f[0] * scores[2 * i + j];

                        scores[2 * i + j] = look.x == sequence && p >= look.y && p <= look.z ? score : SCORE_NONE;
                }
        softmax_step(scores, tile_shrink);
        tile_share(scores);
        TILE_ACCUMULATE(sums, V, 0)
}

uint place_of(uint row, uint c)
{
        return row * push.n[0] + head * SIZE + tile_n() + 16 * c;
}

bool has_place(uint row, uint c)
{
        return row < rows && tile_n() + 16 * c < SIZE;
}

/* The span takes up those before it. */
void merge(uint i, uint row)
{
        float largest = softmax_largest[tile_m() + 16 * i], total = softmax_total[tile_m() + 16 * i];
        float most = max(before[i].x, largest), keep = qvf_exp(before[i].x - most), take = qvf_exp(largest - most);
        precise float kept = before[i].y * keep, taken = total * take, both = kept + taken;

        if (total == 0.0) { /* it is passed over */
                keep = 1.0;
                take = 0.0;
        } else {
                before[i] = vec2(most, both);
        }
        [[unroll]] for (uint c = 0; c < TILE_COLUMNS; c++)
                if (has_place(row, c)) {
                        precise float sum = sums[i * TILE_COLUMNS + c] * take;

                        sums[i * TILE_COLUMNS + c] = qvf_fma(y[place_of(row, c)], keep, sum);
                }
}

void end_span(uint row0)
{
        [[unroll]] for (uint i = 0; i < 4; i++) {
                uint row = row0 + tile_m() + 16 * i;

                if (any_before)
                        merge(i, row);
                else
                        before[i] = vec2(softmax_largest[tile_m() + 16 * i], softmax_total[tile_m() + 16 * i]);
                [[unroll]] for (uint c = 0; c < TILE_COLUMNS; c++) {
                        if (has_place(row, c))
                                y[place_of(row, c)] = sums[i * TILE_COLUMNS + c];
                        sums[i * TILE_COLUMNS + c] = 0.0;
                }
        }
        any_before = true;
        barrier();
        softmax_begin();
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
        for (int sequence = choose_sequence(-1); sequence != SEQUENCE_NONE; sequence = choose_sequence(sequence)) {
                int end = highest;

                for (int p0 = lowest / int(KV_BLOCK) * int(KV_BLOCK); p0 <= end; p0 += int(KV_BLOCK)) {
                        first_cell = cache_cell(sequence, p0);
                        if (first_cell != CELL_NONE)
                                add_block(row0, p0, sequence);
                        if ((p0 + int(KV_BLOCK)) % SPAN == 0 && p0 + int(KV_BLOCK) <= end)
                                end_span(row0);
                }
                end_span(row0);
        }
        [[unroll]] for (uint i = 0; i < 4; i++) {
                uint row = row0 + tile_m() + 16 * i;

                [[unroll]] for (uint c = 0; c < TILE_COLUMNS; c++)
                        if (has_place(row, c))
                                y[place_of(row, c)] = any_before && before[i].y > 0.0
                                        ? qvf_divide(y[place_of(row, c)], before[i].y) : 0.0;
        }
}
