/* SPDX-License-Identifier: Apache-2.0 */
/* 128 x 128 of a product by cooperative matrices of f16 with sums in f32: eight subgroups with 64 x 32 each. Both matrices
 * come into shared memory as f16, 32 of K at a time; the next 32 are fetched meanwhile. x is multiplied by f[2] first
 * and the sums by f0 / f[2], so that small gradients stay normal numbers; LOSS_SCALED: x is args.loss_scale times what
 * is to be scaled.
 * n[7]: parts of K, each a result of its own in y, which matmul_weight_combine adds up, or 1. */
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_control_flow_attributes : require

#define SCALES_BEHIND
#include "dense.glsl"

layout(local_size_x = 256) in;
layout(constant_id = 1) const bool WIDE = false; /* rows of W are F16, whole uvec4 */
layout(constant_id = 2) const bool LOSS_SCALED = false;

layout(set = 0, binding = 2, std430) readonly buffer dense_x4
{
        vec4 x4[];
};
layout(set = 0, binding = 3, std430) readonly buffer dense_w4
{
        uvec4 w4[];
};

#define M 128u
#define N 128u
#define K 32u
#define PITCH 20u /* pairs of a row of 32 f16, and four against bank conflicts */
#ifdef TRANSPOSED
#define B_ROWS K
#define B_PITCH 68u /* of a row of 128 */
#else
#define B_ROWS N
#define B_PITCH PITCH
#endif

#define A_ALL (M * PITCH)
#define B_ALL (B_ROWS * B_PITCH)

shared f16vec2 as_[2 * A_ALL]; /* twice: one half is filled while the other is multiplied; in the end, tiles at the edges */
shared f16vec2 bs[2 * B_ALL];

uint rows, k_begin, k_end;

/* Eight numbers of x from (m, k) on, as they come: nothing waits for them before put(). */
void fetch_x(uint m, uint k, out vec4 a, out vec4 b)
{
        uint at = (push.rest[1] + m * push.n[4] + k) / 4;

#ifdef TRANSPOSED
        at += push.n[6] / 4;
#endif
        a = b = vec4(0.0);
        if (m < rows && k < k_end)
                a = x4[at];
        if (m < rows && k + 4 < k_end)
                b = x4[at + 1];
}

/* Eight as f16; what stands behind a row may be anything. */
uvec4 narrow_x(vec4 a, vec4 b, uint k, float scale)
{
        uvec4 places = uvec4(k, k + 1, k + 2, k + 3);

        a = mix(vec4(0.0), a * scale, lessThan(places, uvec4(k_end)));
        b = mix(vec4(0.0), b * scale, lessThan(places + 4, uvec4(k_end)));
        return uvec4(packHalf2x16(a.xy), packHalf2x16(a.zw), packHalf2x16(b.xy), packHalf2x16(b.zw));
}

/* Eight weights, along a row of W. */
uvec4 fetch_w(uint row, uint column, uint row_end, uint column_end)
{
        uvec4 eight = uvec4(0u);

        if (row >= row_end || column >= column_end)
                return eight;
#ifdef TRANSPOSED
        if (WIDE)
                return w4[push.rest[2] / 4 + ((push.rest[6] + row) * push.n[1] + column) / 8];
#else
        if (WIDE)
                return w4[push.rest[2] / 4 + ((push.rest[6] + row) * push.n[2] + column) / 8];
#endif
        [[unroll]] for (uint i = 0; i < 4; i++) {
                vec2 two = vec2(0.0);

                [[unroll]] for (uint j = 0; j < 2; j++)
                        if (column + 2 * i + j < column_end)
#ifdef TRANSPOSED
                                two[j] = dense_weight(column + 2 * i + j, row);
#else
                                two[j] = dense_weight(row, column + 2 * i + j);
#endif
                eight[i] = packHalf2x16(two);
        }
        return eight;
}

void fetch(uint m0, uint n0, uint k0, out vec4 a[4], out uvec4 b[2])
{
        uint t = gl_LocalInvocationIndex;

        [[unroll]] for (uint i = 0; i < 2; i++) {
                uint at = t + 256 * i;

                fetch_x(m0 + at / 4, k0 + at % 4 * 8, a[2 * i], a[2 * i + 1]);
#ifdef TRANSPOSED
                b[i] = fetch_w(k0 + at / 16, n0 + at % 16 * 8, k_end, push.n[1]);
#else
                b[i] = fetch_w(n0 + at / 4, k0 + at % 4 * 8, push.n[1], k_end);
#endif
        }
}

