#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* dk[j] = f0 Σ_r ds[r][j] q[r], dv[j] = Σ_r p[r][j] dy[r], 64 keys of one key head by a workgroup. */
#include "attention_gradient_matrix.glsl"

shared float step_lse[STEP], step_delta[STEP];
shared int step_first[STEP];

/* The last row that looks at one of the keys, and the largest |dy| that comes back. */
void find_rows(uint key0, uint first_head, uint group, uint rows)
{
        uint t = gl_LocalInvocationIndex, own_greatest = 0u;
        int own_last = -1;

        if (t == 0) {
                bound = int(key0);
                greatest = 0u;
        }
        barrier();
        for (uint r = key0 + t; r < rows; r += 128)
                if (first[r] < int(key0 + TILE)) {
                        own_last = int(r);
                        for (uint head = first_head; head < first_head + group; head++)
                                own_greatest = max(own_greatest, floatBitsToUint(delta[r * push.n[2] + head].y));
                }
        atomicMax(bound, own_last);
        atomicMax(greatest, own_greatest);
}

void main()
{
        uint key0 = gl_WorkGroupID.x * TILE, key_head = gl_WorkGroupID.y, rows = qvf_rows(), t = gl_LocalInvocationIndex;
        uint group = push.n[0] / push.n[1], j = key0 + lane_row(), last;
        float scale, weights[OF_LANE], slopes[OF_LANE];
        vec4 raw_1[2 * LOADS(TILE)], raw_2[2 * LOADS(TILE)];
        MATRIX_A keys[SIZE / 16], values[SIZE / 16];
        MATRIX_SUM key_sums[SIZE / 16], value_sums[SIZE / 16];

        if (key0 >= rows)
                return;
        find_rows(key0, key_head * group, group, rows);
        FETCH(raw_1, k, key0, TILE, rows, push.n[1], key_head * SIZE)
        FETCH(raw_2, v, key0, TILE, rows, push.n[1], key_head * SIZE)
        PUT(stage_1, raw_1, TILE, 1.0)
        PUT(stage_2, raw_2, TILE, 1.0)
        barrier();
        scale = scale_for(greatest);
        last = uint(bound);
        LOAD_OWN(keys, stage_1)
        LOAD_OWN(values, stage_2)
        [[unroll]] for (uint d = 0; d < SIZE / 16; d++)
                key_sums[d] = value_sums[d] = MATRIX_SUM(0.0);
        for (uint head = key_head * group; head < (key_head + 1) * group; head++) {
                FETCH(raw_1, q, key0, STEP, rows, push.n[0], head * SIZE)
                FETCH(raw_2, dy, key0, STEP, rows, push.n[0], head * SIZE)
                for (uint row0 = key0; row0 <= last; row0 += STEP) {
                        barrier();
                        PUT(stage_1, raw_1, STEP, 1.0)
                        PUT(stage_2, raw_2, STEP, scale)
                        if (t < STEP) {
                                uint r = min(row0 + t, rows - 1);

                                step_lse[t] = lse[r * push.n[2] + head];
                                step_delta[t] = delta[r * push.n[2] + head].x * scale;
                                step_first[t] = row0 + t < rows ? first[r] : int(rows);
                        }
                        barrier();
                        FETCH(raw_1, q, row0 + STEP, STEP, last + 1, push.n[0], head * SIZE)
                        FETCH(raw_2, dy, row0 + STEP, STEP, last + 1, push.n[0], head * SIZE)
                        SCORES(keys, stage_1)
                        [[unroll]] for (uint i = 0; i < OF_LANE; i++) {
                                uint c = lane_column(i);
                                float score = push.f[0] * lane_scores(i)[i % 4];

                                weights[i] = j <= row0 + c && int(j) >= step_first[c] ? exp(min(score - step_lse[c], 0.0)) : 0.0;
                        }
                        subgroupBarrier();
                        SCORES(values, stage_2)
                        [[unroll]] for (uint i = 0; i < OF_LANE; i++)
                                slopes[i] = weights[i] * (lane_scores(i)[i % 4] - step_delta[lane_column(i)]);
                        PUT_WEIGHTS(weights)
                        ADD_PRODUCT(value_sums, stage_2)
                        PUT_WEIGHTS(slopes)
                        ADD_PRODUCT(key_sums, stage_1)
                }
        }
        STORE(key_sums, out_1, key0, rows, push.n[1], key_head * SIZE, push.f[0] / scale)
        STORE(value_sums, out_2, key0, rows, push.n[1], key_head * SIZE, 1.0 / scale)
}
