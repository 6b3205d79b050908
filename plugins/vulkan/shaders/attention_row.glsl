/* SPDX-License-Identifier: Apache-2.0 */
/* ATTENTION of one row and head by a workgroup, as docs/arithmetic.md defines it to the bit: an invocation has the score
 * of one cell, then columns of a block's values, then columns of the result. BLOCKS blocks of 32 positions are worked on
 * at once, by as many times 32 invocations.
 * The includer says where things are: BLOCKS, SIZE, KEY_TYPE, VALUE_TYPE (constants), CACHE_COLUMNS, KEYS4(i) (uvec4),
 * KEY_NUMBER(i), VALUES1(i) (uint), VALUE_NUMBER(i), FIRST_CELL(sequence, block), SCORE_FACTOR, and in AWAIT_QUERY what is to be done before
 * the query is looked at, and in BLOCK_IS_SUBGROUP, if at all, whether a subgroup has just a block. With OWN_CELL the row's
 * own key and value need not have come to the caches yet (F16): they are in own_key and own_value, as stored. */
#ifndef ATTENTION_ROW_GLSL
#define ATTENTION_ROW_GLSL
#extension GL_EXT_control_flow_attributes : require
#include "attention_merge.glsl"

#define SPAN_BLOCKS 16u /* after which sums begin anew */
#ifdef ALWAYS_FUSED /* small enough */
#define UNROLL [[unroll]]
#else
#define UNROLL
#endif
#define COLUMNS ((SIZE + 32u * BLOCKS - 1u) / (32u * BLOCKS)) /* of the result, that an invocation has */
const bool PACKED_KEYS = KEY_TYPE == CACHE_F16 && SIZE % 8u == 0u;
const bool PACKED_VALUES = VALUE_TYPE == CACHE_F16 && SIZE % 2u == 0u;

shared vec4 attention_query[(SIZE + 3u) / 4u];
shared vec4 attention_weights[BLOCKS * 8u]; /* scores at first */
shared float attention_tops[BLOCKS], attention_folds[BLOCKS], attention_shrinks[BLOCKS];
shared float attention_sums[BLOCKS * SIZE];
#ifdef OWN_CELL
shared uvec4 own_key[SIZE / 8u];
shared uint own_value[SIZE / 2u];
#endif

struct attention_state {
        float top, total, sums[COLUMNS];
};

void attention_clear(out attention_state now)
{
        now.top = SCORE_NONE;
        now.total = 0.0;
        for (uint c = 0; c < COLUMNS; c++)
                now.sums[c] = 0.0;
}

float attention_query_of(uint d)
{
        return attention_query[d / 4u][d % 4u];
}

/* q · key: even and odd columns apart, then added. */
float attention_score(uint at)
{
        float even = 0.0, odd = 0.0;
        precise float sum, score;

        for (uint d = 0; d < SIZE; d += 2u) {
                even = qvf_fma(attention_query_of(d), KEY_NUMBER(at + d), even);
                if (d + 1u < SIZE)
                        odd = qvf_fma(attention_query_of(d + 1u), KEY_NUMBER(at + d + 1u), odd);
        }
        sum = even + odd;
        score = SCORE_FACTOR * sum;
        return score;
}

/* The same of a key of f16, 64 columns at a time, whose loads are all under way before the first is used. */
#define FETCHED 8u
void attention_fetch_key(uint at, uint j0, out uvec4 key[FETCHED])
{
        UNROLL for (uint j = 0; j < FETCHED; j++)
                if (j0 + j < SIZE / 8u)
                        key[j] = KEYS4(at / 8u + j0 + j);
}

void attention_add_columns(uvec4 key[FETCHED], uint j0, bool is_own, inout float even, inout float odd)
{
        UNROLL for (uint j = 0; j < FETCHED; j++) {
                uvec4 eight = key[j];

                if (j0 + j >= SIZE / 8u)
                        break;
#ifdef OWN_CELL
                if (is_own)
                        eight = own_key[j0 + j];
#endif
                UNROLL for (uint part = 0; part < 2u; part++) {
                        vec4 four = attention_query[2u * (j0 + j) + part];
                        vec2 low = unpackHalf2x16(eight[2u * part]), high = unpackHalf2x16(eight[2u * part + 1u]);

                        even = qvf_fma(four.x, low.x, even);
                        odd = qvf_fma(four.y, low.y, odd);
                        even = qvf_fma(four.z, high.x, even);
                        odd = qvf_fma(four.w, high.y, odd);
                }
        }
}

