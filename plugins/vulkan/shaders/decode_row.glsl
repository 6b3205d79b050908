/* SPDX-License-Identifier: Apache-2.0 */
/* A row on its way through [GATE] [RMSNORM] QUANTIZE, made by one workgroup in shared memory, and its products with rows
 * of ternary weights: what decode.glsl and walk.glsl share. PIECES: fours of the row that an invocation has; P1: the layout
 * of the matrices (pack.h). */
#ifdef DOT
#extension GL_EXT_integer_dot_product : require
#endif

#extension GL_EXT_control_flow_attributes : require
#include "norm.glsl"

/* Lanes side by side work on fours of weights side by side, each of which meets CODES words of codes: fours of these stand
 * transposed, so that lanes read neighbours. */
#define CODES (P1 != 0 ? 20u : 16u)
#define PITCH (P1 != 0 ? 173u : 217u) /* of the longest row, and odd: writing is spread over the banks too */
shared uvec4 q[4u * 217u];
/* What the subgroups found. Each is read between two barriers before the one that it is written behind again. */
shared vec2 row_sums[128];   /* pairs */
shared uint row_maxima[128]; /* bits of floats that are not negative */
shared int row_codes[128];
int codes_sum; /* of the whole row: weights are codes less 1 */

struct row_work { /* what is to be done with a row of `columns` numbers */
        uint columns;
        float inverse; /* 1 / columns */
        bool gates, silu, normalises;
        float epsilon;
};

int four_products(uint u, uint v)
{
#ifdef DOT
        return dotPacked4x8EXT(int(u), int(v));
#else
        ivec4 s = bitfieldExtract(ivec4(int(u)) << ivec4(24, 16, 8, 0), 24, 8);
        ivec4 t = bitfieldExtract(ivec4(int(v)) << ivec4(24, 16, 8, 0), 24, 8);

        return s.x * t.x + s.y * t.y + s.z * t.z + s.w * t.w;
#endif
}

uint codes_of(vec4 numbers, float factor)
{
        precise vec4 scaled = numbers * factor;
        ivec4 code = ivec4(clamp(roundEven(scaled), -128.0, 127.0)) & 255;

        return uint(code.x | code.y << 8 | code.z << 16 | code.w << 24);
}

vec4 gate_four(bool silu, vec4 g, vec4 u)
{
        return vec4(qvf_gate(silu, g.x, u.x), qvf_gate(silu, g.y, u.y), qvf_gate(silu, g.z, u.z), qvf_gate(silu, g.w, u.w));
}

uint words_of_row(uint columns)
{
        return P1 != 0 ? (columns + 79) / 80 : columns / 64;
}

/* v: the row's fours i = k · invocations + own; u: what gates it; w: weights of the norm. Fills q and codes_sum; returns
 * the row's scale. */
