/* SPDX-License-Identifier: Apache-2.0 */
/* A row on its way through [GATE] [RMSNORM] QUANTIZE, made by one workgroup in shared memory, and its products with rows
 * of ternary weights: what decode.glsl and walk.glsl share. PIECES: fours of the row that an invocation has; P1: the layout
 * of the matrices (pack.h). */
#ifdef DOT
#extension GL_EXT_integer_dot_product : require
#endif

#extension GL_EXT_control_flow_attributes : require
#include "norm.glsl"

#define COLUMNS_MOST 13824u
/* Lanes side by side work on fours of weights side by side, each of which meets CODES words of codes: these stand
 * transposed, so that lanes read neighbours. */
#define CODES (P1 != 0 ? 20u : 16u)
shared uint q[COLUMNS_MOST / 4u + 64u];
uint pitch; /* odd: writing is spread over the banks too */
shared vec2 row_sums[128]; /* of subgroups, pairs */
shared uint row_largest;    /* bits of a float that is not negative */
shared int row_codes;
int codes_sum; /* of the whole row: weights are codes less 1 */

struct row_work { /* what is to be done with a row of `columns` numbers */
        uint columns;
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
        uint own = gl_LocalInvocationID.x, fours = work.columns / 4;
        float largest = 0.0, factor;
        norm_sum squares = norm_begin();
        int codes = 0;
        uint bits;

        pitch = words_of_row(work.columns) | 1u;
        if (own == 0u) {
                row_largest = floatBitsToUint(1e-5);
                row_codes = 0;
        }
        for (uint k = 0; k < PIECES; k++) {
                if (work.gates)
                        v[k] = gate_four(work.silu, v[k], u[k]);
                if (k * gl_WorkGroupSize.x + own >= fours)
                        v[k] = vec4(0.0);
                if (work.normalises)
                        norm_add(squares, v[k]);
        }
        if (work.normalises) {
                vec2 sum = norm_end(squares), scale;

                for (uint step = 1; step < gl_SubgroupSize; step *= 2)
                        sum = qvf_pair_add(sum, subgroupShuffleXor(sum, step));
                if (subgroupElect())
                        row_sums[gl_SubgroupID] = sum;
                barrier();
                sum = vec2(0.0);
                for (uint i = gl_SubgroupInvocationID; i < gl_NumSubgroups; i += gl_SubgroupSize)
                        sum = qvf_pair_add(sum, row_sums[i]);
                for (uint step = 1; step < gl_SubgroupSize; step *= 2)
                        sum = qvf_pair_add(sum, subgroupShuffleXor(sum, step));
                scale = norm_factor(sum, float(work.columns), work.epsilon);
                for (uint k = 0; k < PIECES; k++)
                        v[k] = norm_scale(v[k], scale, w[k]);
        } else {
                barrier();
        }
        for (uint k = 0; k < PIECES; k++) {
                vec4 size = abs(v[k]);

                largest = max(largest, max(max(size.x, size.y), max(size.z, size.w)));
        }
        bits = subgroupMax(floatBitsToUint(largest)); /* the larger the bits the larger the number, without a sign */
        if (subgroupElect())
                atomicMax(row_largest, bits);
        barrier();
        largest = uintBitsToFloat(row_largest);
        factor = qvf_divide_inside(127.0, largest);
        for (uint k = 0; k < PIECES; k++) {
                uint i = k * gl_WorkGroupSize.x + own, four = codes_of(v[k], factor);

                if (i < fours)
                        q[i % CODES * pitch + i / CODES] = four;
                codes += four_products(four, 0x01010101u); /* of zeros where there is nothing */
        }
        codes = subgroupAdd(codes);
        if (subgroupElect())
                atomicAdd(row_codes, codes);
        barrier();
        codes_sum = row_codes;
        return qvf_divide_inside(largest, 127.0);
}

/* Word c of a four meets words CODES / 4 · c and on of its column in q. */
int sixteen_of(uint word, uint at)
{
        int sum = 0;

        [[unroll]] for (uint i = 0; i < 4; i++)
                sum += four_products(word >> 2 * i & 0x03030303u, q[at + i * pitch]);
        return sum;
}

/* `left`: words of codes from here to the row's end. */
int twenty_of(uint word, uint at, uint left)
{
        uint even = word & 0x00ff00ffu, odd = word >> 8 & 0x00ff00ffu;
        int sum = 0;

        [[unroll]] for (uint i = 0; i < 5; i++) {
                even *= 3;
                odd *= 3;
                if (i < left)
                        sum += four_products(even >> 8 & 0x00030003u | odd & 0x03000300u, q[at + i * pitch]);
                even &= 0x00ff00ffu;
                odd &= 0x00ff00ffu;
        }
        return sum;
}

/* Of four j of a row of weights with the row in q, of so many columns. */
int words_of(uvec4 words, uint j, uint columns)
{
        uint end = columns / 4, first = 20 * j;
        int sum = 0;

        [[unroll]] for (uint c = 0; c < 4; c++)
                sum += P1 != 0 ? twenty_of(words[c], j + 5 * c * pitch, end - min(end, first + 5 * c))
                               : sixteen_of(words[c], j + 4 * c * pitch);
        return sum;
}