/* key: its first 64 columns. */
float attention_score_packed(uint at, uvec4 key[FETCHED], bool is_own)
{
        float even = 0.0, odd = 0.0;
        precise float sum, score;

        attention_add_columns(key, 0u, is_own, even, odd);
        for (uint j0 = FETCHED; j0 < SIZE / 8u; j0 += FETCHED) {
                attention_fetch_key(at, j0, key);
                attention_add_columns(key, j0, is_own, even, odd);
        }
        sum = even + odd;
        score = SCORE_FACTOR * sum;
        return score;
}

float attention_largest(uint block)
{
        vec4 most = attention_weights[8u * block];

        [[unroll]] for (uint i = 1; i < 8u; i++)
                most = max(most, attention_weights[8u * block + i]);
        return max(max(most.x, most.y), max(most.z, most.w));
}

float attention_fold(uint block)
{
        uint at = 8u * block;
        precise vec4 four[4], two[2], one;
        precise vec2 half_;
        precise float sum;

        [[unroll]] for (uint i = 0; i < 4u; i++)
                four[i] = attention_weights[at + i] + attention_weights[at + 4u + i];
        two[0] = four[0] + four[2];
        two[1] = four[1] + four[3];
        one = two[0] + two[1];
        half_ = one.xy + one.zw;
        sum = half_.x + half_.y;
        return sum;
}

/* Σ weight · value of a block's column. */
float attention_sum_of(uint block, uint at)
{
        float sum = 0.0;

        for (uint i = 0; i < 32u; i++) {
                float weight = attention_weights[8u * block + i / 4u][i % 4u];

                if (weight != 0.0) /* behind the last position anything may stand */
                        sum = qvf_fma(weight, VALUE_NUMBER(at + i * CACHE_COLUMNS), sum);
        }
        return sum;
}

/* Where columns go in pairs all loads are on their way before the scores are there. */
void attention_fetch(uint cell, uint at, out uint ahead[32])
{
        UNROLL for (uint i = 0; i < 32u; i++)
                ahead[i] = VALUES1((cell + i) * CACHE_COLUMNS / 2u + at);
}

vec2 attention_two_sums(uint block, uint ahead[32])
{
        vec2 sum = vec2(0.0);

        UNROLL for (uint i = 0; i < 32u; i++) {
                float weight = attention_weights[8u * block + i / 4u][i % 4u];
                vec2 value = unpackHalf2x16(ahead[i]);

                if (weight != 0.0) { /* behind the last position anything may stand */
                        sum.x = qvf_fma(weight, value.x, sum.x);
                        sum.y = qvf_fma(weight, value.y, sum.y);
                }
        }
        return sum;
}

/* The largest of each block, one barrier before it is needed. */
void attention_tell_top(uint t, float score)
{
#ifdef BLOCK_IS_SUBGROUP
        if (BLOCK_IS_SUBGROUP) {
                float most = subgroupMax(score);

                if (t % 32u == 0u)
                        attention_tops[t / 32u] = most;
                return;
        }
#endif
        attention_weights[t / 4u][t % 4u] = score;
        barrier();
        if (t % 32u == 0u)
                attention_tops[t / 32u] = attention_largest(t / 32u);
}

/* The weights of each block, for its own invocations, and their sum, for all behind the next barrier. */
void attention_tell_weight(uint t, float weight)
{
        attention_weights[t / 4u][t % 4u] = weight;
#ifdef BLOCK_IS_SUBGROUP
        if (BLOCK_IS_SUBGROUP) {
                precise float sum = weight;

                sum = sum + subgroupShuffleXor(sum, 16u);
                sum = sum + subgroupShuffleXor(sum, 8u);
                sum = sum + subgroupShuffleXor(sum, 4u);
                sum = sum + subgroupShuffleXor(sum, 2u);
                sum = sum + subgroupShuffleXor(sum, 1u);
                if (t % 32u == 0u)
                        attention_folds[t / 32u] = sum;
                subgroupBarrier();
                return;
        }
#endif
        barrier();
        if (t % 32u == 0u)
                attention_folds[t / 32u] = attention_fold(t / 32u);
}

