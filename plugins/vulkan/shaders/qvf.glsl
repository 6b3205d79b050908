/* SPDX-License-Identifier: Apache-2.0 */
/* What every shader includes: the run's arguments, the push constants, rows, and exact arithmetic. */
#ifndef QVF_GLSL
#define QVF_GLSL

#define QVF_ROWS_ALL 0u
#define QVF_ROWS_INPUT 1u
#define QVF_ACCUMULATE 1u

/* Uniform, so that the compiler sees that all take the same way where it depends on these. */
layout(set = 0, binding = 0, std140) uniform qvf_args
{
        uint size, rows, output_rows, step;
        uint seed_low, seed_high;
        float learning_rate, clip, loss_scale;
} args;

layout(push_constant, std430) uniform qvf_push
{
        uint rows_from, rows, row0, flags;
        uint n[8];
        float f[4];
        uint rest[8];
} push;

/* R: the rows in use. */
uint qvf_rows()
{
        return push.rows_from == QVF_ROWS_ALL ? push.rows
                : min(push.rows, push.rows_from == QVF_ROWS_INPUT ? args.rows : args.output_rows);
}

/* Workgroups are counted in two dimensions where one would be too many. */
uint qvf_group()
{
        return gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x;
}

float qvf_f16(uint bits)
{
        return unpackHalf2x16(bits).x;
}

#include "exact.glsl"

#endif
