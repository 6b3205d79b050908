/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of q times a ternary matrix in tiles of 64 rows by 64 rows of W, 64 columns at a time. */
#ifdef DOT
#extension GL_EXT_integer_dot_product : require
#endif
#define TERNARY_BINDING 4
#include "qvf.glsl"
#include "ternary.glsl"

layout(local_size_x = 256) in;
layout(constant_id = 1) const uint LAYOUT = 0;

layout(set = 0, binding = 1, std430) writeonly buffer result { float y[]; };
layout(set = 0, binding = 2, std430) readonly buffer quantised { uint q[]; };
layout(set = 0, binding = 3, std430) readonly buffer scales { float scale[]; };

/* push.n: columns of q, rows of W here, columns of y, first row of W here; f[0] the scale of W */
#define TILE 64u
#define WORDS 16u /* of a row in the tile */
#define STRIDE 17u

shared uint tile_q[TILE * STRIDE], tile_w[TILE * STRIDE];

void main()
{
        uint rows = qvf_rows(), lane = gl_LocalInvocationID.x, words = push.n[0] / 4u;
        uint first_row = gl_WorkGroupID.y * TILE, first_n = gl_WorkGroupID.x * TILE;
        uint x = lane % 16u, v = lane / 16u;
        int sum[16];

        rows -= min(rows, push.row0);
        if (first_row >= rows)
                return;
        for (uint i = 0u; i < 16u; i++)
                sum[i] = 0;
        for (uint k = 0u; k < words; k += WORDS) {
                for (uint i = lane; i < TILE * WORDS; i += 256u) {
                        uint row = i / WORDS, word = k + i % WORDS;

                        tile_q[row * STRIDE + i % WORDS] = q[push.rest[1] + min(first_row + row, rows - 1u) * words + word];
                        tile_w[row * STRIDE + i % WORDS] = ternary_signed(ternary_codes(LAYOUT, min(first_n + row, push.n[1] - 1u), push.n[0], word));
                }
                barrier();
                for (uint i = 0u; i < WORDS; i++) {
                        uint a[4], b[4];

                        for (uint j = 0u; j < 4u; j++) {
                                a[j] = tile_q[(v + 16u * j) * STRIDE + i];
                                b[j] = tile_w[(x + 16u * j) * STRIDE + i];
                        }
                        for (uint j = 0u; j < 16u; j++)
                                sum[j] += ternary_dot(a[j / 4u], b[j % 4u]);
                }
                barrier();
        }
        for (uint j = 0u; j < 16u; j++) {
                uint row = first_row + v + j / 4u * 16u, n = first_n + x + j % 4u * 16u;

                if (row < rows && n < push.n[1])
                        y[push.rest[0] + row * push.n[2] + push.n[3] + n] = qvf_scale_sum(push.f[0], scale[push.rest[2] + row], sum[j]);
        }
}
