#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* dq[r] = f0 Σ_j ds[r][j] k[j], 64 rows of one head by a workgroup. */
#include "attention_gradient_matrix.glsl"

void main()
{
        uint row0 = gl_WorkGroupID.x * TILE, head = gl_WorkGroupID.y, rows = qvf_rows();
        uint key_column = head / (push.n[0] / push.n[1]) * SIZE, r = row0 + lane_row(), last = min(row0 + TILE, rows);
        uint own = min(r, rows - 1);
        float own_lse, own_delta, scale, weights[OF_LANE];
        vec4 raw_1[2 * LOADS(TILE)], raw_2[2 * LOADS(TILE)];
        uint begin;
        MATRIX_A queries[SIZE / 16], gradients[SIZE / 16];
        MATRIX_SUM sums[SIZE / 16];
        int from;

        if (row0 >= rows)
                return;
        from = max(first[own], 0);
        own_lse = lse[own * push.n[2] + head];
        if (gl_LocalInvocationIndex == 0) {
                bound = int(row0);
                greatest = 0u;
        }
        barrier();
        atomicMin(bound, from);
        atomicMax(greatest, floatBitsToUint(delta[own * push.n[2] + head].y));
        barrier();
        scale = scale_for(greatest);
        own_delta = delta[own * push.n[2] + head].x * scale;
        FETCH(raw_1, q, row0, TILE, rows, push.n[0], head * SIZE)
        FETCH(raw_2, dy, row0, TILE, rows, push.n[0], head * SIZE)
        PUT(stage_1, raw_1, TILE, 1.0)
        PUT(stage_2, raw_2, TILE, scale)
        barrier();
        LOAD_OWN(queries, stage_1)
        LOAD_OWN(gradients, stage_2)
        [[unroll]] for (uint d = 0; d < SIZE / 16; d++)
                sums[d] = MATRIX_SUM(0.0);
        begin = uint(bound) / STEP * STEP;
        FETCH(raw_1, k, begin, STEP, rows, push.n[1], key_column)
        FETCH(raw_2, v, begin, STEP, rows, push.n[1], key_column)
        for (uint j0 = begin; j0 < last; j0 += STEP) {
                barrier();
                PUT(stage_1, raw_1, STEP, 1.0)
                PUT(stage_2, raw_2, STEP, 1.0)
                barrier();
                FETCH(raw_1, k, j0 + STEP, STEP, last, push.n[1], key_column)
                FETCH(raw_2, v, j0 + STEP, STEP, last, push.n[1], key_column)
                SCORES(queries, stage_1)
                [[unroll]] for (uint i = 0; i < OF_LANE; i++) {
                        uint j = j0 + lane_column(i);
                        float score = push.f[0] * lane_scores(i)[i % 4];

                        weights[i] = j <= r && int(j) >= from && r < rows ? exp(min(score - own_lse, 0.0)) : 0.0;
                }
                subgroupBarrier();
                SCORES(gradients, stage_2)
                [[unroll]] for (uint i = 0; i < OF_LANE; i++)
                        weights[i] *= lane_scores(i)[i % 4] - own_delta;
                PUT_WEIGHTS(weights)
                ADD_PRODUCT(sums, stage_1)
        }
        STORE(sums, out_1, row0, rows, push.n[0], head * SIZE, push.f[0] / scale)
}
