/* SPDX-License-Identifier: Apache-2.0 */
/* One row on its way through [GATE] [RMSNORM] QUANTIZE and up to three ternary matrices [and ADD], in one dispatch: every
 * workgroup makes the quantised row for itself, in shared memory, and then multiplies its own rows of the matrices.
 * Nothing between is written: the emitter sees to it that nobody looks.
 * n: 0 columns, 1 to 3 the matrices' rows, 4 epsilon, 5 and 6 the factors of ADD (floats), 7 activation of GATE. f: the
 * matrices' scales. */
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#ifdef DOT
#extension GL_EXT_integer_dot_product : require
#endif
#include "qvf.glsl"
#include "math.glsl"
#include "norm.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint P1 = 0;         /* the layout of the matrices: pack.h */
layout(constant_id = 2) const uint gates = 0;
layout(constant_id = 3) const uint normalises = 0;
layout(constant_id = 4) const uint adds = 0;
layout(constant_id = 5) const uint LANES = 8;      /* that share a row of a matrix; a power of two within a subgroup */
layout(constant_id = 6) const uint PASSES = 1;     /* rows of a matrix that a lane works on */
layout(constant_id = 7) const uint PIECES = 1;     /* fours of the row that an invocation has */

layout(set = 0, binding = 1, std430) buffer result0 { float y0[]; };
layout(set = 0, binding = 2, std430) readonly buffer matrix0 { uvec4 w0[]; };
layout(set = 0, binding = 3, std430) writeonly buffer result1 { float y1[]; };
layout(set = 0, binding = 4, std430) readonly buffer matrix1 { uvec4 w1[]; };
layout(set = 0, binding = 5, std430) writeonly buffer result2 { float y2[]; };
layout(set = 0, binding = 6, std430) readonly buffer matrix2 { uvec4 w2[]; };
layout(set = 0, binding = 7, std430) readonly buffer weight_ { float norm[]; };
layout(set = 0, binding = 8, std430) readonly buffer input_a { vec4 a[]; };
layout(set = 0, binding = 9, std430) readonly buffer input_b { vec4 b[]; };
layout(set = 0, binding = 10, std430) buffer addend { float x[]; };

#define COLUMNS_MOST 13824u
shared uint q[COLUMNS_MOST / 4u];

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

int codes_sum; /* of the whole row: weights are codes less 1 */

shared vec2 sums[32];
shared float largests[32];
shared int codes_sums[32];

/* Fills q and codes_sum; returns the row's scale. All loads come first. */
float make_row()
{
        uint own = gl_LocalInvocationID.x, fours = push.n[0] / 4;
        vec4 v[PIECES], u[PIECES], w[PIECES];
        float largest = 0.0, factor;
        norm_sum squares = norm_begin();
        int codes = 0;

        for (uint k = 0; k < PIECES; k++) {
                uint i = min(k * gl_WorkGroupSize.x + own, fours - 1), at = push.rest[6] + 4 * i;

                v[k] = a[i];
                if (gates != 0)
                        u[k] = b[i];
                if (normalises != 0)
                        w[k] = vec4(norm[at], norm[at + 1], norm[at + 2], norm[at + 3]);
        }
        for (uint k = 0; k < PIECES; k++) {
                if (gates != 0)
                        v[k] = qvf_gate(push.n[7] == 0, v[k], u[k]);
                if (k * gl_WorkGroupSize.x + own >= fours)
                        v[k] = vec4(0.0);
                if (normalises != 0)
                        norm_add(squares, v[k]);
        }
        if (normalises != 0) {
                vec2 sum = norm_end(squares), scale;

                for (uint step = 1; step < gl_SubgroupSize; step *= 2)
                        sum = norm_join(sum, subgroupShuffleXor(sum, step));
                if (subgroupElect())
                        sums[gl_SubgroupID] = sum;
                barrier();
                sum = sums[0];
                for (uint i = 1; i < gl_NumSubgroups; i++)
                        sum = norm_join(sum, sums[i]);
                scale = norm_factor(sum, float(push.n[0]), uintBitsToFloat(push.n[4]));
                for (uint k = 0; k < PIECES; k++)
                        v[k] = norm_scale(v[k], scale, w[k]);
        }
        for (uint k = 0; k < PIECES; k++) {
                vec4 size = abs(v[k]);

                largest = max(largest, max(max(size.x, size.y), max(size.z, size.w)));
        }
        largest = subgroupMax(largest);
        if (subgroupElect())
                largests[gl_SubgroupID] = largest;
        barrier();
        largest = 1e-5;
        for (uint i = 0; i < gl_NumSubgroups; i++)
                largest = max(largest, largests[i]);
        factor = qvf_divide(127.0, largest);
        for (uint k = 0; k < PIECES; k++) {
                uint i = k * gl_WorkGroupSize.x + own, four = codes_of(v[k], factor);

                if (i < fours)
                        q[i] = four;
                codes += four_products(four, 0x01010101u); /* of zeros where there is nothing */
        }
        codes = subgroupAdd(codes);
        if (subgroupElect())
                codes_sums[gl_SubgroupID] = codes;
        barrier();
        codes_sum = 0;
        for (uint i = 0; i < gl_NumSubgroups; i++)
                codes_sum += codes_sums[i];
        return qvf_divide(largest, 127.0);
}

