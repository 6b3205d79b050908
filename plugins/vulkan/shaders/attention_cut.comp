#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* ATTENTION over caches that no binding holds, to the bits of docs/arithmetic.md. A workgroup has a row, a head and a span
 * of 512 positions, in three passes: the scores of all cells, one window of the keys after the other; the sums of each block's
 * values, one window of the values after the other; and with all there is of a span its sums, which attention_combine.comp
 * adds up.
 * Rows are bound from row push.row0 on. n as in attention_cache.glsl, and: 6 first and 7 number of the spans whose scores and
 * sums are bound. A window has rest[7] blocks of the cache from block rest[6] on. */
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "math.glsl"
#include "attention_cache.glsl"
#include "attention_merge.glsl"

layout(local_size_x = 128) in;
layout(constant_id = 0) const uint PASS = 0;
layout(constant_id = 1) const uint SIZE = 64;
layout(constant_id = 2) const uint KEY_TYPE = 0;
layout(constant_id = 3) const uint VALUE_TYPE = 0;

#define SCORES 0u
#define SUMS 1u
#define PARTS 2u

layout(set = 0, binding = 1, std430) buffer cut_scores
{
        float scores[]; /* [row][head][span][512] */
};
layout(set = 0, binding = 2, std430) buffer cut_sums
{
        float sums[]; /* [row][head][span][16][SIZE] */
};
layout(set = 0, binding = 7, std430) writeonly buffer cut_parts
{
        float parts[]; /* [row][head][all spans]: largest score, Σ weights, SIZE sums */
};

#define THREADS 128u
#define SPAN 512u
#define BLOCKS 16u /* of a span */

shared float weights[SPAN]; /* scores at first */
shared float tops[BLOCKS], shrinks[BLOCKS], folds[BLOCKS];

uint at_head; /* row and head, counted together */

/* Where a block of the sequence stands in the window; CELL_NONE: not there. */
uint cell_in_window(int sequence, uint block)
{
        uint cell = cache_cell(sequence, int(block * KV_BLOCK)), here = cell / KV_BLOCK - push.rest[6];

        return cell != CELL_NONE && here < push.rest[7] ? here * KV_BLOCK : CELL_NONE;
}

uint span_at(uint span)
{
        return at_head * push.n[7] + span - push.n[6];
}

float score_of(uint at, uint query_at)
{
        float even = 0.0, odd = 0.0;
        precise float sum, score;

        for (uint d = 0; d < SIZE; d += 2u) {
                even = qvf_fma(q[query_at + d], CACHE_NUMBER(KEY_TYPE, keys, at + d), even);
                if (d + 1u < SIZE)
                        odd = qvf_fma(q[query_at + d + 1u], CACHE_NUMBER(KEY_TYPE, keys, at + d + 1u), odd);
        }
        sum = even + odd;
        score = push.f[0] * sum;
        return score;
}

void find_scores(uint span, ivec2 range, int sequence, uint column, uint query_at)
{
        for (uint i = gl_LocalInvocationIndex; i < SPAN; i += THREADS) {
                uint block = span * BLOCKS + i / KV_BLOCK, cell = cell_in_window(sequence, block);
                int position = int(span * SPAN + i);

                if (cell != CELL_NONE && position >= range.x && position <= range.y)
                        scores[span_at(span) * SPAN + i] = score_of((cell + i % KV_BLOCK) * push.n[1] + column, query_at);
        }
}

float largest_of(uint block)
{
        float most = weights[block * KV_BLOCK];

        for (uint i = 1; i < KV_BLOCK; i++)
                most = max(most, weights[block * KV_BLOCK + i]);
        return most;
}

/* Weights 16 apart are added, then 8, 4, 2 and 1. */
float fold_of(uint block)
{
        precise float some[KV_BLOCK / 2u];

        for (uint i = 0; i < 16u; i++)
                some[i] = weights[block * KV_BLOCK + i] + weights[block * KV_BLOCK + 16u + i];
        for (uint apart = 8; apart > 0; apart /= 2)
                for (uint i = 0; i < apart; i++)
                        some[i] = some[i] + some[i + apart];
        return some[0];
}

