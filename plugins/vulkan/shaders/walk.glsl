/* SPDX-License-Identifier: Apache-2.0 */
/* A token's way through many layers in one dispatch (walk.h): all workgroups are resident, and go through the steps
 * together. What a step makes for the next ones goes through `exchange`, where NOT_YET stands before: a number is its own
 * flag, so that nobody waits for anything but the numbers, and no order of memory matters beyond that of one word. The
 * wait has a limit, behind which all give up and tell.
 * n: 0 steps, 1 looks at a number before giving up, 2 rows and 3 columns of the table, 4 interleaved pairs, 5 sliding
 * window, 6 steps before the first one of rows that have outputs. f: 0 and 1 of ROPE, 2 of ATTENTION. */
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_ballot : require
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
layout(constant_id = 5) const uint SUBGROUP = 0; /* its size */

/* A uniform buffer, so that the compiler sees that all invocations take the same way: where it can't, every shuffle behind
 * a branch becomes a function that first finds out who is there, at hundreds of cycles a call. */
layout(set = 0, binding = 12, std140) uniform steps_ { uvec4 fours[4096]; } steps;
layout(set = 0, binding = 2, std430) coherent volatile buffer exchange_ { uint words[]; } exchange;
layout(set = 0, binding = 2, std430) coherent volatile buffer exchange4_ { uvec4 fours[]; } exchange4;
layout(set = 0, binding = 3, std430) buffer status_ { uint gave_up; } status;
layout(set = 0, binding = 13, std140) uniform position_ { int position; };
layout(set = 0, binding = 14, std140) uniform sequence_ { int sequence; };
layout(set = 0, binding = 15, std140) uniform place_ { ivec2 place; };
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
#define SHIFT 53u     /* LANES as a power of two */
#define OF_ROW 54u    /* fours of weights in a row */
#define TURNS 55u     /* that a lane has of them */
#define LOADS 56u     /* of a lane, for the rows of a part's workgroup; three */
#define INVERSE 59u   /* 1 / ROW_COLUMNS */

#define STEP_PRODUCTS 0u
#define SILU 2u
#define NORMALISES 4u
#define ADDS 8u
#define PAIRED 16u /* the result is activated rows of the first matrix times those of the second */

shared uint gone;
uint now; /* where the present step's fours of words begin */

uint word_of(uint i)
{
        return steps.fours[now + i / 4u][i % 4u];
}

/* So that a step's words are near when it begins. */
uint fetch_words(uint at)
{
        return steps.fours[at].x ^ steps.fours[at + 4u].x ^ steps.fours[at + 8u].x ^ steps.fours[at + 12u].x;
}

float float_of(uint i)
{
        return uintBitsToFloat(word_of(i));
}

uvec2 address_of(uint i)
{
        return uvec2(word_of(i), word_of(i + 1u));
}

bool is_set(uint flag)
{
        return (word_of(FLAGS) & flag) != 0u;
}

