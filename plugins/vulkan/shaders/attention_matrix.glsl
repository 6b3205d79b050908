/* SPDX-License-Identifier: Apache-2.0 */
/* What attention for training by cooperative matrices shares. A workgroup has TILE rows of one head (of queries, or of
 * keys), each of its four subgroups 16 of them; it goes over the other side STEP rows at a time. Scores of a subgroup's
 * 16 x STEP go through shared memory, since nobody may know which lane has which element of a matrix: there two lanes
 * have one row. All is f16 but sums and scores.
 * The including shader declares the buffers. */
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 128) in;
layout(constant_id = 0) const uint SIZE = 64;
layout(constant_id = 1) const uint STEP = 64;

#define TILE 64u
#define OF_LANE (STEP / 2)       /* scores of a lane: four, the next four are the neighbour's, and so on */
#define PITCH4 (SIZE / 8 + 1)    /* of a staged row of f16, in uvec4 */
#define SCORE_PITCH (STEP / 4 + 2) /* of a row of scores, in vec4: so that 8 lanes meet all banks */

#define MATRIX_A coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseA>
#define MATRIX_B coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseB>
#define MATRIX_SUM coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator>

shared vec4 scores[TILE * SCORE_PITCH];

uint lane_row() /* of the workgroup's 64 */
{
        return gl_SubgroupID * 16 + gl_SubgroupInvocationID / 2;
}

uint lane_column(uint i) /* of its score i */
{
        return i / 4 * 8 + gl_SubgroupInvocationID % 2 * 4 + i % 4;
}

vec4 lane_scores(uint i) /* its scores i to i + 3 */
{
        return scores[lane_row() * SCORE_PITCH + i / 4 * 2 + gl_SubgroupInvocationID % 2];
}

uint pack_half(float a, float b)
{
        return packHalf2x16(clamp(vec2(a, b), -65504.0, 65504.0));
}

#define LOADS(count) (((count) * (SIZE / 8) + 127) / 128) /* of an invocation, of eight numbers each */

/* Rows row0 to row0 + count of `from`, columns `column` to `column + SIZE`, on their way into registers; none from `end`
 * on. */
#define FETCH(raw, from, row0, count, end, stride, column) \
        [[unroll]] for (uint i = 0; i < LOADS(count); i++) { \
                uint at = gl_LocalInvocationIndex + 128 * i, row = (row0) + at / (SIZE / 8); \
                uint word = (row * (stride) + (column)) / 4 + at % (SIZE / 8) * 2; \
\
                raw[2 * i] = raw[2 * i + 1] = vec4(0.0); \
                if (at < (count) * (SIZE / 8) && row < (end)) { \
                        raw[2 * i] = from[word]; \
                        raw[2 * i + 1] = from[word + 1]; \
                } \
        }

/* What was fetched into shared memory, as f16. */
#define PUT(to, raw, count, factor) \
        [[unroll]] for (uint i = 0; i < LOADS(count); i++) { \
                uint at = gl_LocalInvocationIndex + 128 * i; \
                vec4 a = raw[2 * i] * (factor), b = raw[2 * i + 1] * (factor); \
\
                if (at < (count) * (SIZE / 8)) \
                        to[at / (SIZE / 8) * PITCH4 + at % (SIZE / 8)] = \
                                        uvec4(pack_half(a.x, a.y), pack_half(a.z, a.w), pack_half(b.x, b.y), pack_half(b.z, b.w)); \
        }

/* The subgroup's 16 rows of what was staged, as SIZE / 16 matrices. */
#define LOAD_OWN(to, from) \
        [[unroll]] for (uint d = 0; d < SIZE / 16; d++) \
                coopMatLoad(to[d], from, gl_SubgroupID * 16 * PITCH4 + 2 * d, PITCH4, gl_CooperativeMatrixLayoutRowMajor);

/* scores = own · otherᵀ, other: STEP staged rows. */
#define SCORES(own, other) \
        [[unroll]] for (uint n = 0; n < STEP / 16; n++) { \
                MATRIX_SUM sum = MATRIX_SUM(0.0); \
\
                [[unroll]] for (uint d = 0; d < SIZE / 16; d++) { \
                        MATRIX_B b; \
\
                        coopMatLoad(b, other, 16 * n * PITCH4 + 2 * d, PITCH4, gl_CooperativeMatrixLayoutColumnMajor); \
                        sum = coopMatMulAdd(own[d], b, sum); \
                } \
                coopMatStore(sum, scores, gl_SubgroupID * 16 * SCORE_PITCH + 4 * n, SCORE_PITCH, \
                                gl_CooperativeMatrixLayoutRowMajor); \
        } \
        subgroupMemoryBarrierShared(); \
        subgroupBarrier();

/* The lane's numbers become f16 where its scores stood. */
#define PUT_WEIGHTS(weights) \
        subgroupBarrier(); \
        [[unroll]] for (uint i = 0; i < OF_LANE; i += 4) { \
                uint at = lane_row() * SCORE_PITCH + i / 4; \
                vec2 two = uintBitsToFloat(uvec2(pack_half(weights[i], weights[i + 1]), \
                                pack_half(weights[i + 2], weights[i + 3]))); \
\
                if (gl_SubgroupInvocationID % 2 == 0) \
                        scores[at].xy = two; \
                else \
                        scores[at].zw = two; \
        } \
        subgroupMemoryBarrierShared(); \
        subgroupBarrier();

/* sums += weights · other */
#define ADD_PRODUCT(sums, other) \
        [[unroll]] for (uint n = 0; n < STEP / 16; n++) { \
                MATRIX_A a; \
\
                coopMatLoad(a, scores, gl_SubgroupID * 16 * SCORE_PITCH + 2 * n, SCORE_PITCH, \
                                gl_CooperativeMatrixLayoutRowMajor); \
                [[unroll]] for (uint d = 0; d < SIZE / 16; d++) { \
                        MATRIX_B b; \
\
                        coopMatLoad(b, other, 16 * n * PITCH4 + 2 * d, PITCH4, gl_CooperativeMatrixLayoutRowMajor); \
                        sums[d] = coopMatMulAdd(a, b, sums[d]); \
                } \
        }

/* The subgroup's sums into rows row0 + 16 · subgroup of `to`, through shared memory, times `factor`. */
#define STORE(sums, to, row0, end, stride, column, factor) \
        [[unroll]] for (uint d = 0; d < SIZE / 16; d++) { \
                subgroupBarrier(); \
                coopMatStore(sums[d], scores, gl_SubgroupID * 16 * SCORE_PITCH, SCORE_PITCH, \
                                gl_CooperativeMatrixLayoutRowMajor); \
                subgroupMemoryBarrierShared(); \
                subgroupBarrier(); \
                [[unroll]] for (uint i = 0; i < 2; i++) { \
                        uint at = gl_SubgroupInvocationID + 32 * i, row = gl_SubgroupID * 16 + at / 4; \
\
                        if ((row0) + row < (end)) \
                                to[(((row0) + row) * (stride) + (column)) / 4 + 4 * d + at % 4] = \
                                                scores[row * SCORE_PITCH + at % 4] * (factor); \
                } \
        }
