#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* As attention.comp, by subgroups: each takes one block of positions after the other and a lane has eight columns, of keys
 * and of values alike, so that keys, scores and values of a block stay in its registers. What the subgroups found is
 * added up in the end. SIZE is 8 times a power of 2, and no more than 8 times the lanes. */
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_control_flow_attributes : require

#include "qvf.glsl"
#include "math.glsl"
#include "attention_cache.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 256;
layout(constant_id = 1) const uint SIZE = 64;
layout(constant_id = 2) const uint KEY_TYPE = 0;
layout(constant_id = 3) const uint VALUE_TYPE = 0;
layout(constant_id = 4) const uint LANES = 32;

layout(set = 0, binding = 1, std430) writeonly buffer attention_y
{
        float y[]; /* parts: [row][head][part]: largest score, Σ weights, SIZE sums */
};
layout(set = 0, binding = 3, std430) readonly buffer attention_keys4
{
        uvec4 keys4[];
};
layout(set = 0, binding = 4, std430) readonly buffer attention_values4
{
        uvec4 values4[];
};

const uint SUBGROUPS = THREADS / LANES;
const uint OF_A_CELL = SIZE / 8;          /* lanes */
const uint ABREAST = LANES / OF_A_CELL;   /* cells at once */
const uint TURNS = KV_BLOCK / ABREAST;
const float SCORE_NONE = -3.0e38;

shared float found[SUBGROUPS * (SIZE + 2)];
shared float shares[SUBGROUPS]; /* what their sums are multiplied by */

#define EIGHT_OF(type, words, packed, words4, at, eight) \
        if (type == CACHE_F16) { \
                uvec4 four = packed; \
\
                [[unroll]] for (uint i = 0; i < 4; i++) { \
                        vec2 two = unpackHalf2x16(four[i]); \
\
                        eight[2 * i] = two.x; \
                        eight[2 * i + 1] = two.y; \
                } \
        } else if (type == CACHE_F32) { \
                [[unroll]] for (uint i = 0; i < 8; i++) \
                        eight[i] = uintBitsToFloat(words4[(at) / 4 + i / 4][i % 4]); \
        } else { \
                [[unroll]] for (uint i = 0; i < 8; i++) \
                        eight[i] = CACHE_NUMBER(type, words, (at) + i); \
        }

struct state {
        float largest, total, sums[8];
};

void add_block(inout state now, float query[8], uint first_cell, uint low, uint high, uint column)
{
        uint own = gl_SubgroupInvocationID / OF_A_CELL;
        uvec4 halves[TURNS];
        float scores[TURNS], largest = SCORE_NONE, shrink, eight[8];

        if (VALUE_TYPE == CACHE_F16) /* on their way before the scores need them */
                [[unroll]] for (uint turn = 0; turn < TURNS; turn++)
                        halves[turn] = values4[((first_cell + turn * ABREAST + own) * push.n[1] + column) / 8];
        [[unroll]] for (uint turn = 0; turn < TURNS; turn++) {
                uint i = turn * ABREAST + own, at = (first_cell + i) * push.n[1] + column;
                float sum = 0.0;

                EIGHT_OF(KEY_TYPE, keys, keys4[(at) / 8], keys4, at, eight)
                [[unroll]] for (uint d = 0; d < 8; d++)
                        sum += eight[d] * query[d];
                [[unroll]] for (uint step_ = 1; step_ < OF_A_CELL; step_ *= 2)
                        sum += subgroupShuffleXor(sum, step_);
                scores[turn] = i >= low && i <= high ? push.f[0] * sum : SCORE_NONE;
                largest = max(largest, scores[turn]);
        }
        largest = max(now.largest, subgroupMax(largest));
        shrink = now.largest == SCORE_NONE ? 0.0 : qvf_exp(now.largest - largest);
        now.largest = largest;
        now.total *= shrink;
        [[unroll]] for (uint d = 0; d < 8; d++)
                now.sums[d] *= shrink;
        [[unroll]] for (uint turn = 0; turn < TURNS; turn++) {
                uint at = (first_cell + turn * ABREAST + own) * push.n[1] + column;
                float weight = scores[turn] == SCORE_NONE ? 0.0 : qvf_exp(scores[turn] - largest);

                EIGHT_OF(VALUE_TYPE, values, halves[turn], values4, at, eight)
                now.total += weight;
                [[unroll]] for (uint d = 0; d < 8; d++)
                        now.sums[d] += weight == 0.0 ? 0.0 : weight * eight[d];
        }
}

