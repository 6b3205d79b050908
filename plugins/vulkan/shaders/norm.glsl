/* SPDX-License-Identifier: Apache-2.0 */
/* RMSNORM as if in double, rounded once: sums of squares, their root and the products are pairs of floats. Nothing here is in
 * loops: what is unrolled forgets `precise`. */
#ifndef QVF_NORM_GLSL
#define QVF_NORM_GLSL

/* Of pairs whose second halves are small: what the sum of the first ones loses is added to those. Sums of many take one step for
 * each, as the rest is done beside. */
vec2 norm_join(vec2 a, vec2 b)
{
        vec2 sum = qvf_two_sum(a.x, b.x);
        precise float low = sum.y + (a.y + b.y);

        return vec2(sum.x, low);
}

vec2 norm_square(float x)
{
        return qvf_pair_of(x, x);
}

/* A sum of squares in the making, of four columns side by side so that none waits for the other. */
struct norm_sum {
        vec2 x, y, z, w;
};

norm_sum norm_begin()
{
        return norm_sum(vec2(0.0), vec2(0.0), vec2(0.0), vec2(0.0));
}

void norm_add(inout norm_sum sum, vec4 numbers)
{
        sum.x = norm_join(sum.x, norm_square(numbers.x));
        sum.y = norm_join(sum.y, norm_square(numbers.y));
        sum.z = norm_join(sum.z, norm_square(numbers.z));
        sum.w = norm_join(sum.w, norm_square(numbers.w));
}

vec2 norm_end(norm_sum sum)
{
        return norm_join(norm_join(sum.x, sum.y), norm_join(sum.z, sum.w));
}

/* 1 / sqrt(sum / columns + epsilon), inverse is 1 / columns: what the device finds, and one step of Newton on what that is off. */
vec2 norm_factor(vec2 sum, float columns, float inverse, float epsilon)
{
        precise float near = sum.x * inverse;
        precise float rest = (qvf_fma(-near, columns, sum.x) + sum.y) * inverse;
        vec2 with_epsilon = qvf_two_sum(near, epsilon);
        precise float mean_low = with_epsilon.y + rest;
        vec2 mean = qvf_quick_two_sum(with_epsilon.x, mean_low);
        float root = inversesqrt(mean.x);
        vec2 square = qvf_pair_of(root, root), whole = qvf_pair_of(mean.x, square.x);
        precise float whole_low = whole.y + (mean.x * square.y + mean.y * square.x);
        precise float off = (1.0 - whole.x) - whole_low, more = root * qvf_fma(0.375 * off, off, 0.5 * off);

        return qvf_quick_two_sum(root, more);
}

/* x · factor · w: the product with the factor's first half and what it lost, both times w. */
float norm_scale(float x, vec2 factor, float w)
{
        vec2 product = qvf_pair_of(x, factor.x);
        precise float lost = qvf_fma(x, factor.y, product.y), lost_scaled = lost * w;

        return qvf_fma(product.x, w, lost_scaled);
}

vec4 norm_scale(vec4 x, vec2 factor, vec4 w)
{
        return vec4(norm_scale(x.x, factor, w.x), norm_scale(x.y, factor, w.y), norm_scale(x.z, factor, w.z),
                norm_scale(x.w, factor, w.w));
}

#endif
