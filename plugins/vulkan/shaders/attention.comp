#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* y = Σ_p softmax_p(f0 q·k_p) v_p of few rows: a workgroup has a row and head, all of its spans of positions or one of
 * them (attention_combine.comp adds these up). n[6]: spans that have workgroups of their own, or 1. */
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "math.glsl"
#include "attention_cache.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 128;
layout(constant_id = 1) const uint SIZE = 64;
layout(constant_id = 2) const uint KEY_TYPE = 0;
layout(constant_id = 3) const uint VALUE_TYPE = 0;

layout(set = 0, binding = 1, std430) writeonly buffer attention_y
{
        float y[]; /* parts: [row][head][span]: largest score, Σ weights, SIZE sums */
};
layout(set = 0, binding = 3, std430) readonly buffer attention_keys4
{
        uvec4 keys4[];
};

const uint BLOCKS = THREADS / 32u;
#define CACHE_COLUMNS push.n[1]
#define SCORE_FACTOR push.f[0]
#define KEYS4(i) keys4[i]
#define KEY_NUMBER(i) CACHE_NUMBER(KEY_TYPE, keys, i)
#define VALUES1(i) values[i]
#define VALUE_NUMBER(i) CACHE_NUMBER(VALUE_TYPE, values, i)
#define FIRST_CELL(sequence, block) cache_cell(sequence, int((block) * KV_BLOCK))
#define AWAIT_QUERY
#include "attention_row.glsl"

void main()
{
        uint t = gl_LocalInvocationIndex, head = gl_WorkGroupID.x, row = push.row0 + gl_WorkGroupID.y, part = gl_WorkGroupID.z;
        uint column = head / (push.n[0] / push.n[1]) * SIZE, at = row * push.n[0] + head * SIZE;
        attention_state all, now;
        ivec2 range;

        if (row >= qvf_rows())
                return;
        range = cache_span(place[row].x);
        for (uint d = t; d < SIZE; d += THREADS)
                attention_query[d / 4u][d % 4u] = q[at + d];
        barrier();
        if (push.n[6] > 1) {
                attention_span(now, part, range, place[row].y, column, -1);
                at = ((row * (push.n[0] / SIZE) + head) * push.n[6] + part) * (SIZE + 2u);
                for (uint c = 0; c < COLUMNS; c++)
                        if (c * THREADS + t < SIZE)
                                y[at + 2u + c * THREADS + t] = now.sums[c];
                if (t == 0) {
                        y[at] = now.top;
                        y[at + 1u] = now.total;
                }
                return;
        }
        attention_clear(all);
        for (int span = range.x / 512; span <= range.y / 512 && range.y >= range.x; span++) {
                attention_span(now, uint(span), range, place[row].y, column, -1);
                if (now.total == 0.0)
                        continue;
                vec2 factor = attention_merge(all.top, all.total, now.top, now.total);

                for (uint c = 0; c < COLUMNS; c++)
                        all.sums[c] = attention_merged(all.sums[c], now.sums[c], factor);
        }
        for (uint c = 0; c < COLUMNS; c++)
                if (c * THREADS + t < SIZE)
                        y[at + c * THREADS + t] = attention_result(all.sums[c], all.total);
}
