/* SPDX-License-Identifier: Apache-2.0 */
/* dx = scale · Wᵀ dy in tiles of 64 rows by 64 columns, 16 rows of W at a time. */
#version 450
#extension GL_GOOGLE_include_directive : require
#define TERNARY_BINDING 3
#include "qvf.glsl"
#include "ternary.glsl"

layout(local_size_x = 256) in;
layout(constant_id = 1) const uint LAYOUT = 0;
layout(constant_id = 2) const uint BLOCK_SCALES = 0;

layout(set = 0, binding = 1, std430) buffer gradient { float dx[]; };
layout(set = 0, binding = 2, std430) readonly buffer output_gradient { float dy[]; };
layout(set = 0, binding = 4, std430) readonly buffer blocks_packed { float block_scale[]; };

/* push.n: columns of W, rows of W here, columns of dy, first row of W here, columns of dx; f[0] the scale of W */
#define TILE 64u
#define DEPTH 16u
#define STRIDE (DEPTH + 1u)

shared float tile_dy[TILE * STRIDE];
shared float tile_w[DEPTH * TILE];

/* Four columns of a row of W for each invocation. */
void load_weights(uint first, uint column)
{
        uint n = first + gl_LocalInvocationID.x / 16u, to = gl_LocalInvocationID.x * 4u;
        uint k = column / 4u + gl_LocalInvocationID.x % 16u;
        bool inside = n < push.n[1] && k * 4u < push.n[0];
        uint codes = inside ? ternary_codes(LAYOUT, n, push.n[0], k) : 0x01010101u;
        float scale = 1.0;

        if (BLOCK_SCALES != 0u && inside) {
                uint block = n * (push.n[0] / 256u) + k / 64u;

                scale = LAYOUT <= LAYOUT_P1 ? block_scale[push.rest[3] + block] : ternary_block_scale(LAYOUT, block);
        }
        for (uint b = 0u; b < 4u; b++)
                tile_w[to + b] = scale * (float(codes >> 8u * b & 3u) - 1.0);
}

void main()
{
        uint rows = qvf_rows(), lane = gl_LocalInvocationID.x;
        uint first_row = gl_WorkGroupID.y * TILE, column = gl_WorkGroupID.x * TILE;
        uint x = lane % 16u, v = lane / 16u;
        float sum[16];

        rows -= min(rows, push.row0);
        if (first_row >= rows)
                return;
        for (uint i = 0u; i < 16u; i++)
                sum[i] = 0.0;
        for (uint n = 0u; n < push.n[1]; n += DEPTH) {
                for (uint i = lane; i < TILE * DEPTH; i += 256u) {
                        uint row = first_row + i / DEPTH, at = n + i % DEPTH;

                        tile_dy[i / DEPTH * STRIDE + i % DEPTH] = row < rows && at < push.n[1]
                                ? dy[push.rest[1] + row * push.n[2] + push.n[3] + at] : 0.0;
                }
                load_weights(n, column);
                barrier();
                for (uint i = 0u; i < DEPTH; i++) {
                        float a[4], b[4];

                        for (uint j = 0u; j < 4u; j++) {
                                a[j] = tile_dy[(v + 16u * j) * STRIDE + i];
                                b[j] = tile_w[i * TILE + x + 16u * j];
                        }
                        for (uint j = 0u; j < 16u; j++)
                                sum[j] += a[j / 4u] * b[j % 4u];
                }
                barrier();
        }
        for (uint j = 0u; j < 16u; j++) {
                uint row = first_row + v + j / 4u * 16u, c = column + x + j % 4u * 16u;

                if (row < rows && c < push.n[4]) {
                        uint at = push.rest[0] + row * push.n[4] + c;

                        dx[at] = ((push.flags & QVF_ACCUMULATE) != 0u ? dx[at] : 0.0) + push.f[0] * sum[j];
                }
        }
}
