#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* As matmul_weight_backward, four places of the wide matrix by an invocation and whole vec4 of both matrices; up to three
 * products side by side. */
#extension GL_EXT_control_flow_attributes : require

#include "qvf.glsl"

layout(local_size_x_id = 1) in;
layout(constant_id = 0) const uint COLUMNS = 32; /* of four; the rest are slices of the rows */
layout(constant_id = 1) const uint INVOCATIONS = 128;

const uint SLICES = INVOCATIONS / COLUMNS;

#define MATRICES(k, first) \
        layout(set = 0, binding = first, std430) buffer weight_dw_##k { float dw_##k[]; }; \
        layout(set = 0, binding = first + 1, std430) readonly buffer weight_wide_##k { vec4 wide_##k[]; }; \
        layout(set = 0, binding = first + 2, std430) readonly buffer weight_narrow_##k { vec4 narrow_##k[]; };

MATRICES(0, 1)
MATRICES(1, 4)
MATRICES(2, 7)

shared vec4 part[INVOCATIONS * 8]; /* [slice][j][column] */

/* push.n: 0 to 2: of each product the columns of the wide matrix, from bit 20 on those of the narrow one, and in bit 31
 * whether dw's rows are the wide ones; 5: parts of the rows; f: 0 to 2 each one's factor. With one part gl_WorkGroupID.z is
 * the product, else the part of the only one. */
#define ADD_ROWS(wide, narrow) \
        for (uint r0 = begin; r0 < end; r0 += 4) \
                [[unroll]] for (uint i = 0; i < 4; i++) { \
                        uint r = min(r0 + i, end - 1); \
                        vec4 a = r0 + i < end ? wide[r * wide_step + place] : vec4(0.0); \
                        vec4 b0 = narrow[r * narrow_step + j0 / 4], b1 = narrow[r * narrow_step + j0 / 4 + 1]; \
\
                        [[unroll]] for (uint j = 0; j < 4; j++) { \
                                sum[j] += a * b0[j]; \
                                sum[4 + j] += a * b1[j]; \
                        } \
                }

#define STORE(dw) \
        [[unroll]] for (uint c = 0; c < 4; c++) { \
                uint at = (place * 4 + c) * place_step + j * j_step; \
\
                if (push.n[5] > 1) \
                        dw[gl_WorkGroupID.z * (wide_step * narrow_step * 16) + at] = all[c]; \
                else \
                        dw[at] = (push.flags & QVF_ACCUMULATE) != 0 ? dw[at] + push.f[which] * all[c] : push.f[which] * all[c]; \
        }

void main()
{
        uint part_of_rows = push.n[5] > 1 ? gl_WorkGroupID.z : 0, which = push.n[5] > 1 ? 0 : gl_WorkGroupID.z;
        uint shape = push.n[which], wide_step = (shape & 0xfffffu) / 4, narrow_step = (shape >> 20 & 0x7ffu) / 4;
        bool wide_rows = shape >> 31 != 0;
        uint place_step = wide_rows ? narrow_step * 4 : 1, j_step = wide_rows ? 1 : wide_step * 4;
        uint t = gl_LocalInvocationIndex, column = t % COLUMNS, slice = t / COLUMNS;
        uint place = gl_WorkGroupID.x * COLUMNS + column, j0 = gl_WorkGroupID.y * 8;
        uint slices = SLICES * push.n[5], rows = qvf_rows(), each = (rows + slices - 1) / slices;
        uint begin = min((part_of_rows * SLICES + slice) * each, rows), end = min(begin + each, rows);
        vec4 sum[8];

        if (gl_WorkGroupID.x * COLUMNS >= wide_step || j0 >= narrow_step * 4)
                return;
        [[unroll]] for (uint j = 0; j < 8; j++)
                sum[j] = vec4(0.0);
        if (place < wide_step) {
                if (which == 0) {
                        ADD_ROWS(wide_0, narrow_0)
                } else if (which == 1) {
                        ADD_ROWS(wide_1, narrow_1)
                } else {
                        ADD_ROWS(wide_2, narrow_2)
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
                if (which == 0) {
                        STORE(dw_0)
                } else if (which == 1) {
                        STORE(dw_1)
                } else {
                        STORE(dw_2)
                }
        }
}