float make_row(row_work work, vec4 v[PIECES], vec4 u[PIECES], vec4 w[PIECES])
{
        uint own = gl_LocalInvocationID.x, threads = gl_WorkGroupSize.x, fours = work.columns / 4;
        uint subgroups = threads / gl_SubgroupSize, together = 2u << findMSB(max(subgroups, 2u) - 1u), bits;
        float largest = 0.0, factor;
        int codes = 0;

        for (uint k = 0; k < PIECES && k * threads < fours; k++) {
                if (work.gates)
                        v[k] = gate_four(work.silu, v[k], u[k]);
                if (k * threads + own >= fours)
                        v[k] = vec4(0.0);
        }
        if (work.normalises) {
                uint lane = gl_SubgroupInvocationID % together;
                norm_sum squares = norm_begin();
                vec2 sum, scale;

                for (uint k = 0; k < PIECES && k * threads < fours; k++)
                        norm_add(squares, v[k]);
                sum = norm_end(squares);
                for (uint step = 1; step < gl_SubgroupSize; step *= 2)
                        sum = qvf_pair_add(sum, subgroupShuffleXor(sum, step));
                if (gl_SubgroupInvocationID == 0u)
                        row_sums[gl_SubgroupID] = sum;
                barrier();
                sum = lane < subgroups ? row_sums[lane] : vec2(0.0);
                for (uint i = gl_SubgroupInvocationID + gl_SubgroupSize; i < subgroups; i += gl_SubgroupSize)
                        sum = qvf_pair_add(sum, row_sums[i]);
                for (uint step = 1; step < min(gl_SubgroupSize, together); step *= 2)
                        sum = qvf_pair_add(sum, subgroupShuffleXor(sum, step));
                scale = norm_factor(sum, float(work.columns), work.inverse, work.epsilon);
                for (uint k = 0; k < PIECES && k * threads < fours; k++)
                        v[k] = norm_scale(v[k], scale, w[k]);
        }
        for (uint k = 0; k < PIECES && k * threads < fours; k++) {
                vec4 size = abs(v[k]);

                largest = max(largest, max(max(size.x, size.y), max(size.z, size.w)));
        }
        bits = subgroupMax(floatBitsToUint(largest)); /* the larger the bits the larger the number, without a sign */
        if (gl_SubgroupInvocationID == 0u)
                row_maxima[gl_SubgroupID] = bits;
        barrier();
        bits = floatBitsToUint(1e-5);
        for (uint i = 0; i < subgroups; i++)
                bits = max(bits, row_maxima[i]);
        largest = uintBitsToFloat(bits);
        factor = qvf_divide_inside(127.0, largest);
        for (uint k = 0; k < PIECES && k * threads < fours; k++) {
                uint i = k * threads + own, four = codes_of(v[k], factor);

                if (i < fours)
                        q[i % CODES / 4u * PITCH + i / CODES][i % 4u] = four;
                codes += four_products(four, 0x01010101u); /* of zeros where there is nothing */
        }
        codes = subgroupAdd(codes);
        if (gl_SubgroupInvocationID == 0u)
                row_codes[gl_SubgroupID] = codes;
        barrier();
        codes_sum = 0;
        for (uint i = 0; i < subgroups; i++)
                codes_sum += row_codes[i];
        return qvf_divide_inside(largest, 127.0);
}

/* Of four j of a row of weights with the row in q, of so many columns. Word c of the four meets words CODES / 4 · c and on
 * of its column in q. */
int sixteens_of(uvec4 words, uint j)
{
        ivec3 sums = ivec3(0); /* codes where they stand: once, 4 and 16 times what they are */

        [[unroll]] for (uint c = 0; c < 4; c++) {
                uvec4 codes = q[c * PITCH + j];

                sums.x += four_products(words[c] & 0x03030303u, codes.x) + four_products(words[c] >> 6 & 0x03030303u, codes.w);
                sums.y += four_products(words[c] & 0x0c0c0c0cu, codes.y);
                sums.z += four_products(words[c] & 0x30303030u, codes.z);
        }
        return sums.x + (sums.y >> 2) + (sums.z >> 4);
}

int twenties_of(uvec4 words, uint j, uint columns)
{
        uint end = columns / 4, first = 20 * j;
        uvec4 codes[5];
        int sum = 0;

        [[unroll]] for (uint i = 0; i < 5; i++)
                codes[i] = q[i * PITCH + j];
        [[unroll]] for (uint c = 0; c < 4; c++) {
                uint even = words[c] & 0x00ff00ffu, odd = words[c] >> 8 & 0x00ff00ffu;

                [[unroll]] for (uint i = 0; i < 5; i++) {
                        uint n = 5 * c + i;

                        even *= 3;
                        odd *= 3;
                        if (first + n < end)
                                sum += four_products(even >> 8 & 0x00030003u | odd & 0x03000300u, codes[n / 4][n % 4]);
                        even &= 0x00ff00ffu;
                        odd &= 0x00ff00ffu;
                }
        }
        return sum;
}

int words_of(uvec4 words, uint j, uint columns)
{
        return P1 != 0 ? twenties_of(words, j, columns) : sixteens_of(words, j);
}
