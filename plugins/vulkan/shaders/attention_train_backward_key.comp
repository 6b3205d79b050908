#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* dk[j] = f0 Σ_r ds[r][j] q[r], dv[j] = Σ_r p[r][j] dy[r], 64 keys of one key head by a workgroup. */
#include "attention_gradient.glsl"

float key_sums[4 * TILE_COLUMNS], value_sums[4 * TILE_COLUMNS];

/* The last row that looks at one of the keys. */
uint last_row(uint key0)
{
        if (gl_LocalInvocationIndex == 0)
                bound = int(key0);
        barrier();
        for (uint r = key0 + gl_LocalInvocationIndex; r < row_end(); r += 256)
                if (first[r] < int(key0 + TILE_A))
                        atomicMax(bound, int(r));
        barrier();
        return uint(bound);
}

void add_rows(uint key0, uint row0)
{
        float scores[8], along_v[8], weights[8];

        tile_product(K, Q, key0, row0, scores);
        tile_product(V, DY, key0, row0, along_v);
        [[unroll]] for (uint i = 0; i < 8; i++) {
                vec2 pair = gradient_pair(row0 + tile_n() + 16 * (i % 2), key0 + tile_m() + 16 * (i / 2), scores[i], along_v[i]);

                weights[i] = pair.x;
                scores[i] = pair.y;
        }
        tile_share(weights);
        TILE_ACCUMULATE(value_sums, DY, row0)
        tile_share(scores);
        TILE_ACCUMULATE(key_sums, Q, row0)
}

void main()
{
        uint key0 = key_begin() + gl_WorkGroupID.x * TILE_A, group = push.n[0] / push.n[1], last;

        rows = qvf_rows();
        key_head = gl_WorkGroupID.y;
        if (key0 >= key_end())
                return;
        [[unroll]] for (uint i = 0; i < 4 * TILE_COLUMNS; i++)
                key_sums[i] = value_sums[i] = 0.0;
        last = last_row(key0);
        for (head = key_head * group; head < (key_head + 1) * group; head++)
                for (uint row0 = max(key0, row_begin()); row0 < row_end() && row0 <= last; row0 += TILE_B)
                        add_rows(key0, row0);
        for (uint i = 0; i < 4; i++) {
                uint j = key0 + tile_m() + 16 * i;

                [[unroll]] for (uint c = 0; c < TILE_COLUMNS; c++)
                        if (j < key_end() && tile_n() + 16 * c < SIZE) {
                                uint at = (j - key_begin()) * push.n[1] + key_head * SIZE + tile_n() + 16 * c;

                                out_1[at] = with_others(out_1[at], push.f[0] * key_sums[i * TILE_COLUMNS + c]);
                                out_2[at] = with_others(out_2[at], value_sums[i * TILE_COLUMNS + c]);
                        }
        }
}