/* Scores become weights, and each block gets what it makes the sums of those before it shrink by. */
void find_weights(uint span, ivec2 range, int sequence)
{
        uint t = gl_LocalInvocationIndex;

        for (uint i = t; i < SPAN; i += THREADS) {
                int position = int(span * SPAN + i);
                bool sees = position >= range.x && position <= range.y && cache_cell(sequence, position) != CELL_NONE;

                weights[i] = sees ? scores[span_at(span) * SPAN + i] : SCORE_NONE;
        }
        barrier();
        if (t < BLOCKS)
                tops[t] = largest_of(t);
        barrier();
        for (uint i = t; i < SPAN; i += THREADS) {
                float score = weights[i], before = SCORE_NONE, top;

                for (uint b = 0; b < i / KV_BLOCK; b++)
                        before = max(before, tops[b]);
                top = max(before, tops[i / KV_BLOCK]);
                weights[i] = score == SCORE_NONE ? 0.0 : qvf_exp(score - top);
                if (i % KV_BLOCK == 0)
                        shrinks[i / KV_BLOCK] = before == SCORE_NONE ? 0.0 : qvf_exp(before - top);
        }
        barrier();
        if (t < BLOCKS)
                folds[t] = fold_of(t);
        barrier();
}

void find_sums(uint span, int sequence, uint column)
{
        for (uint i = gl_LocalInvocationIndex; i < BLOCKS * SIZE; i += THREADS) {
                uint cell = cell_in_window(sequence, span * BLOCKS + i / SIZE), at = cell * push.n[1] + column + i % SIZE;
                float sum = 0.0;

                if (cell == CELL_NONE)
                        continue;
                for (uint c = 0; c < KV_BLOCK; c++) {
                        float weight = weights[i / SIZE * KV_BLOCK + c];

                        if (weight != 0.0) /* behind the last position anything may stand */
                                sum = qvf_fma(weight, CACHE_NUMBER(VALUE_TYPE, values, at + c * push.n[1]), sum);
                }
                sums[span_at(span) * (BLOCKS * SIZE) + i] = sum;
        }
}

/* An invocation has some columns; the first one what belongs to all of them, too. */
void find_part(uint span, bool is_seen, int sequence)
{
        uint at = (at_head * ((push.n[2] + BLOCKS - 1u) / BLOCKS) + span) * (SIZE + 2u), t = gl_LocalInvocationIndex;

        if (t == 0) {
                float top = SCORE_NONE;
                precise float total = 0.0;

                for (uint b = 0; b < BLOCKS && is_seen; b++) {
                        top = max(top, tops[b]);
                        total = total * shrinks[b];
                        total = total + folds[b];
                }
                parts[at] = top;
                parts[at + 1u] = total;
        }
        for (uint d = t; d < SIZE; d += THREADS) {
                float sum = 0.0;

                for (uint b = 0; b < BLOCKS && is_seen; b++) {
                        bool there = cache_cell(sequence, int((span * BLOCKS + b) * KV_BLOCK)) != CELL_NONE;

                        sum = qvf_fma(sum, shrinks[b], there ? sums[(span_at(span) * BLOCKS + b) * SIZE + d] : 0.0);
                }
                parts[at + 2u + d] = sum;
        }
}

void main()
{
        uint head = gl_WorkGroupID.x, row = gl_WorkGroupID.y, span = push.n[6] + gl_WorkGroupID.z;
        uint column = head / (push.n[0] / push.n[1]) * SIZE;
        ivec2 look, range;
        bool is_seen;

        if (push.row0 + row >= qvf_rows())
                return;
        look = place[push.row0 + row];
        range = cache_span(look.x);
        is_seen = int(span * SPAN) <= range.y && int(span * SPAN + SPAN) > range.x;
        at_head = row * (push.n[0] / SIZE) + head;
        if (is_seen && PASS == SCORES)
                find_scores(span, range, look.y, column, row * push.n[0] + head * SIZE);
        if (is_seen && PASS != SCORES)
                find_weights(span, range, look.y);
        if (is_seen && PASS == SUMS)
                find_sums(span, look.y, column);
        if (PASS == PARTS)
                find_part(span, is_seen, look.y);
}
