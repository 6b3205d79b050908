/* SPDX-License-Identifier: Apache-2.0 */
/* A token's way through many layers in one dispatch (walk.h): all workgroups are resident, and go through the steps
 * together. What a step makes for the next ones goes through `exchange`, where NOT_YET stands before: a number is its own
 * flag, so that nobody waits for anything but the numbers, and no order of memory matters beyond that of one word. The
 * wait has a limit, behind which all give up and tell.
 * n: 0 steps, 1 looks at a number before giving up, 2 rows and 3 columns of the table, 4 interleaved pairs, 5 sliding
 * window. f: 0 and 1 of ROPE, 2 of ATTENTION. */
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_control_flow_attributes : require
#define ALWAYS_FUSED
#include "qvf.glsl"
#include "math.glsl"
#include "cells.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 512;
layout(constant_id = 1) const uint P1 = 0;
layout(constant_id = 2) const uint PIECES = 1;
layout(constant_id = 3) const uint SIZE = 64;  /* of a head */
layout(constant_id = 4) const uint ATTENDS = 0; /* 0: no step is an attention */

layout(set = 0, binding = 1, std430) readonly buffer steps_ { uint words[]; } steps;
layout(set = 0, binding = 2, std430) coherent volatile buffer exchange_ { uint words[]; } exchange;
layout(set = 0, binding = 2, std430) coherent volatile buffer exchange4_ { uvec4 fours[]; } exchange4;
layout(set = 0, binding = 3, std430) buffer status_ { uint gave_up; } status;
layout(set = 0, binding = 4, std430) readonly buffer position_ { int position[]; };
layout(set = 0, binding = 5, std430) readonly buffer sequence_ { int sequence[]; };
layout(set = 0, binding = 6, std430) readonly buffer place_ { ivec2 place[]; };
layout(set = 0, binding = 7, std430) readonly buffer table_ { int table[]; };
layout(set = 0, binding = 8, std430) readonly buffer frequency_ { float frequency[]; };

layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer Floats { float at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Results { float at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer Numbers { int at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Words { uint at[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Fours { uvec4 at[]; };

#define NOT_YET 0x7fd5a3c1u /* a NaN that no arithmetic gives */
#define STEP_WORDS 64u      /* as struct vk_walk_step */

/* Words of a step. */
#define KIND 0u
#define ROW_COLUMNS 1u
#define ROWS 2u /* three, of each part */
#define FLAGS 5u
#define LANES 6u
#define BLOCKS_THERE 7u
#define SCALE 8u /* three */
#define EPSILON 11u
#define KEPT 12u
#define ADDED 13u
#define INPUT 14u  /* three places in the exchange: row, addend; or query, key, value */
#define MADE 17u   /* three */
#define SPANS 20u  /* in the exchange: what spans of positions gave */
#define EACH 21u   /* rows of a workgroup; three */
#define ROW_AT 24u /* addresses from here on; 0: nothing */
#define ADDEND_AT 26u
#define NORM_AT 28u
#define MATRIX_AT 30u /* three */
#define RESULT_AT 36u /* three */
#define INDEX_AT 42u
#define KEYS_AT 44u
#define VALUES_AT 46u
#define PAIRED_AT 48u /* the matrix whose rows belong to those of the first */
#define GROUPS 50u    /* workgroups of a part; three */

#define STEP_PRODUCTS 0u
#define SILU 2u
#define NORMALISES 4u
#define ADDS 8u
#define OUTPUT_ROWS 16u
#define PAIRED 32u /* the result is activated rows of the first matrix times those of the second */

shared uint step_words[2u * STEP_WORDS];
shared uint gone; /* 0, or 1 and the step in which the workgroup gave up: who is late at a step's end still goes on to that one */
uint now;     /* where the present step's words begin */
uint reached; /* 1 and the present step */

uint word_of(uint i)
{
        return step_words[now + i];
}

float float_of(uint i)
{
        return uintBitsToFloat(step_words[now + i]);
}

uvec2 address_of(uint i)
{
        return uvec2(step_words[now + i], step_words[now + i + 1u]);
}

bool is_set(uint flag)
{
        return (word_of(FLAGS) & flag) != 0u;
}

bool goes_on(inout uint looks)
{
        looks++;
        if (looks > push.n[1] || gone != 0u) {
                gone = reached;
                return false;
        }
        return true;
}

uint wait_one(uint i, uint seen)
{
        uint looks = 0;

        while (seen == NOT_YET && goes_on(looks))
                seen = exchange.words[i];
        return seen;
}

uvec4 wait_four(uint i, uvec4 seen)
{
        uint looks = 0;

        while (any(equal(seen, uvec4(NOT_YET))) && goes_on(looks))
                seen = exchange4.fours[i];
        return seen;
}

void tell(uint i, float number)
{
        uint bits = floatBitsToUint(number);

        exchange.words[i] = bits == NOT_YET ? 0x7fc00000u : bits;
}

#include "decode_row.glsl"
#include "walk_attention.glsl"

/* The row of a products step; its codes go to q. */
float take_row()
{
        uint columns = word_of(ROW_COLUMNS), fours = columns / 4u, own = gl_LocalInvocationID.x;
        uvec2 row_at = address_of(ROW_AT), norm_at = address_of(NORM_AT);
        row_work work = row_work(columns, false, false, is_set(NORMALISES), float_of(EPSILON));
        uvec4 a[PIECES];
        vec4 v[PIECES], w[PIECES];
        bool from_memory = row_at != uvec2(0u);

        for (uint k = 0; k < PIECES; k++) {
                uint i = min(k * THREADS + own, fours - 1u);

                if (work.normalises)
                        w[k] = vec4(Floats(norm_at).at[4u * i], Floats(norm_at).at[4u * i + 1u], Floats(norm_at).at[4u * i + 2u],
                                Floats(norm_at).at[4u * i + 3u]);
                a[k] = uvec4(0u);
                if (k * THREADS < fours)
                        a[k] = from_memory ? Fours(row_at).at[i] : exchange4.fours[word_of(INPUT) / 4u + i];
        }
        for (uint k = 0; k < PIECES; k++) {
                uint i = min(k * THREADS + own, fours - 1u);

                if (!from_memory)
                        a[k] = wait_four(word_of(INPUT) / 4u + i, a[k]);
                v[k] = uintBitsToFloat(a[k]);
        }
        if (address_of(INDEX_AT) != uvec2(0u) && Numbers(address_of(INDEX_AT)).at[0] != 0)
                for (uint k = 0; k < PIECES; k++)
                        v[k] = vec4(0.0);
        return make_row(work, v, v, w);
}

/* Under way, perhaps not there yet: word or number. */
uint fetch_addend(uint row)
{
        uvec2 at = address_of(ADDEND_AT);

        return at != uvec2(0u) ? floatBitsToUint(Floats(at).at[row]) : exchange.words[word_of(INPUT + 1u) + row];
}

float addend_of(uint row, uint seen)
{
        if (address_of(INDEX_AT) != uvec2(0u) && Numbers(address_of(INDEX_AT)).at[0] != 0)
                return 0.0;
        if (address_of(ADDEND_AT) == uvec2(0u))
                seen = wait_one(word_of(INPUT + 1u) + row, seen);
        return uintBitsToFloat(seen);
}

void give(uint part, uint row, ivec2 sums, float row_scale, uint addend)
{
        float y = qvf_scale_sum(float_of(SCALE + part), row_scale, sums.x - codes_sum);
        uvec2 result_at = address_of(RESULT_AT + 2u * part);

        if (is_set(PAIRED))
                y = qvf_gate(is_set(SILU), y, qvf_scale_sum(float_of(SCALE + 1u), row_scale, sums.y - codes_sum));
        if (is_set(ADDS))
                y = qvf_weighted_sum(float_of(KEPT), addend_of(row, addend), float_of(ADDED), y);
        tell(word_of(MADE + part) + row, y);
        if (result_at != uvec2(0u))
                Results(result_at).at[row] = y;
}

struct weights_ahead { /* which fours of weights a lane loads next */
        uvec2 matrix, pair; /* addresses */
        uint at, step, last; /* of the row's first; between rows; of the matrix's end */
        uint turn, turns, lanes;
        bool of_pair, has_pair;
};

uvec4 fetch(inout weights_ahead next)
{
        uvec4 four = Fours(next.of_pair ? next.pair : next.matrix).at[min(next.at + next.turn * next.lanes, next.last)];

        if (++next.turn == next.turns) {
                next.turn = 0u;
                if (!next.of_pair)
                        next.of_pair = next.has_pair;
                else
                        next.of_pair = false;
                if (!next.of_pair)
                        next.at += next.step;
        }
        return four;
}

/* Each part of the step has workgroups of its own, and each of these has rows that follow each other. A row is shared by
 * so many lanes, which take `turns` fours of it each, and as many of its pair if there is one; then comes the next row.
 * There is one copy of the loop's body: what costs time here is fetching instructions. */
void products_of(uint part, uint group, inout bool has_row, inout float row_scale)
{
        uint lanes = word_of(LANES), abreast = THREADS / lanes, columns = word_of(ROW_COLUMNS);
        uint own = gl_LocalInvocationID.x / lanes, lane = gl_LocalInvocationID.x % lanes;
        uint each = word_of(EACH + part), rows = word_of(ROWS + part), first = min(group * each, rows);
        uint end = min(first + each, rows), of_row = words_of_row(columns), row = first + own;
        uint turns = (of_row + lanes - 1u) / lanes, turn = 0u, addend = 0u;
        bool has_pair = is_set(PAIRED), of_pair = false;
        uint loads = (end - first + abreast - 1u) / abreast * turns * (has_pair ? 2u : 1u);
        weights_ahead next = weights_ahead(address_of(MATRIX_AT + 2u * part), address_of(PAIRED_AT), row * of_row + lane,
                abreast * of_row, rows * of_row - 1u, 0u, turns, lanes, false, has_pair);
        uvec4 now_ = fetch(next), second = fetch(next), third = fetch(next), fourth = fetch(next);
        int sum = 0, sum_before = 0;

        if (is_set(ADDS))
                addend = fetch_addend(min(row, rows - 1u));
        if (!has_row)
                row_scale = take_row();
        has_row = true;
        for (uint l = 0; l < loads; l++) {
                uint j = turn * lanes + lane;

                if (j < of_row)
                        sum += words_of(now_, j, columns);
                now_ = second;
                second = third;
                third = fourth;
                if (l + 4u < loads)
                        fourth = fetch(next);
                if (++turn < turns)
                        continue;
                turn = 0u;
                for (uint step = lanes / 2u; step > 0u; step /= 2u)
                        sum += subgroupShuffleXor(sum, step);
                if (has_pair && !of_pair) {
                        of_pair = true;
                        sum_before = sum;
                        sum = 0;
                        continue;
                }
                of_pair = false;
                if (lane == 0u && row < end)
                        give(part, row, has_pair ? ivec2(sum_before, sum) : ivec2(sum, 0), row_scale, addend);
                sum = 0;
                row += abreast;
                if (is_set(ADDS))
                        addend = fetch_addend(min(row, rows - 1u));
        }
}

void products()
{
        bool has_row = false;
        float row_scale = 0.0;

        for (uint g = gl_WorkGroupID.x; g < word_of(GROUPS) + word_of(GROUPS + 1u) + word_of(GROUPS + 2u); g += gl_NumWorkGroups.x) {
                uint group = g, part = 0u;

                while (part < 2u && group >= word_of(GROUPS + part)) {
                        group -= word_of(GROUPS + part);
                        part++;
                }
                products_of(part, group, has_row, row_scale);
        }
}

void main()
{
        uint own = gl_LocalInvocationID.x;

        if (own < STEP_WORDS)
                step_words[own] = steps.words[own];
        if (own == 0u)
                gone = 0u;
        if (ATTENDS != 0u)
                find_turns();
        barrier();
        for (uint s = 0; s < push.n[0]; s++) {
                uint next = own < STEP_WORDS && s + 1u < push.n[0] ? steps.words[(s + 1u) * STEP_WORDS + own] : 0u;

                now = s % 2u * STEP_WORDS;
                reached = s + 1u;
                if ((is_set(OUTPUT_ROWS) ? args.output_rows : args.rows) == 0u)
                        break;
                if (ATTENDS == 0u || word_of(KIND) == STEP_PRODUCTS)
                        products();
                else
                        attend();
                if (own < STEP_WORDS)
                        step_words[(s + 1u) % 2u * STEP_WORDS + own] = next;
                barrier();
                if (gone != 0u && gone <= reached)
                        break;
        }
        if (gone != 0u && own == 0u)
                status.gave_up = 1u;
}
