/* SPDX-License-Identifier: Apache-2.0 */
/* One row on its way through [GATE] [RMSNORM] QUANTIZE and up to three ternary matrices [and ADD], in one dispatch: every
 * workgroup makes the quantised row for itself, in shared memory, and then multiplies its own rows of the matrices.
 * Nothing between is written: the emitter sees to it that nobody looks.
 * n: 0 columns, 1 to 3 the matrices' rows, 4 epsilon, 5 and 6 the factors of ADD (floats), 7 activation of GATE. f: the
 * matrices' scales. */
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "qvf.glsl"
#include "math.glsl"

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

#include "decode_row.glsl"

/* All loads come first. */
float load_row()
{
        row_work work = row_work(push.n[0], 1.0 / float(push.n[0]), gates != 0, push.n[7] == 0, normalises != 0, uintBitsToFloat(push.n[4]));
        vec4 v[PIECES], u[PIECES], w[PIECES];

        for (uint k = 0; k < PIECES; k++) {
                uint i = min(k * gl_WorkGroupSize.x + gl_LocalInvocationID.x, push.n[0] / 4 - 1), at = push.rest[6] + 4 * i;

                v[k] = a[i];
                if (gates != 0)
                        u[k] = b[i];
                if (normalises != 0)
                        w[k] = vec4(norm[at], norm[at + 1], norm[at + 2], norm[at + 3]);
        }
        return make_row(work, v, u, w);
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
        of_row = words_of_row(push.n[0]);
        first = group * each * PASSES + gl_LocalInvocationID.x / LANES;
        row0 = min(first, rows - 1) * of_row;
        ahead = load(part, row0 + min(lane, of_row - 1)); /* on its way while the row is made */

        float row_scale = load_row();

        for (uint pass = 0; pass < PASSES; pass++) {
                uint row = first + pass * each;
                int sum = 0;

                if (lane < of_row)
                        sum = words_of(pass == 0 ? ahead : load(part, min(row, rows - 1) * of_row + lane), lane, push.n[0]);
                for (uint j = lane + LANES; j < of_row; j += LANES)
                        sum += words_of(load(part, min(row, rows - 1) * of_row + j), j, push.n[0]);
                for (uint step = LANES / 2; step > 0; step /= 2)
                        sum += subgroupShuffleXor(sum, step);
                if (lane == 0 && row < rows)
                        write(part, row, qvf_scale_sum(part == 0 ? push.f[0] : part == 1 ? push.f[1] : push.f[2], row_scale,
                                sum - codes_sum));
        }
}
