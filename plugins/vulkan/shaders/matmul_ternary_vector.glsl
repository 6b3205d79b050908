/* SPDX-License-Identifier: Apache-2.0 */
/* Few rows of q times a ternary matrix: a workgroup has EACH rows of W; its invocations walk along the columns. */
#ifdef DOT
#extension GL_EXT_integer_dot_product : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#extension GL_EXT_control_flow_attributes : require
#define TERNARY_BINDING 4
#include "qvf.glsl"
#include "ternary.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint LAYOUT = 0;
layout(constant_id = 2) const uint ROWS = 1; /* of q, at most */
layout(constant_id = 3) const uint EACH = 1;
layout(constant_id = 4) const uint PARTIAL = 64; /* sums of a number: of each subgroup, or of each invocation */

layout(set = 0, binding = 1, std430) writeonly buffer result { float y[]; };
layout(set = 0, binding = 2, std430) readonly buffer quantised { uint q[]; };
layout(set = 0, binding = 2, std430) readonly buffer quantised4 { uvec4 q4[]; };
layout(set = 0, binding = 3, std430) readonly buffer scales { float scale[]; };

/* push.n: columns of q, rows of W here, columns of y, first row of W here; f[0] the scale of W */
#define COLUMNS push.n[0]

shared int sums[EACH * ROWS * PARTIAL];

uint first; /* of the rows of W of this workgroup */

int sum[EACH * ROWS];
int q_sum[ROWS];

void add_word(uint codes[EACH], uint k, uint last)
{
        [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                uint four = q[push.rest[1] + min(r, last) * (COLUMNS / 4u) + k];

                q_sum[r] += ternary_dot(four, 0x01010101u);
                [[unroll]] for (uint e = 0u; e < EACH; e++)
                        sum[e * ROWS + r] += ternary_dot(four, codes[e]);
        }
}

void walk_p2(uint last)
{
        uint words = COLUMNS / 16u;

        for (uint j = gl_LocalInvocationID.x; j < words; j += gl_WorkGroupSize.x) {
                uint w[EACH];

                [[unroll]] for (uint e = 0u; e < EACH; e++)
                        w[e] = ternary.words[push.rest[3] + min(first + e, push.n[1] - 1u) * words + j];
                [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                        uvec4 sixteen = q4[push.rest[1] / 4u + min(r, last) * words + j];

                        [[unroll]] for (uint i = 0u; i < 4u; i++) {
                                q_sum[r] += ternary_dot(sixteen[i], 0x01010101u);
                                [[unroll]] for (uint e = 0u; e < EACH; e++)
                                        sum[e * ROWS + r] += ternary_dot(sixteen[i], w[e] >> 2u * i & 0x03030303u);
                        }
                }
        }
}

void walk_p1(uint last)
{
        uint words = ternary_row_words(LAYOUT_P1, COLUMNS);

        for (uint j = gl_LocalInvocationID.x; j * 20u < COLUMNS; j += gl_WorkGroupSize.x) {
                uint even[EACH], odd[EACH];

                [[unroll]] for (uint e = 0u; e < EACH; e++) {
                        uint w = ternary.words[push.rest[3] + min(first + e, push.n[1] - 1u) * words + j];

                        even[e] = w & 0x00ff00ffu;
                        odd[e] = w >> 8 & 0x00ff00ffu;
                }
                for (uint i = 0u; i < 5u && 5u * j + i < COLUMNS / 4u; i++) {
                        uint codes[EACH];

                        [[unroll]] for (uint e = 0u; e < EACH; e++) {
                                codes[e] = ternary_first_digits(even[e], odd[e]);
                                even[e] = even[e] * 3u & 0x00ff00ffu;
                                odd[e] = odd[e] * 3u & 0x00ff00ffu;
                        }
                        add_word(codes, 5u * j + i, last);
                }
        }
}

/* As files have them. */
void walk_blocks(uint last)
{
        for (uint k = gl_LocalInvocationID.x; k < COLUMNS / 4u; k += gl_WorkGroupSize.x) {
                uint codes[EACH];

                [[unroll]] for (uint e = 0u; e < EACH; e++)
                        codes[e] = ternary_codes(LAYOUT, min(first + e, push.n[1] - 1u), COLUMNS, k);
                add_word(codes, k, last);
        }
}

void put(uint v, uint rows, int all)
{
        uint row = v % ROWS, n = first + v / ROWS;

        if (row < rows && n < push.n[1])
                y[push.rest[0] + row * push.n[2] + push.n[3] + n] = qvf_scale_sum(push.f[0], scale[push.rest[2] + row], all);
}

void main()
{
        uint rows = qvf_rows(), lane = gl_LocalInvocationID.x;
        uint last = min(ROWS, push.rows - push.row0) - 1u; /* of the rows that are there, in use or not: q need not wait
                                                              for the number in use */

        rows -= min(rows, push.row0);
        first = qvf_group() * EACH;
        if (first >= push.n[1])
                return;
        [[unroll]] for (uint v = 0u; v < EACH * ROWS; v++)
                sum[v] = 0;
        [[unroll]] for (uint r = 0u; r < ROWS; r++)
                q_sum[r] = 0;
        if (LAYOUT == LAYOUT_P2)
                walk_p2(last);
        else if (LAYOUT == LAYOUT_P1)
                walk_p1(last);
        else
                walk_blocks(last);
#ifdef DOT
        [[unroll]] for (uint v = 0u; v < EACH * ROWS; v++) {
                int of_subgroup = subgroupAdd(sum[v] - q_sum[v % ROWS]);

                if (subgroupElect())
                        sums[v * PARTIAL + gl_SubgroupID] = of_subgroup;
        }
#else
        [[unroll]] for (uint v = 0u; v < EACH * ROWS; v++)
                sums[v * PARTIAL + lane] = sum[v] - q_sum[v % ROWS];
#endif
        barrier();
        for (uint v = lane; v < EACH * ROWS; v += gl_WorkGroupSize.x) {
                int all = 0;

                for (uint i = 0u; i < PARTIAL; i++)
                        all += sums[v * PARTIAL + i];
                put(v, rows, all);
        }
}
