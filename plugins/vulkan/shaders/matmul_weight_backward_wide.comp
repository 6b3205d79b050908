#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* As matmul_weight_backward, four places of the wide matrix by an invocation and whole vec4 of both matrices. */
#extension GL_EXT_control_flow_attributes : require

#include "qvf.glsl"

layout(local_size_x_id = 1) in;
layout(constant_id = 0) const uint COLUMNS = 32; /* of four; the rest are slices of the rows */
layout(constant_id = 1) const uint INVOCATIONS = 128;

const uint SLICES = INVOCATIONS / COLUMNS;

layout(set = 0, binding = 1, std430) buffer weight_dw
{
        float dw[];
};
layout(set = 0, binding = 2, std430) readonly buffer weight_wide
{
        vec4 wide[];
};
layout(set = 0, binding = 3, std430) readonly buffer weight_narrow
{
        vec4 narrow[];
};

shared vec4 part[INVOCATIONS * 8]; /* [slice][j][column] */

void main()
{
        uint t = gl_LocalInvocationIndex, column = t % COLUMNS, slice = t / COLUMNS;
        uint place = gl_WorkGroupID.x * COLUMNS + column, j0 = gl_WorkGroupID.y * 8;
        uint slices = SLICES * push.n[5], rows = qvf_rows(), each = (rows + slices - 1) / slices;
        uint begin = min((gl_WorkGroupID.z * SLICES + slice) * each, rows), end = min(begin + each, rows);
        uint wide_step = push.n[0] / 4, narrow_step = push.n[1] / 4;
        vec4 sum[8];

        [[unroll]] for (uint j = 0; j < 8; j++)
                sum[j] = vec4(0.0);
        if (place < wide_step)
                for (uint r0 = begin; r0 < end; r0 += 4)
                        [[unroll]] for (uint i = 0; i < 4; i++) {
                                uint r = min(r0 + i, end - 1);
                                vec4 a = r0 + i < end ? wide[r * wide_step + place] : vec4(0.0);
                                vec4 b0 = narrow[r * narrow_step + j0 / 4], b1 = narrow[r * narrow_step + j0 / 4 + 1];

                                [[unroll]] for (uint j = 0; j < 4; j++) {
                                        sum[j] += a * b0[j];
                                        sum[4 + j] += a * b1[j];
                                }
                        }
        [[unroll]] for (uint j = 0; j < 8; j++)
                part[(slice * 8 + j) * COLUMNS + column] = sum[j];
        barrier();
        for (uint i = t; i < 8 * COLUMNS; i += INVOCATIONS) {
                uint j = j0 + i / COLUMNS;
                vec4 all = part[i];

                [[unroll]] for (uint s = 1; s < SLICES; s++)
                        all += part[i + s * 8 * COLUMNS];
                place = gl_WorkGroupID.x * COLUMNS + i % COLUMNS;
                if (place >= wide_step)
                        continue;
                for (uint c = 0; c < 4; c++) {
                        uint at = (place * 4 + c) * push.n[2] + j * push.n[3];

                        if (push.n[5] > 1)
                                dw[gl_WorkGroupID.z * (push.n[0] * push.n[1]) + at] = all[c];
                        else
                                dw[at] = (push.flags & QVF_ACCUMULATE) != 0 ? dw[at] + push.f[0] * all[c]
                                                                            : push.f[0] * all[c];
                }
        }
}
