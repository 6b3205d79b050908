/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of q times a packed ternary matrix by cooperative matrices of int8. A workgroup has BM rows of q and BN rows of W;
 * BK columns of both are laid in shared memory, W spread out into int8, while the next ones are on their way. Of its
 * WM · WN · WK subgroups WK share one part of the result: each does its part of the columns, and the sums are added in the
 * end, which integers allow in any order. With RANK an adapter's part is added before a number is stored. */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_int8 : require
#extension GL_EXT_control_flow_attributes : require
#include "qvf.glsl"
#include "thin.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint LAYOUT = 0; /* 0: P2, 1: P1 */
layout(constant_id = 2) const uint BM = 128;
layout(constant_id = 3) const uint BN = 128;
layout(constant_id = 4) const uint BK = 128;
layout(constant_id = 5) const uint WM = 2;
layout(constant_id = 6) const uint WN = 4;
layout(constant_id = 7) const uint WK = 1;

layout(set = 0, binding = 1, std430) writeonly buffer result { float y[]; };
layout(set = 0, binding = 1, std430) writeonly buffer result4 { vec4 y4[]; };
layout(set = 0, binding = 2, std430) readonly buffer quantised { uvec4 q[]; };
layout(set = 0, binding = 3, std430) readonly buffer scales { float scale[]; };
layout(set = 0, binding = 4, std430) readonly buffer weights { uvec4 w[]; };

/* push.n: columns of q, rows of W here, columns of y, first row of W here, uvec4s in a row of W; f[0] the scale of W, f[1]
 * that of the adapter */

#define MATRIX_M 16u
#define MATRIX_N 16u
#define MATRIX_K 32u
#define SUMS (MATRIX_M * MATRIX_N)
const uint INVOCATIONS = gl_WorkGroupSize.x;
const uint FM = BM / MATRIX_M / WM, FN = BN / MATRIX_N / WN; /* matrices of a subgroup */
const uint STEPS = BK / MATRIX_K / WK;
const uint Q_WIDTH = BK / 16u;                           /* uvec4s of a row of the tile: int8 */
const uint W_COLUMNS = LAYOUT == 0u ? 64u : 80u;         /* in a packed uvec4 */
const uint W_WIDTH = BK / W_COLUMNS;
const uint STRIDE = Q_WIDTH + 1u;                        /* so that rows begin in different banks */
const uint Q_LOADS = (BM * Q_WIDTH + INVOCATIONS - 1u) / INVOCATIONS;
const uint W_LOADS = (BN * W_WIDTH + INVOCATIONS - 1u) / INVOCATIONS;
const uint TILES = (BM + BN) * STRIDE;
const uint STAGES = WM * WN * WK * FN * SUMS / 4u;
const bool STEADY = 32u % (FN * MATRIX_N / 4u) == 0u;    /* an invocation stores numbers of the same columns */

shared uvec4 tile[TILES > STAGES ? TILES : STAGES];
shared vec2 factor[BM]; /* of a row: the scale of W by that of q */

uvec4 next_q[Q_LOADS], next_w[W_LOADS];

void fetch(uint column, uint first_row, uint rows, uint first_n)
{
        [[unroll]] for (uint i = 0u; i < Q_LOADS; i++) {
                uint at = i * INVOCATIONS + gl_LocalInvocationID.x;
                uint row = first_row + at / Q_WIDTH, place = column / 16u + at % Q_WIDTH;

                next_q[i] = row < rows && place < push.n[0] / 16u
                        ? q[push.rest[1] / 4u + row * (push.n[0] / 16u) + place] : uvec4(0u);
        }
        [[unroll]] for (uint i = 0u; i < W_LOADS; i++) {
                uint at = i * INVOCATIONS + gl_LocalInvocationID.x;
                uint n = first_n + at / W_WIDTH, place = column / W_COLUMNS + at % W_WIDTH;

                next_w[i] = n < push.n[1] && place < push.n[4] ? w[push.rest[3] / 4u + n * push.n[4] + place]
                        : uvec4(LAYOUT == 0u ? 0x55555555u : 0x80808080u);
        }
}

uint signed_codes(uint codes)
{
        return (((codes & 0x03030303u) | 0x80808080u) - 0x01010101u) ^ 0x80808080u;
}

void spread_p2(uint at, uvec4 four)
{
        [[unroll]] for (uint j = 0u; j < 4u; j++) {
                uint word = four[j];

                tile[at + j] = uvec4(signed_codes(word), signed_codes(word >> 2), signed_codes(word >> 4), signed_codes(word >> 6));
        }
}

void spread_p1(uint at, uvec4 four)
{
        uint words[20];

        [[unroll]] for (uint j = 0u; j < 4u; j++) {
                uint even = four[j] & 0x00ff00ffu, odd = four[j] >> 8 & 0x00ff00ffu;

                [[unroll]] for (uint i = 0u; i < 5u; i++) {
                        even *= 3u;
                        odd *= 3u;
                        words[5u * j + i] = signed_codes((even >> 8 & 0x00ff00ffu) | (odd & 0xff00ff00u));
                        even &= 0x00ff00ffu;
                        odd &= 0x00ff00ffu;
                }
        }
        [[unroll]] for (uint i = 0u; i < 5u; i++)
                tile[at + i] = uvec4(words[4u * i], words[4u * i + 1u], words[4u * i + 2u], words[4u * i + 3u]);
}

