#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* As attention_train.comp. The keys are gone over twice: first for the rows' lse, then with the weights as they will be,
 * so that no sum ever has to shrink. */
#include "qvf.glsl"
#include "attention_matrix.glsl"

layout(set = 0, binding = 1, std430) writeonly buffer train_y { vec4 y[]; };
layout(set = 0, binding = 2, std430) writeonly buffer train_lse { float lse[]; };
layout(set = 0, binding = 3, std430) readonly buffer train_q { vec4 q[]; };
layout(set = 0, binding = 4, std430) readonly buffer train_k { vec4 k[]; };
layout(set = 0, binding = 5, std430) readonly buffer train_v { vec4 v[]; };
layout(set = 0, binding = 6, std430) readonly buffer train_first { int first[]; };

shared uvec4 keys[(TILE > STEP ? TILE : STEP) * PITCH4], values[STEP * PITCH4];
shared int lowest;

const float SCORE_NONE = -3.0e38;

void main()
{
        uint row0 = gl_WorkGroupID.x * TILE, head = gl_WorkGroupID.y, rows = qvf_rows();
        uint key_column = head / (push.n[0] / push.n[1]) * SIZE, r = row0 + lane_row(), last = min(row0 + TILE, rows);
        float largest = SCORE_NONE, total = 0.0, own_lse, weights[OF_LANE];
        vec4 raw[2 * LOADS(TILE)], raw_values[2 * LOADS(STEP)];
        uint begin;
        MATRIX_A queries[SIZE / 16];
        MATRIX_SUM sums[SIZE / 16];
        int from;

        if (row0 >= rows)
                return;
        from = max(first[min(r, rows - 1)], 0);
        if (gl_LocalInvocationIndex == 0)
                lowest = int(row0);
        FETCH(raw, q, row0, TILE, rows, push.n[0], head * SIZE)
        PUT(keys, raw, TILE, 1.0)
        barrier();
        atomicMin(lowest, from);
        LOAD_OWN(queries, keys)
        barrier();
        begin = uint(lowest) / STEP * STEP;
        FETCH(raw, k, begin, STEP, rows, push.n[1], key_column)
        for (uint j0 = begin; j0 < last; j0 += STEP) {
                float before = largest;

                barrier();
                PUT(keys, raw, STEP, 1.0)
                barrier();
                FETCH(raw, k, j0 + STEP, STEP, last, push.n[1], key_column)
                SCORES(queries, keys)
                [[unroll]] for (uint i = 0; i < OF_LANE; i++) {
                        uint j = j0 + lane_column(i);

                        weights[i] = j <= r && int(j) >= from ? push.f[0] * lane_scores(i)[i % 4]
                                                              : SCORE_NONE;
                        largest = max(largest, weights[i]);
                }
                largest = max(largest, subgroupShuffleXor(largest, 1u));
                total *= before == SCORE_NONE ? 0.0 : exp(before - largest);
                [[unroll]] for (uint i = 0; i < OF_LANE; i++)
                        total += weights[i] == SCORE_NONE ? 0.0 : exp(weights[i] - largest);
        }
        total += subgroupShuffleXor(total, 1u);
        own_lse = largest + log(total);
        if (gl_SubgroupInvocationID % 2 == 0 && r < rows)
                lse[r * push.n[2] + head] = own_lse;
        [[unroll]] for (uint d = 0; d < SIZE / 16; d++)
                sums[d] = MATRIX_SUM(0.0);
        FETCH(raw, k, begin, STEP, rows, push.n[1], key_column)
        FETCH(raw_values, v, begin, STEP, rows, push.n[1], key_column)
        for (uint j0 = begin; j0 < last; j0 += STEP) {
                barrier();
                PUT(keys, raw, STEP, 1.0)
                PUT(values, raw_values, STEP, 1.0)
                barrier();
                FETCH(raw, k, j0 + STEP, STEP, last, push.n[1], key_column)
                FETCH(raw_values, v, j0 + STEP, STEP, last, push.n[1], key_column)
                SCORES(queries, keys)
                [[unroll]] for (uint i = 0; i < OF_LANE; i++) {
                        uint j = j0 + lane_column(i);
                        float score = push.f[0] * lane_scores(i)[i % 4];

                        weights[i] = j <= r && int(j) >= from ? exp(min(score - own_lse, 0.0)) : 0.0;
                }
                PUT_WEIGHTS(weights)
                ADD_PRODUCT(sums, values)
        }
        STORE(sums, y, row0, rows, push.n[0], head * SIZE, 1.0)
}