bool goes_on(inout uint looks)
{
        if (looks++ >= push.n[1])
                gone = 1u;
        return gone == 0u;
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

/* A row is chosen of the only one that there is, and it is not that. */
bool chosen_elsewhere()
{
        uvec2 at = address_of(INDEX_AT);

        return at != uvec2(0u) && Numbers(at).at[0] != 0;
}

/* The row of a products step; its codes go to q. */
float take_row(bool elsewhere)
{
        uint columns = word_of(ROW_COLUMNS), fours = columns / 4u, own = gl_LocalInvocationID.x;
        uvec2 row_at = address_of(ROW_AT), norm_at = address_of(NORM_AT);
        row_work work = row_work(columns, float_of(INVERSE), false, false, is_set(NORMALISES), float_of(EPSILON));
        uvec4 a[PIECES];
        vec4 v[PIECES], w[PIECES];
        bool from_memory = row_at != uvec2(0u);

        for (uint k = 0; k < PIECES && k * THREADS < fours; k++) {
                uint i = min(k * THREADS + own, fours - 1u);

                if (work.normalises)
                        w[k] = uintBitsToFloat(Fours(norm_at).at[i]);
                a[k] = from_memory ? Fours(row_at).at[i] : exchange4.fours[word_of(INPUT) / 4u + i];
        }
        for (uint k = 0; k < PIECES && k * THREADS < fours; k++) {
                uint i = min(k * THREADS + own, fours - 1u);

                if (!from_memory)
                        a[k] = wait_four(word_of(INPUT) / 4u + i, a[k]);
                v[k] = elsewhere ? vec4(0.0) : uintBitsToFloat(a[k]);
        }
        return make_row(work, v, v, w);
}

/* Under way, perhaps not there yet: word or number. */
uint fetch_addend(uint row)
{
        uvec2 at = address_of(ADDEND_AT);

        return at != uvec2(0u) ? floatBitsToUint(Floats(at).at[row]) : exchange.words[word_of(INPUT + 1u) + row];
}

float addend_of(uint row, uint seen, bool elsewhere)
{
        if (address_of(ADDEND_AT) == uvec2(0u))
                seen = wait_one(word_of(INPUT + 1u) + row, seen);
        return elsewhere ? 0.0 : uintBitsToFloat(seen);
}

void give(uint part, uint row, ivec2 sums, float row_scale, float addend, uvec2 result_at)
{
        float y = qvf_scale_sum(float_of(SCALE + part), row_scale, sums.x - codes_sum);

        if (is_set(PAIRED))
                y = qvf_gate(is_set(SILU), y, qvf_scale_sum(float_of(SCALE + 1u), row_scale, sums.y - codes_sum));
        if (is_set(ADDS))
                y = qvf_weighted_sum(float_of(KEPT), addend, float_of(ADDED), y);
        tell(word_of(MADE + part) + row, y);
        if (result_at != uvec2(0u))
                Results(result_at).at[row] = y;
}

struct weights_ahead { /* which fours of weights a lane loads next */
        uvec2 matrix;
        uint at, last; /* the next one; the matrix's last */
        uint in_row, to_row, turn, turns; /* what is between two, of a row and of the next row's first */
};

uvec4 fetch(inout weights_ahead next)
{
        uvec4 four = Fours(next.matrix).at[min(next.at, next.last)];

        next.turn++;
        next.at += next.turn == next.turns ? next.to_row : next.in_row;
        if (next.turn == next.turns)
                next.turn = 0u;
        return four;
}

/* Each part of the step has workgroups of its own, and each of these has rows that follow each other. A row is shared by
 * so many lanes, half of which have its pair if there is one; each takes TURNS fours of it; then comes the next row.
 * What costs time here is instructions, not numbers: whatever can be known before stands in the step. */
void products_of(uint part, uint group, bool elsewhere, inout bool has_row, inout float row_scale)
{
        bool has_pair = is_set(PAIRED), adds = is_set(ADDS);
        uint lanes = word_of(LANES), shift = word_of(SHIFT), own = gl_LocalInvocationID.x >> shift;
        uint lane = gl_LocalInvocationID.x & lanes - 1u, abreast = THREADS >> shift;
        uint columns = word_of(ROW_COLUMNS), of_row = word_of(OF_ROW), loads = word_of(LOADS + part), turns = word_of(TURNS);
        uint each = word_of(EACH + part), rows = word_of(ROWS + part), first = group * each;
        uint end = min(first + each, rows), row = first + own;
        uint share = has_pair ? lanes / 2u : lanes, place = lane & share - 1u, turn = 0u, addend = 0u;
        uvec2 matrix = address_of(MATRIX_AT + 2u * part), pair = address_of(PAIRED_AT), result_at = address_of(RESULT_AT + 2u * part);
        weights_ahead next = weights_ahead(place == lane ? matrix : pair, row * of_row + place,
                rows * of_row - 1u, share, abreast * of_row - (turns - 1u) * share, 0u, turns);
        uvec4 now_ = fetch(next), second, third;
        int sum = 0;

        if (loads > 1u)
                second = fetch(next);
        if (loads > 2u)
                third = fetch(next);
        if (adds)
                addend = fetch_addend(min(row, rows - 1u));
        if (!has_row)
                row_scale = take_row(elsewhere);
        has_row = true;
        for (uint l = 0; l < loads; l++) {
                uint j = turn * share + place;

                if (j < of_row && row < end)
                        sum += words_of(now_, j, columns);
                if (l + 1u < loads) {
                        now_ = second;
                        second = third;
                        if (l + 3u < loads)
                                third = fetch(next);
                }
                if (++turn < turns)
                        continue;
                turn = 0u;
                [[unroll]] for (uint step = 16u; step > 0u; step /= 2u) {
                        int other = subgroupShuffleXor(sum, step);

                        sum += step < share ? other : 0;
                }
                int of_pair = has_pair ? subgroupShuffleXor(sum, share) : 0;
                float added = adds ? addend_of(min(row, rows - 1u), addend, elsewhere) : 0.0;

                if (lane == 0u && row < end)
                        give(part, row, ivec2(sum, of_pair), row_scale, added, result_at);
                sum = 0;
                row += abreast;
                if (adds && l + 1u < loads)
                        addend = fetch_addend(min(row, rows - 1u));
        }
}

void products()
{
        uint groups = word_of(GROUPS), groups1 = word_of(GROUPS + 1u), groups2 = word_of(GROUPS + 2u);
        bool has_row = false, elsewhere = chosen_elsewhere();
        float row_scale = 0.0;

        for (uint g = gl_WorkGroupID.x; g < groups + groups1 + groups2; g += gl_NumWorkGroups.x) {
                uint part = (g >= groups ? 1u : 0u) + (g >= groups + groups1 ? 1u : 0u);

                products_of(part, g - (part > 0u ? groups : 0u) - (part > 1u ? groups1 : 0u), elsewhere, has_row, row_scale);
        }
}

void main()
{
        uint ahead, count = args.rows == 0u ? 0u : args.output_rows == 0u ? push.n[6] : push.n[0];

        if (gl_LocalInvocationID.x == 0u)
                gone = 0u;
        if (ATTENDS != 0u)
                begin_attention();
        barrier();
        /* No barrier stands at the end of a step: it would wait for all that was told. What is shared is written behind the
         * first barrier of a step, where nobody is in the step before any more. */
        for (uint s = 0; s < count; s++) {
                now = s * (STEP_WORDS / 4u);
                ahead = fetch_words(min(s + 1u, count - 1u) * (STEP_WORDS / 4u));
                if (ATTENDS == 0u || word_of(KIND) == STEP_PRODUCTS)
                        products();
                else
                        attend();
                if (ahead == NOT_YET) /* as good as never: so that nobody leaves it out */
                        row_sums[127] = vec2(0.0);
        }
        barrier();
        if (gone != 0u && gl_LocalInvocationID.x == 0u)
                status.gave_up = 1u;
}