/* BLOCKS blocks from `first` on, up to `end`: taken up into what the span's earlier blocks gave. `range`: the positions
 * that the row looks at; `own`: the one whose cell is the row's own, or -1. */
void attention_blocks(inout attention_state now, uint first, uint end, ivec2 range, int sequence, uint column, int own)
{
        uint t = gl_LocalInvocationIndex, mine = t / 32u, lane = t % 32u, block = first + mine, count = min(end - first, BLOCKS);
        int position = int(block * 32u + lane);
        uint cell = block < end ? FIRST_CELL(sequence, block) : CELL_NONE, key_at = (cell + lane) * CACHE_COLUMNS + column;
        bool sees = cell != CELL_NONE && position >= range.x && position <= range.y;
        uint own_lane = own >= 0 && uint(own) / 32u == block ? uint(own) % 32u : CELL_NONE;
        float score = SCORE_NONE, top = now.top, before;
        uvec4 key[FETCHED];
        uint ahead[32];

        if (PACKED_KEYS && sees)
                attention_fetch_key(key_at, 0u, key);
        if (PACKED_VALUES && cell != CELL_NONE && lane < SIZE / 2u)
                attention_fetch(cell, column / 2u + lane, ahead);
        AWAIT_QUERY;
        if (sees)
                score = PACKED_KEYS ? attention_score_packed(key_at, key, position == own) : attention_score(key_at);
        attention_tell_top(t, score);
        barrier();
        for (uint b = 0; b < count; b++) {
                now.top = max(now.top, attention_tops[b]);
                if (b < mine)
                        top = now.top;
        }
        before = top;
        top = max(top, attention_tops[mine]);
        attention_tell_weight(t, score == SCORE_NONE ? 0.0 : qvf_exp(score - top));
        if (lane == 0u)
                attention_shrinks[mine] = before == SCORE_NONE ? 0.0 : qvf_exp(before - top);
        if (cell == CELL_NONE) {
                for (uint d = lane; d < SIZE; d += 32u)
                        attention_sums[mine * SIZE + d] = 0.0;
        } else if (PACKED_VALUES) {
                for (uint p = lane; p < SIZE / 2u; p += 32u) {
                        if (p >= 32u)
                                attention_fetch(cell, column / 2u + p, ahead);
#ifdef OWN_CELL
                        UNROLL for (uint i = 0; i < 32u; i++)
                                if (i == own_lane)
                                        ahead[i] = own_value[p];
#endif
                        vec2 two = attention_two_sums(mine, ahead);

                        attention_sums[mine * SIZE + 2u * p] = two.x;
                        attention_sums[mine * SIZE + 2u * p + 1u] = two.y;
                }
        } else {
                for (uint d = lane; d < SIZE; d += 32u)
                        attention_sums[mine * SIZE + d] = attention_sum_of(mine, cell * CACHE_COLUMNS + column + d);
        }
        barrier();
        for (uint b = 0; b < count; b++) {
                precise float total = now.total * attention_shrinks[b];

                total += attention_folds[b];
                now.total = total;
                for (uint c = 0; c < COLUMNS; c++) {
                        uint d = c * 32u * BLOCKS + t;

                        if (d < SIZE)
                                now.sums[c] = qvf_fma(now.sums[c], attention_shrinks[b], attention_sums[b * SIZE + d]);
                }
        }
        barrier();
}

/* A span of 512 positions. */
void attention_span(out attention_state now, uint span, ivec2 range, int sequence, uint column, int own)
{
        uint first = max(span * SPAN_BLOCKS, uint(range.x) / 32u);
        uint end = range.y < range.x ? first : max(first, min((span + 1u) * SPAN_BLOCKS, uint(range.y) / 32u + 1u));

        attention_clear(now);
        do { /* once where there is nothing to see, so that the query is awaited */
                attention_blocks(now, first, end, range, sequence, column, own);
                first += BLOCKS;
        } while (first < end);
}

#endif