void lay()
{
        [[unroll]] for (uint i = 0u; i < Q_LOADS; i++) {
                uint at = i * INVOCATIONS + gl_LocalInvocationID.x;

                if (at < BM * Q_WIDTH)
                        tile[at / Q_WIDTH * STRIDE + at % Q_WIDTH] = next_q[i];
        }
        [[unroll]] for (uint i = 0u; i < W_LOADS; i++) {
                uint at = i * INVOCATIONS + gl_LocalInvocationID.x;
                uint to = (BM + at / W_WIDTH) * STRIDE + at % W_WIDTH * (W_COLUMNS / 16u);

                if (at >= BN * W_WIDTH)
                        continue;
                if (LAYOUT == 0u)
                        spread_p2(to, next_w[i]);
                else
                        spread_p1(to, next_w[i]);
        }
}

/* For those who share sums: a subgroup by itself, or all. */
void wait()
{
        if (WK > 1u) {
                barrier();
        } else {
                subgroupMemoryBarrierShared();
                subgroupBarrier();
        }
}

/* B's rows first_n + n to n + 3, turned. */
void thin_fetch(uint n)
{
        [[unroll]] for (uint j = 0u; j < RANK / 4u; j++) {
                vec4 of[4];

                [[unroll]] for (uint i = 0u; i < 4u; i++)
                        of[i] = thick[push.rest[5] / 4u + min(n + i, push.n[1] - 1u) * (RANK / 4u) + j];
                [[unroll]] for (uint k = 0u; k < 4u; k++)
                        thin_by[4u * j + k] = push.f[1] * vec4(of[0][k], of[1][k], of[2][k], of[3][k]);
        }
}

/* Four numbers of y. */
void put(uint row, uint rows, uint n, vec2 by, ivec4 all)
{
        uint at = push.rest[0] + row * push.n[2] + push.n[3] + n;
        vec4 four = vec4(qvf_scale_sum_by(by, all.x), qvf_scale_sum_by(by, all.y), qvf_scale_sum_by(by, all.z), qvf_scale_sum_by(by, all.w));

        if (row >= rows || n >= push.n[1])
                return;
        if (RANK > 0u)
                four += thin_sum(row);
        if ((push.n[2] | push.rest[0] | push.n[3] | push.n[1]) % 4u == 0u) {
                y4[at / 4u] = four;
                return;
        }
        [[unroll]] for (uint i = 0u; i < 4u; i++)
                if (n + i < push.n[1])
                        y[at + i] = four[i];
}

void main()
{
        uint rows = qvf_rows(), first_row = gl_WorkGroupID.y * BM, first_n = gl_WorkGroupID.x * BN;
        uint part = gl_SubgroupID / (WM * WN), within = gl_SubgroupID % (WM * WN); /* of the columns; of the result */
        uint wm = within / WN, wn = within % WN;
        coopmat<int, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator> sum[FM * FN];

        rows -= min(rows, push.row0);
        if (first_row >= rows)
                return;
        [[unroll]] for (uint i = 0u; i < FM * FN; i++)
                sum[i] = coopmat<int, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator>(0);
        fetch(0u, first_row, rows, first_n);
        for (uint i = gl_LocalInvocationID.x; i < BM; i += INVOCATIONS)
                factor[i] = qvf_two_product(push.f[0], scale[push.rest[2] + min(first_row + i, rows - 1u)]);
        for (uint column = 0u; column < push.n[0]; column += BK) {
                lay();
                barrier();
                if (column + BK < push.n[0])
                        fetch(column + BK, first_row, rows, first_n);
                [[unroll]] for (uint step = 0u; step < STEPS; step++) {
                        uint k = (part * STEPS + step) * (MATRIX_K / 16u);
                        coopmat<int8_t, gl_ScopeSubgroup, MATRIX_M, MATRIX_K, gl_MatrixUseA> a[FM];
                        coopmat<int8_t, gl_ScopeSubgroup, MATRIX_K, MATRIX_N, gl_MatrixUseB> b;

                        [[unroll]] for (uint i = 0u; i < FM; i++)
                                coopMatLoad(a[i], tile, (wm * FM + i) * MATRIX_M * STRIDE + k, STRIDE, gl_CooperativeMatrixLayoutRowMajor);
                        [[unroll]] for (uint j = 0u; j < FN; j++) {
                                coopMatLoad(b, tile, (BM + (wn * FN + j) * MATRIX_N) * STRIDE + k, STRIDE, gl_CooperativeMatrixLayoutColumnMajor);
                                [[unroll]] for (uint i = 0u; i < FM; i++)
                                        sum[i * FN + j] = coopMatMulAdd(a[i], b, sum[i * FN + j]);
                        }
                }
                barrier();
        }
        [[unroll]] for (uint i = 0u; i < FM; i++) {
                [[unroll]] for (uint j = 0u; j < FN; j++)
                        coopMatStore(sum[i * FN + j], tile, gl_SubgroupID * (FN * SUMS / 4u) + j * (MATRIX_N / 4u), FN * MATRIX_N / 4u, gl_CooperativeMatrixLayoutRowMajor);
                wait();
                for (uint at = part * gl_SubgroupSize + gl_SubgroupInvocationID; at < FN * SUMS / 4u; at += WK * gl_SubgroupSize) {
                        uint row = (wm * FM + i) * MATRIX_M + at / (FN * MATRIX_N / 4u);
                        uint n = first_n + wn * FN * MATRIX_N + at % (FN * MATRIX_N / 4u) * 4u;
                        ivec4 all = ivec4(0);

                        [[unroll]] for (uint p = 0u; p < WK; p++)
                                all += ivec4(tile[(p * WM * WN + within) * (FN * SUMS / 4u) + at]);
                        if (RANK > 0u && (i == 0u && at < WK * gl_SubgroupSize || !STEADY))
                                thin_fetch(n);
                        put(first_row + row, rows, n, factor[row], all);
                }
                wait();
        }
}
