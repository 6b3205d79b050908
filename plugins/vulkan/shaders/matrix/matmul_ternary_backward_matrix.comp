/* SPDX-License-Identifier: Apache-2.0 */
/* dx = scale · Wᵀ dy by cooperative matrices of f16, summed in f32; dy was brought to f16 by matmul_ternary_gradient. A
 * workgroup has BM rows and BN columns of dx; BK rows of W, spread out into f16, and as many columns of dy are laid in
 * shared memory, while the next ones are on their way. Of its WM · WN · WK subgroups WK share one part of the result:
 * each does its part of W's rows, and the sums are added in the end, in order. With RANK an adapter's part is added before
 * a number is stored. */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_control_flow_attributes : require
#include "qvf.glsl"
#include "thin.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint LAYOUT = 0; /* 0: P2, 1: P1 */
layout(constant_id = 2) const uint BM = 128;
layout(constant_id = 3) const uint BN = 128;
layout(constant_id = 4) const uint BK = 64;
layout(constant_id = 5) const uint WM = 2;
layout(constant_id = 6) const uint WN = 4;
layout(constant_id = 7) const uint WK = 1;

layout(set = 0, binding = 1, std430) buffer gradient { float dx[]; };
layout(set = 0, binding = 1, std430) buffer gradient4 { vec4 dx4[]; };
layout(set = 0, binding = 2, std430) readonly buffer halves { uvec4 dy[]; };
layout(set = 0, binding = 3, std430) readonly buffer weights { uvec2 w[]; };
layout(set = 0, binding = 4, std430) readonly buffer factors { float factor[]; };

/* push.n: rows of W, uvec4s of a row of dy, uvec2s of a row of W, columns of dx; f[0] the scale of W, f[1] that of
 * the adapter */

#define MATRIX 16u
#define SUMS (MATRIX * MATRIX)
const uint INVOCATIONS = gl_WorkGroupSize.x;
const uint FM = BM / MATRIX / WM, FN = BN / MATRIX / WN; /* matrices of a subgroup */
const uint STEPS = BK / MATRIX / WK;
const uint DY_WIDTH = BK / 8u;                           /* uvec4s of a row of the tile: f16 */
const uint DY_STRIDE = DY_WIDTH + 1u;                    /* so that rows begin in different banks */
const uint W_COLUMNS = LAYOUT == 0u ? 32u : 40u;         /* in a packed uvec2 */
const uint W_WIDTH = BN / W_COLUMNS;
const uint W_STRIDE = BN / 8u + 1u;
const uint W_AT = BM * DY_STRIDE;
const uint DY_LOADS = (BM * DY_WIDTH + INVOCATIONS - 1u) / INVOCATIONS;
const uint W_LOADS = (BK * W_WIDTH + INVOCATIONS - 1u) / INVOCATIONS;
const uint TILES = W_AT + BK * W_STRIDE;
const uint STAGES = WM * WN * WK * FN * SUMS / 4u;
const bool STEADY = 32u % (FN * MATRIX / 4u) == 0u;      /* an invocation stores numbers of the same columns */

shared uvec4 tile[TILES > STAGES ? TILES : STAGES];

uvec4 next_dy[DY_LOADS];
uvec2 next_w[W_LOADS];

void fetch(uint first_n, uint first_row, uint rows, uint column)
{
        [[unroll]] for (uint i = 0u; i < DY_LOADS; i++) {
                uint at = i * INVOCATIONS + gl_LocalInvocationID.x;
                uint row = first_row + at / DY_WIDTH, place = first_n / 8u + at % DY_WIDTH;

                next_dy[i] = row < rows && place < push.n[1] ? dy[row * push.n[1] + place] : uvec4(0u);
        }
        [[unroll]] for (uint i = 0u; i < W_LOADS; i++) {
                uint at = i * INVOCATIONS + gl_LocalInvocationID.x;
                uint n = first_n + at / W_WIDTH, place = column / W_COLUMNS + at % W_WIDTH;

                next_w[i] = n < push.n[0] && place < push.n[2] ? w[push.rest[2] / 2u + n * push.n[2] + place]
                        : uvec2(LAYOUT == 0u ? 0x55555555u : 0x80808080u);
        }
}

/* Two codes, in halves of a word, to two f16: 1024 + code, less 1025. */
uint weights_of(uint codes)
{
        return packFloat2x16(unpackFloat2x16(codes & 0x00030003u | 0x64006400u) - f16vec2(1025.0hf));
}

/* Of each four columns the middle two change places: the order in which pairs come out of a word. */
void spread_p2(uint at, uvec2 two)
{
        [[unroll]] for (uint j = 0u; j < 2u; j++) {
                uint word = two[j];

                tile[at + 2u * j] = uvec4(weights_of(word), weights_of(word >> 8), weights_of(word >> 2), weights_of(word >> 10));
                tile[at + 2u * j + 1u] = uvec4(weights_of(word >> 4), weights_of(word >> 12), weights_of(word >> 6), weights_of(word >> 14));
        }
}

void spread_p1(uint at, uvec2 two)
{
        uint words[20];

        [[unroll]] for (uint j = 0u; j < 2u; j++) {
                uint even = two[j] & 0x00ff00ffu, odd = two[j] >> 8 & 0x00ff00ffu;

                [[unroll]] for (uint i = 0u; i < 5u; i++) {
                        even *= 3u;
                        odd *= 3u;
                        words[10u * j + 2u * i] = weights_of(even >> 8);
                        words[10u * j + 2u * i + 1u] = weights_of(odd >> 8);
                        even &= 0x00ff00ffu;
                        odd &= 0x00ff00ffu;
                }
        }
        [[unroll]] for (uint i = 0u; i < 5u; i++)
                tile[at + i] = uvec4(words[4u * i], words[4u * i + 1u], words[4u * i + 2u], words[4u * i + 3u]);
}