int sixteen_of(uint word, uint j)
{
        int sum = 0;

        for (uint i = 0; i < 4; i++)
                sum += four_products(word >> 2 * i & 0x03030303u, q[4 * j + i]);
        return sum;
}

int twenty_of(uint word, uint j)
{
        uint even = word & 0x00ff00ffu, odd = word >> 8 & 0x00ff00ffu, end = push.n[0] / 4;
        int sum = 0;

        for (uint i = 0; i < 5; i++) {
                even *= 3;
                odd *= 3;
                if (5 * j + i < end)
                        sum += four_products(even >> 8 & 0x00030003u | odd & 0x03000300u, q[5 * j + i]);
                even &= 0x00ff00ffu;
                odd &= 0x00ff00ffu;
        }
        return sum;
}

int words_of(uvec4 words, uint j)
{
        if (P1 != 0)
                return twenty_of(words.x, 4 * j) + twenty_of(words.y, 4 * j + 1) + twenty_of(words.z, 4 * j + 2) +
                       twenty_of(words.w, 4 * j + 3);
        return sixteen_of(words.x, 4 * j) + sixteen_of(words.y, 4 * j + 1) + sixteen_of(words.z, 4 * j + 2) +
               sixteen_of(words.w, 4 * j + 3);
}

uvec4 load(uint part, uint at)
{
        return part == 0 ? w0[push.rest[1] / 4 + at] : part == 1 ? w1[push.rest[3] / 4 + at] : w2[push.rest[5] / 4 + at];
}

void write(uint part, uint n, float y)
{
        if (adds != 0)
                y0[n] = qvf_weighted_sum(uintBitsToFloat(push.n[5]), x[n], uintBitsToFloat(push.n[6]), y);
        else if (part == 0)
                y0[n] = y;
        else if (part == 1)
                y1[n] = y;
        else
                y2[n] = y;
}

void main()
{
        uint each = gl_WorkGroupSize.x / LANES, group = gl_WorkGroupID.x, part = 0, of_row;
        uint lane = gl_LocalInvocationID.x % LANES, rows, first, row0;
        uvec4 ahead;

        if (qvf_rows() == 0)
                return;
        while (part < 2 && group >= (push.n[1 + part] + each * PASSES - 1) / (each * PASSES)) {
                group -= (push.n[1 + part] + each * PASSES - 1) / (each * PASSES);
                part++;
        }
        rows = push.n[1 + part];
        of_row = P1 != 0 ? (push.n[0] + 79) / 80 : push.n[0] / 64;
        first = group * each * PASSES + gl_LocalInvocationID.x / LANES;
        row0 = min(first, rows - 1) * of_row;
        ahead = load(part, row0 + min(lane, of_row - 1)); /* on its way while the row is made */

        float row_scale = make_row();

        for (uint pass = 0; pass < PASSES; pass++) {
                uint row = first + pass * each;
                int sum = 0;

                if (lane < of_row)
                        sum = words_of(pass == 0 ? ahead : load(part, min(row, rows - 1) * of_row + lane), lane);
                for (uint j = lane + LANES; j < of_row; j += LANES)
                        sum += words_of(load(part, min(row, rows - 1) * of_row + j), j);
                for (uint step = LANES / 2; step > 0; step /= 2)
                        sum += subgroupShuffleXor(sum, step);
                if (lane == 0 && row < rows)
                        write(part, row, qvf_scale_sum(part == 0 ? push.f[0] : part == 1 ? push.f[1] : push.f[2], row_scale,
                                sum - codes_sum));
        }
}
