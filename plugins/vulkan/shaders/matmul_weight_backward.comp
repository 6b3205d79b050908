#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* dW[n][c] (+)= f0 · Σ_r dy[r][n] x[r][c]. An invocation has one place of the wider of n and c and JB of the narrower, and
 * sums up over its slice of the rows; the SLICES slices of a workgroup are added in shared memory, those of several
 * workgroups (push.n[5] > 1) stand in the parts that matmul_weight_combine adds.
 * n: 0 columns of the wide matrix, 1 of the narrow one, 2 and 3 distance of two wide and two narrow places in dW, 4 and 7
 * places that are wanted of a row of each, 5 parts of the rows, 6 rows, which are bound from push.row0 on. */
#include "qvf.glsl"

layout(local_size_x_id = 2) in;
layout(constant_id = 0) const uint COLUMNS = 32;
layout(constant_id = 1) const uint SLICES = 8;
layout(constant_id = 2) const uint THREADS = 256; /* COLUMNS · SLICES */
layout(constant_id = 3) const uint JB = 8;

layout(set = 0, binding = 1, std430) buffer weight_dw
{
        float dw[];
};
layout(set = 0, binding = 2, std430) readonly buffer weight_wide
{
        float wide[];
};
layout(set = 0, binding = 3, std430) readonly buffer weight_narrow
{
        float narrow[];
};

shared float part[THREADS * JB]; /* [slice][j][column] */

void main()
{
        uint t = gl_LocalInvocationIndex, column = t % COLUMNS, slice = t / COLUMNS;
        uint place = gl_WorkGroupID.x * COLUMNS + column, j0 = gl_WorkGroupID.y * JB;
        uint slices = SLICES * push.n[5], all = qvf_rows(), rows = min(all - min(all, push.row0), push.n[6]);
        uint each = (rows + slices - 1) / slices;
        uint begin = min((gl_WorkGroupID.z * SLICES + slice) * each, rows), end = min(begin + each, rows);
        float sum[JB];

        for (uint j = 0; j < JB; j++)
                sum[j] = 0.0;
        if (place < push.n[4])
                for (uint r = begin; r < end; r++) {
                        float a = wide[push.rest[1] + r * push.n[0] + place];

                        for (uint j = 0; j < JB; j++)
                                sum[j] += a * narrow[push.rest[2] + r * push.n[1] + min(j0 + j, push.n[7] - 1)];
                }
        for (uint j = 0; j < JB; j++)
                part[(slice * JB + j) * COLUMNS + column] = sum[j];
        for (uint half_of = SLICES / 2; half_of > 0; half_of /= 2) {
                barrier();
                for (uint i = t; i < half_of * JB * COLUMNS; i += THREADS)
                        part[i] += part[i + half_of * JB * COLUMNS];
        }
        barrier();
        for (uint i = t; i < JB * COLUMNS; i += THREADS) {
                uint j = j0 + i / COLUMNS, at;

                place = gl_WorkGroupID.x * COLUMNS + i % COLUMNS;
                if (j >= push.n[7] || place >= push.n[4])
                        continue;
                at = push.rest[0] + place * push.n[2] + j * push.n[3];
                if (push.n[5] > 1)
                        dw[gl_WorkGroupID.z * (push.n[0] * push.n[1]) + at] = part[i];
                else
                        dw[at] = (push.flags & QVF_ACCUMULATE) != 0 ? dw[at] + push.f[0] * part[i]
                                                                    : push.f[0] * part[i];
        }
}
