/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax of tiles in one pass: whenever a larger score comes, what was summed before shrinks by the exponential of the
 * difference. A row's scores stand in 16 neighbours' registers; its state in shared memory. The order of the sum is that
 * of docs/arithmetic.md; the includer may say what exponential it wants.
 * tile_weights is borrowed. */
#define SCORE_NONE (-3.0e38)
#ifndef SOFTMAX_EXP
#define SOFTMAX_EXP exp
#endif

shared float softmax_largest[TILE_A], softmax_total[TILE_A];

/* Of a row of tile_weights: numbers 8 apart are added, then 4, 2 and 1. */
float softmax_fold(uint row)
{
        precise float sums[16];

        [[unroll]] for (uint n = 0; n < 16; n++)
                sums[n] = tile_weights[row * 17 + n];
        [[unroll]] for (uint apart = 8; apart > 0; apart /= 2)
                [[unroll]] for (uint n = 0; n < apart; n++)
                        sums[n] = sums[n] + sums[n + apart];
        return sums[0];
}

void softmax_begin()
{
        if (gl_LocalInvocationIndex < TILE_A) {
                softmax_largest[gl_LocalInvocationIndex] = SCORE_NONE;
                softmax_total[gl_LocalInvocationIndex] = 0.0;
        }
        barrier();
}

/* scores[2 i + j], SCORE_NONE where the row doesn't look, become weights; shrink[i]: what the sums of row i shrink by. */
void softmax_step(inout float scores[8], out float shrink[4])
{
        float largest[4];

        [[unroll]] for (uint i = 0; i < 4; i++)
                tile_weights[(tile_m() + 16 * i) * 17 + tile_n()] = max(scores[2 * i], scores[2 * i + 1]);
        barrier();
        [[unroll]] for (uint i = 0; i < 4; i++) {
                uint row = tile_m() + 16 * i;

                largest[i] = softmax_largest[row];
                shrink[i] = largest[i];
                for (uint n = 0; n < 16; n++)
                        largest[i] = max(largest[i], tile_weights[row * 17 + n]);
                shrink[i] = shrink[i] == SCORE_NONE ? 0.0 : SOFTMAX_EXP(shrink[i] - largest[i]);
                [[unroll]] for (uint j = 0; j < 2; j++)
                        scores[2 * i + j] = scores[2 * i + j] == SCORE_NONE ? 0.0 : SOFTMAX_EXP(scores[2 * i + j] - largest[i]);
        }
        barrier();
        [[unroll]] for (uint i = 0; i < 4; i++)
                tile_weights[(tile_m() + 16 * i) * 17 + tile_n()] = scores[2 * i] + scores[2 * i + 1];
        barrier();
        if (tile_n() < 4) {
                uint row = tile_m() + 16 * tile_n();
                float kept = tile_n() < 2 ? (tile_n() == 0 ? shrink[0] : shrink[1])
                                                       : (tile_n() == 2 ? shrink[2] : shrink[3]);

                precise float before = softmax_total[row] * kept, total = before + softmax_fold(row);

                softmax_total[row] = total;
                softmax_largest[row] = tile_n() < 2 ? (tile_n() == 0 ? largest[0] : largest[1])
                                                    : (tile_n() == 2 ? largest[2] : largest[3]);
        }
        barrier();
}