/* The lanes' sums, each of its cells, become the subgroup's. */
void put_found(state now)
{
        uint base = gl_SubgroupID * (SIZE + 2);

        [[unroll]] for (uint step_ = OF_A_CELL; step_ < LANES; step_ *= 2) {
                now.total += subgroupShuffleXor(now.total, step_);
                [[unroll]] for (uint d = 0; d < 8; d++)
                        now.sums[d] += subgroupShuffleXor(now.sums[d], step_);
        }
        if (gl_SubgroupInvocationID < OF_A_CELL)
                [[unroll]] for (uint d = 0; d < 8; d++)
                        found[base + 2 + gl_SubgroupInvocationID * 8 + d] = now.sums[d];
        if (gl_SubgroupInvocationID == 0) {
                found[base] = now.largest;
                found[base + 1] = now.total;
        }
}

void main()
{
        uint head = gl_WorkGroupID.x, row = push.row0 + gl_WorkGroupID.y, part = gl_WorkGroupID.z;
        uint column = head / (push.n[0] / push.n[1]) * SIZE + gl_SubgroupInvocationID % OF_A_CELL * 8;
        float query[8], largest = SCORE_NONE, total = 0.0;
        uint at = (row * (push.n[0] / SIZE) + head) * push.n[6];
        state now;
        ivec2 span;
        int each, sequence;

        if (row >= qvf_rows())
                return;
        span = cache_span(place[row].x);
        sequence = place[row].y;
        each = max((span.y - span.x + int(push.n[6])) / int(push.n[6]), int(push.n[7]));
        span.x += int(part) * each;
        span.y = min(span.y, span.x + each - 1);
        now.largest = SCORE_NONE;
        now.total = 0.0;
        [[unroll]] for (uint d = 0; d < 8; d++) {
                now.sums[d] = 0.0;
                query[d] = q[row * push.n[0] + head * SIZE + gl_SubgroupInvocationID % OF_A_CELL * 8 + d];
        }
        for (int block = span.x / int(KV_BLOCK) + int(gl_SubgroupID); block <= span.y / int(KV_BLOCK) && span.y >= span.x;
                        block += int(SUBGROUPS)) {
                int p0 = block * int(KV_BLOCK);
                uint cell = cache_cell(sequence, p0);

                if (cell != CELL_NONE)
                        add_block(now, query, cell, uint(max(span.x - p0, 0)), uint(min(span.y - p0, 31)), column);
        }
        put_found(now);
        barrier();
        for (uint s = 0; s < SUBGROUPS; s++)
                largest = max(largest, found[s * (SIZE + 2)]);
        if (gl_LocalInvocationIndex < SUBGROUPS) {
                uint base = gl_LocalInvocationIndex * (SIZE + 2);

                shares[gl_LocalInvocationIndex] = found[base + 1] == 0.0 ? 0.0 : qvf_exp(found[base] - largest);
        }
        barrier();
        for (uint s = 0; s < SUBGROUPS; s++)
                total += found[s * (SIZE + 2) + 1] * shares[s];
        for (uint d = gl_LocalInvocationIndex; d < SIZE; d += THREADS) {
                float sum = 0.0;

                for (uint s = 0; s < SUBGROUPS; s++)
                        sum += found[s * (SIZE + 2) + 2 + d] * shares[s];
                if (push.n[6] > 1)
                        y[(at + part) * (SIZE + 2) + 2 + d] = sum;
                else
                        y[at * SIZE + d] = total > 0.0 ? sum / total : 0.0;
        }
        if (push.n[6] > 1 && gl_LocalInvocationIndex == 0) {
                y[(at + part) * (SIZE + 2)] = largest;
                y[(at + part) * (SIZE + 2) + 1] = total;
        }
}
