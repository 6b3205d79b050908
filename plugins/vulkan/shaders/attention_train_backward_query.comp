#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* dq[r] = f0 Σ_j ds[r][j] k[j], 64 rows of one head by a workgroup. */
#include "attention_gradient.glsl"

float sums[4 * TILE_COLUMNS];

void main()
{
        uint row0 = row_begin() + gl_WorkGroupID.x * TILE_A;

        rows = qvf_rows();
        head = gl_WorkGroupID.y;
        key_head = head / (push.n[0] / push.n[1]);
        if (row0 >= row_end())
                return;
        if (gl_LocalInvocationIndex == 0)
                bound = int(row0);
        barrier();
        if (gl_LocalInvocationIndex < TILE_A && row0 + gl_LocalInvocationIndex < row_end())
                atomicMin(bound, max(first[row0 + gl_LocalInvocationIndex], 0));
        [[unroll]] for (uint i = 0; i < 4 * TILE_COLUMNS; i++)
                sums[i] = 0.0;
        barrier();
        for (uint j0 = max(uint(bound) / TILE_B * TILE_B, key_begin()); j0 < min(row0 + TILE_A, key_end()); j0 += TILE_B) {
                float scores[8], along_v[8];

                tile_product(Q, K, row0, j0, scores);
                tile_product(DY, V, row0, j0, along_v);
                [[unroll]] for (uint i = 0; i < 8; i++)
                        scores[i] = gradient_pair(row0 + tile_m() + 16 * (i / 2), j0 + tile_n() + 16 * (i % 2), scores[i],
                                        along_v[i]).y;
                tile_share(scores);
                TILE_ACCUMULATE(sums, K, j0)
        }
        for (uint i = 0; i < 4; i++) {
                uint r = row0 + tile_m() + 16 * i;

                [[unroll]] for (uint c = 0; c < TILE_COLUMNS; c++)
                        if (r < row_end() && tile_n() + 16 * c < SIZE) {
                                uint at = (r - row_begin()) * push.n[0] + head * SIZE + tile_n() + 16 * c;

                                out_1[at] = with_others(out_1[at], push.f[0] * sums[i * TILE_COLUMNS + c]);
                        }
        }
}