void lay()
{
        [[unroll]] for (uint i = 0u; i < DY_LOADS; i++) {
                uint at = i * INVOCATIONS + gl_LocalInvocationID.x;

                if (at < BM * DY_WIDTH)
                        tile[at / DY_WIDTH * DY_STRIDE + at % DY_WIDTH] = next_dy[i];
        }
        [[unroll]] for (uint i = 0u; i < W_LOADS; i++) {
                uint at = i * INVOCATIONS + gl_LocalInvocationID.x;
                uint to = W_AT + at / W_WIDTH * W_STRIDE + at % W_WIDTH * (W_COLUMNS / 8u);

                if (at >= BK * W_WIDTH)
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

/* Columns c to c + 3 of A. */
void thin_fetch(uint c)
{
        [[unroll]] for (uint j = 0u; j < RANK; j++)
                thin_by[j] = push.f[1] * thick[(push.rest[5] + j * push.n[3] + min(c, push.n[3] - 4u)) / 4u];
}

/* Four numbers of dx. */
void put(uint row, uint rows, uint c, vec4 all)
{
        uint at = push.rest[0] + row * push.n[3] + c;
        bool accumulate = (push.flags & QVF_ACCUMULATE) != 0u;

        if (row >= rows || c >= push.n[3])
                return;
        all *= push.f[0] * factor[push.rest[3] + row];
        if (RANK > 0u)
                all += thin_sum(row);
        if ((push.n[3] | push.rest[0]) % 4u == 0u) {
                dx4[at / 4u] = accumulate ? dx4[at / 4u] + all : all;
                return;
        }
        [[unroll]] for (uint i = 0u; i < 4u; i++)
                if (c + i < push.n[3])
                        dx[at + i] = accumulate ? dx[at + i] + all[i] : all[i];
}

void main()
{
        uint rows = qvf_rows(), first_row = gl_WorkGroupID.y * BM, column = gl_WorkGroupID.x * BN;
        uint part = gl_SubgroupID / (WM * WN), within = gl_SubgroupID % (WM * WN); /* of W's rows; of the result */
        uint wm = within / WN, wn = within % WN;
        coopmat<float, gl_ScopeSubgroup, MATRIX, MATRIX, gl_MatrixUseAccumulator> sum[FM * FN];

        rows -= min(rows, push.row0);
        if (first_row >= rows)
                return;
        [[unroll]] for (uint i = 0u; i < FM * FN; i++)
                sum[i] = coopmat<float, gl_ScopeSubgroup, MATRIX, MATRIX, gl_MatrixUseAccumulator>(0.0);
        fetch(0u, first_row, rows, column);
        for (uint n = 0u; n < push.n[0]; n += BK) {
                lay();
                barrier();
                if (n + BK < push.n[0])
                        fetch(n + BK, first_row, rows, column);
                [[unroll]] for (uint step = 0u; step < STEPS; step++) {
                        uint k = part * STEPS + step;
                        coopmat<float16_t, gl_ScopeSubgroup, MATRIX, MATRIX, gl_MatrixUseA> a[FM];
                        coopmat<float16_t, gl_ScopeSubgroup, MATRIX, MATRIX, gl_MatrixUseB> b;

                        [[unroll]] for (uint i = 0u; i < FM; i++)
                                coopMatLoad(a[i], tile, (wm * FM + i) * MATRIX * DY_STRIDE + k * (MATRIX / 8u), DY_STRIDE, gl_CooperativeMatrixLayoutRowMajor);
                        [[unroll]] for (uint j = 0u; j < FN; j++) {
                                coopMatLoad(b, tile, W_AT + k * MATRIX * W_STRIDE + (wn * FN + j) * (MATRIX / 8u), W_STRIDE, gl_CooperativeMatrixLayoutRowMajor);
                                [[unroll]] for (uint i = 0u; i < FM; i++)
                                        sum[i * FN + j] = coopMatMulAdd(a[i], b, sum[i * FN + j]);
                        }
                }
                barrier();
        }
        [[unroll]] for (uint i = 0u; i < FM; i++) {
                [[unroll]] for (uint j = 0u; j < FN; j++)
                        coopMatStore(sum[i * FN + j], tile, gl_SubgroupID * (FN * SUMS / 4u) + j * (MATRIX / 4u), FN * MATRIX / 4u, gl_CooperativeMatrixLayoutRowMajor);
                wait();
                for (uint at = part * gl_SubgroupSize + gl_SubgroupInvocationID; at < FN * SUMS / 4u; at += WK * gl_SubgroupSize) {
                        uint row = first_row + (wm * FM + i) * MATRIX + at / (FN * MATRIX / 4u);
                        uint c = column + wn * FN * MATRIX + at % (FN * MATRIX / 4u) * 4u;
                        vec4 all = vec4(0.0);

                        [[unroll]] for (uint p = 0u; p < WK; p++)
                                all += uintBitsToFloat(tile[(p * WM * WN + within) * (FN * SUMS / 4u) + at]);
                        if (RANK > 0u && (i == 0u && at < WK * gl_SubgroupSize || !STEADY))
                                thin_fetch(c);
                        put(row, rows, c, all.xzyw); /* back to their places */
                }
                wait();
        }
}
