/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles of attention by 16 x 16 invocations: a matrix A of 64 rows against a matrix B of 32, both SIZE wide. An
 * invocation has the scores of rows tm + 16 i of A and tn + 16 j of B, and sums of columns tn + 16 c.
 * The including shader gives tile_load(which, row, d): number d of a row of matrix `which`, 0 where there is none; with
 * TILE_EXACT sums come in the order of docs/arithmetic.md. */
#extension GL_EXT_control_flow_attributes : require

#ifdef TILE_EXACT
#define TILE_CHAINS 2u /* of even columns and of odd ones */
#define TILE_ADD(sum, a, b) sum = qvf_fma(a, b, sum)
#define TILE_START(sum) 0.0 /* a block's sum begins anew, */
#define TILE_FINISH(sum, i, block) qvf_fma(sum, tile_shrink[i], block) /* then is added */
float tile_shrink[4]; /* by what the sums of the rows shrink before */
#else
#define TILE_CHAINS 1u
#define TILE_ADD(sum, a, b) sum += a * b
#define TILE_START(sum) sum
#define TILE_FINISH(sum, i, block) block
#endif

#define TILE_A 64u
#define TILE_B 32u
#define TILE_COLUMNS ((SIZE + 15u) / 16u)

layout(constant_id = 5) const uint TILE_STEP = 16; /* columns that come into shared memory at once: 16, 32 or 64 */

const uint TILE_WIDE = 2 * TILE_STEP; /* likewise, of B alone */

shared float tile_pool[TILE_STEP * 65 + TILE_STEP * 33]; /* A and B by columns, or B by rows of TILE_WIDE and one */
shared float tile_weights[TILE_A * 33];

uint tile_m()
{
        return gl_LocalInvocationIndex / 16;
}

uint tile_n()
{
        return gl_LocalInvocationIndex % 16;
}

/* dots[2 i + j] = A[a0 + tm + 16 i] · B[b0 + tn + 16 j] */
void tile_product(uint a, uint b, uint a0, uint b0, out float dots[8])
{
        uint t = gl_LocalInvocationIndex;
        float sums[8 * TILE_CHAINS];

        [[unroll]] for (uint i = 0; i < 8 * TILE_CHAINS; i++)
                sums[i] = 0.0;
        for (uint d0 = 0; d0 < SIZE; d0 += TILE_STEP) {
                barrier();
                [[unroll]] for (uint i = 0; i < TILE_STEP / 4; i++) {
                        uint d = (t + 256 * i) % TILE_STEP, row = (t + 256 * i) / TILE_STEP;

                        tile_pool[d * 65 + row] = tile_load(a, a0 + row, d0 + d);
                }
                [[unroll]] for (uint i = 0; i < TILE_STEP / 8; i++) {
                        uint d = (t + 256 * i) % TILE_STEP, row = (t + 256 * i) / TILE_STEP;

                        tile_pool[TILE_STEP * 65 + d * 33 + row] = tile_load(b, b0 + row, d0 + d);
                }
                barrier();
                for (uint d0 = 0; d0 < TILE_STEP; d0 += TILE_CHAINS)
                        [[unroll]] for (uint chain = 0; chain < TILE_CHAINS; chain++) {
                                uint d = d0 + chain;
                                float b0 = tile_pool[TILE_STEP * 65 + d * 33 + tile_n()];
                                float b1 = tile_pool[TILE_STEP * 65 + d * 33 + tile_n() + 16];

                                [[unroll]] for (uint i = 0; i < 4; i++) {
                                        float a = tile_pool[d * 65 + tile_m() + 16 * i];

                                        TILE_ADD(sums[8 * chain + 2 * i], a, b0);
                                        TILE_ADD(sums[8 * chain + 2 * i + 1], a, b1);
                                }
                        }
        }
        [[unroll]] for (uint i = 0; i < 8; i++)
                dots[i] = TILE_CHAINS == 1 ? sums[i] : sums[i] + sums[8 * (TILE_CHAINS - 1) + i];
}

/* What the invocation has of the 64 x 32 weights, for all to see. */
void tile_share(float weights[8])
{
        barrier();
        [[unroll]] for (uint i = 0; i < 4; i++)
                [[unroll]] for (uint j = 0; j < 2; j++)
                        tile_weights[(tile_m() + 16 * i) * 33 + tile_n() + 16 * j] = weights[2 * i + j];
}

/* sums[i][c] += Σ_b weights[tm + 16 i][b] · B[b0 + b][tn + 16 c] */
#define TILE_ACCUMULATE(sums, which, b0) \
        [[unroll]] for (uint c0 = 0; c0 < TILE_COLUMNS; c0 += TILE_WIDE / 16) { \
                float block[TILE_WIDE / 4]; \
\
                [[unroll]] for (uint c = 0; c < TILE_WIDE / 16; c++) \
                        [[unroll]] for (uint i = 0; i < 4; i++) \
                                if (c0 + c < TILE_COLUMNS) \
                                        block[i * (TILE_WIDE / 16) + c] = TILE_START(sums[i * TILE_COLUMNS + c0 + c]); \
                barrier(); \
                [[unroll]] for (uint i = 0; i < TILE_WIDE / 8; i++) { \
                        uint d = (gl_LocalInvocationIndex + 256 * i) % TILE_WIDE, \
                             row = (gl_LocalInvocationIndex + 256 * i) / TILE_WIDE; \
\
                        tile_pool[row * (TILE_WIDE + 1) + d] = tile_load(which, b0 + row, 16 * c0 + d); \
                } \
                barrier(); \
                for (uint b = 0; b < TILE_B; b++) { \
                        float some[4]; \
\
                        [[unroll]] for (uint i = 0; i < 4; i++) \
                                some[i] = tile_weights[(tile_m() + 16 * i) * 33 + b]; \
                        [[unroll]] for (uint c = 0; c < TILE_WIDE / 16; c++) { \
                                float one = tile_pool[b * (TILE_WIDE + 1) + tile_n() + 16 * c]; \
\
                                if (c0 + c < TILE_COLUMNS) \
                                        [[unroll]] for (uint i = 0; i < 4; i++) \
                                                TILE_ADD(block[i * (TILE_WIDE / 16) + c], some[i], one); \
                        } \
                } \
                [[unroll]] for (uint c = 0; c < TILE_WIDE / 16; c++) \
                        [[unroll]] for (uint i = 0; i < 4; i++) \
                                if (c0 + c < TILE_COLUMNS) \
                                        sums[i * TILE_COLUMNS + c0 + c] = TILE_FINISH(sums[i * TILE_COLUMNS + c0 + c], \
                                                        i, block[i * (TILE_WIDE / 16) + c]); \
        }
