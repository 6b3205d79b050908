/* SPDX-License-Identifier: Apache-2.0 */
/* What every shader includes: the run's arguments, the push constants, rows, and exact arithmetic. */
#ifndef QVF_GLSL
#define QVF_GLSL

#define QVF_ROWS_ALL 0u
#define QVF_ROWS_INPUT 1u
#define QVF_ACCUMULATE 1u

layout(set = 0, binding = 0, std430) readonly buffer qvf_args
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

/* a · b = high + low exactly (Dekker), without trusting fma. */
vec2 qvf_two_product(float a, float b)
{
        precise float p = a * b;
        precise float ta = 4097.0 * a, ah = ta - (ta - a), al = a - ah;
        precise float tb = 4097.0 * b, bh = tb - (tb - b), bl = b - bh;
        precise float low = ((ah * bh - p) + ah * bl + al * bh) + al * bl;

        return vec2(p, low);
}

/* factor · sum, rounded once, |sum| < 2²⁴; factor is scale · row_scale by qvf_two_product(). */
float qvf_scale_sum_by(vec2 factor, int sum)
{
        vec2 product = qvf_two_product(factor.x, float(sum));
        precise float y = product.x + (product.y + factor.y * float(sum));

        return y;
}

/* scale · row_scale · sum, rounded once, |sum| < 2²⁴. */
float qvf_scale_sum(float scale, float row_scale, int sum)
{
        return qvf_scale_sum_by(qvf_two_product(scale, row_scale), sum);
}

/* a - q · b, exact where q is close to a / b. */
float qvf_remainder(float a, float q, float b)
{
        vec2 p = qvf_two_product(q, b);
        precise float rest = (a - p.x) - p.y;

        return rest;
}

/* a / b correctly rounded, for positive normal numbers with a normal quotient: a driver's own division may be off by
 * two units in the last place, and a quantised integer with it. */
float qvf_divide(float a, float b)
{
        precise float near = a / b;
        precise float q = near + qvf_remainder(a, near, b) / b; /* right but for ties that are none */
        float rest = qvf_remainder(a, q, b);
        float other = uintBitsToFloat(floatBitsToUint(q) + (rest < 0.0 ? 0xffffffffu : 1u));

        return abs(qvf_remainder(a, other, b)) < abs(rest) ? other : q;
}

#endif
