/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles of attention by 16 x 16 invocations: a matrix A of 64 rows against a matrix B of 32, both SIZE wide. An
 * invocation has the scores of rows tm + 16 i of A and tn + 16 j of B, and sums of columns tn + 16 c.
 * The including shader gives tile_load(which, row, d): number d of a row of matrix `which`, 0 where there is none. */
#extension GL_EXT_control_flow_attributes : require

#define TILE_A 64u
#define TILE_B 32u
#define TILE_STEP 16u
#define TILE_COLUMNS ((SIZE + 15u) / 16u)

shared float tile_pool[TILE_STEP * 65 + TILE_STEP * 33]; /* A and B by columns, or B by rows of 33 */
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

        [[unroll]] for (uint i = 0; i < 8; i++)
                dots[i] = 0.0;
        for (uint d0 = 0; d0 < SIZE; d0 += TILE_STEP) {
                barrier();
                [[unroll]] for (uint i = 0; i < 4; i++)
                        tile_pool[t % 16 * 65 + t / 16 + 16 * i] = tile_load(a, a0 + t / 16 + 16 * i, d0 + t % 16);
                [[unroll]] for (uint i = 0; i < 2; i++)
                        tile_pool[TILE_STEP * 65 + t % 16 * 33 + t / 16 + 16 * i] =
                                        tile_load(b, b0 + t / 16 + 16 * i, d0 + t % 16);
                barrier();
                [[unroll]] for (uint d = 0; d < TILE_STEP; d++) {
                        float b0 = tile_pool[TILE_STEP * 65 + d * 33 + tile_n()];
                        float b1 = tile_pool[TILE_STEP * 65 + d * 33 + tile_n() + 16];

                        [[unroll]] for (uint i = 0; i < 4; i++) {
                                float a = tile_pool[d * 65 + tile_m() + 16 * i];

                                dots[2 * i] += a * b0;
                                dots[2 * i + 1] += a * b1;
                        }
                }
        }
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
        [[unroll]] for (uint c = 0; c < TILE_COLUMNS; c += 2) { \
                barrier(); \
                [[unroll]] for (uint i = 0; i < 4; i++) { \
                        uint at = gl_LocalInvocationIndex + 256 * i; \
\
                        tile_pool[at / 32 * 33 + at % 32] = tile_load(which, b0 + at / 32, 16 * c + at % 32); \
                } \
                barrier(); \
                for (uint b = 0; b < TILE_B; b++) { \
                        float b_0 = tile_pool[b * 33 + tile_n()], b_1 = tile_pool[b * 33 + tile_n() + 16]; \
\
                        [[unroll]] for (uint i = 0; i < 4; i++) { \
                                float weight = tile_weights[(tile_m() + 16 * i) * 33 + b]; \
\
                                sums[i * TILE_COLUMNS + c] += weight * b_0; \
                                if (c + 1 < TILE_COLUMNS) \
                                        sums[i * TILE_COLUMNS + c + 1] += weight * b_1; \
                        } \
                } \
        }