void put(uint which, uint k0, float scale, vec4 a[4], uvec4 b[2])
{
        uint t = gl_LocalInvocationIndex;

        [[unroll]] for (uint i = 0; i < 2; i++) {
                uint at = t + 256 * i;

                uvec4 eight = narrow_x(a[2 * i], a[2 * i + 1], k0 + at % 4 * 8, scale);

                [[unroll]] for (uint j = 0; j < 4; j++)
                        as_[which * A_ALL + at / 4 * PITCH + at % 4 * 4 + j] = unpackFloat2x16(eight[j]);
#ifdef TRANSPOSED
                [[unroll]] for (uint j = 0; j < 4; j++)
                        bs[which * B_ALL + at / 16 * B_PITCH + at % 16 * 4 + j] = unpackFloat2x16(b[i][j]);
#else
                [[unroll]] for (uint j = 0; j < 4; j++)
                        bs[which * B_ALL + at / 4 * B_PITCH + at % 4 * 4 + j] = unpackFloat2x16(b[i][j]);
#endif
        }
}

void store(uint m, uint n, coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator> sum, float factor)
{
        uint width = push.n[7] > 1 ? push.n[1] : push.n[3];
        uint base = push.n[7] > 1 ? gl_WorkGroupID.z * (push.n[0] * width) : push.rest[0];
        uint slot = gl_SubgroupID * 256; /* in pairs */
        bool add = (push.flags & QVF_ACCUMULATE) != 0 && push.n[7] <= 1;

#ifndef TRANSPOSED
        base += push.n[6];
#endif
        if (m + 16 <= rows && n + 16 <= push.n[1] && !add) {
                coopMatStore(sum * factor, y, base + m * width + n, width, gl_CooperativeMatrixLayoutRowMajor);
                return;
        }
        coopMatStore(sum * factor, as_, slot, 16, gl_CooperativeMatrixLayoutRowMajor);
        subgroupBarrier();
        for (uint i = gl_SubgroupInvocationID; i < 256; i += gl_SubgroupSize)
                if (m + i / 16 < rows && n + i % 16 < push.n[1]) {
                        uint at = base + (m + i / 16) * width + n + i % 16;

                        float one = uintBitsToFloat(packFloat2x16(as_[slot + i]));

                        y[at] = add ? y[at] + one : one;
                }
        subgroupBarrier();
}

void main()
{
        uint m0 = gl_WorkGroupID.y * M, n0 = gl_WorkGroupID.x * N, parts = max(push.n[7], 1u);
        uint each = (push.n[2] + parts * K - 1) / (parts * K) * K;
        uint sm = gl_SubgroupID / 4 * 64, sn = gl_SubgroupID % 4 * 32;
        float scale = push.f[2] / (LOSS_SCALED && args.loss_scale != 0.0 ? args.loss_scale : 1.0);
        coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator> sums[4][2];
        vec4 a[4];
        uvec4 b[2];
        uint which = 0;

        rows = dense_rows();
        k_begin = gl_WorkGroupID.z * each;
        k_end = min(push.n[2], k_begin + each);
        if (m0 >= rows)
                return;
        [[unroll]] for (uint i = 0; i < 4; i++)
                [[unroll]] for (uint j = 0; j < 2; j++)
                        sums[i][j] = coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator>(0.0);
        fetch(m0, n0, k_begin, a, b);
        put(0, k_begin, scale, a, b);
        barrier();
        for (uint k0 = k_begin; k0 < k_end; k0 += K) {
                if (k0 + K < k_end)
                        fetch(m0, n0, k0 + K, a, b);
                [[unroll]] for (uint k = 0; k < K; k += 16) {
                        coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseA> ma[4];
                        coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseB> mb[2];

                        [[unroll]] for (uint i = 0; i < 4; i++)
                                coopMatLoad(ma[i], as_, which * A_ALL + (sm + 16 * i) * PITCH + k / 2, PITCH,
                                                gl_CooperativeMatrixLayoutRowMajor);
                        [[unroll]] for (uint j = 0; j < 2; j++)
#ifdef TRANSPOSED
                                coopMatLoad(mb[j], bs, which * B_ALL + k * B_PITCH + (sn + 16 * j) / 2, B_PITCH,
                                                gl_CooperativeMatrixLayoutRowMajor);
#else
                                coopMatLoad(mb[j], bs, which * B_ALL + (sn + 16 * j) * B_PITCH + k / 2, B_PITCH,
                                                gl_CooperativeMatrixLayoutColumnMajor);
#endif
                        [[unroll]] for (uint i = 0; i < 4; i++)
                                [[unroll]] for (uint j = 0; j < 2; j++)
                                        sums[i][j] = coopMatMulAdd(ma[i], mb[j], sums[i][j]);
                }
                which = 1 - which;
                if (k0 + K < k_end)
                        put(which, k0 + K, scale, a, b);
                barrier();
        }
        [[unroll]] for (uint i = 0; i < 4; i++)
                [[unroll]] for (uint j = 0; j < 2; j++)
                        store(m0 + sm + 16 * i, n0 + sn + 16 * j, sums[i][j], (push.n[7] > 1 ? 1.0 : push.f[0]) / scale);
}
