/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic that comes out the same on every device (docs/arithmetic.md): fma, division, and pairs of floats, whose sum
 * has twice the digits of one. Drivers may round fma() twice and divide a little off. */
#ifndef QVF_EXACT_GLSL
#define QVF_EXACT_GLSL

/* Whether fma() rounds once: fma.c finds out. Where it rounds twice results are close, not the same. */
layout(constant_id = 31) const bool FUSED = false;

/* a + b = x + y exactly, x their rounded sum. */
vec2 qvf_two_sum(float a, float b)
{
        precise float sum = a + b, of_b = sum - a, lost = (a - (sum - of_b)) + (b - of_b);

        return vec2(sum, lost);
}

/* The same where |a| is no less than |b|, or a is 0. */
vec2 qvf_quick_two_sum(float a, float b)
{
        precise float sum = a + b, lost = b - (sum - a);

        return vec2(sum, lost);
}

/* a · b = x + y exactly, without fma (Dekker). */
vec2 qvf_two_product_split(float a, float b)
{
        precise float p = a * b;
        precise float ta = 4097.0 * a, ah = ta - (ta - a), al = a - ah;
        precise float tb = 4097.0 * b, bh = tb - (tb - b), bl = b - bh;
        precise float low = ((ah * bh - p) + ah * bl + al * bh) + al * bl;

        return vec2(p, low);
}

#ifdef EMULATE_FMA
/* For tests on drivers in software, whose fma() rounds twice (Boldo and Melquiond): what two exact steps leave over is
 * added rounding to odd, so that the last step rounds right. */
float qvf_fma(float a, float b, float c)
{
        vec2 product = qvf_two_product_split(a, b), low = qvf_two_sum(c, product.y), high = qvf_two_sum(product.x, low.x);
        vec2 rest = qvf_two_sum(low.y, high.y);
        uint bits = floatBitsToUint(rest.x);
        precise float sum;

        if (rest.y != 0.0 && (bits & 1u) == 0u)
                bits += (rest.y > 0.0) == (rest.x > 0.0) ? 1u : 0xffffffffu;
        sum = high.x + uintBitsToFloat(bits);
        return sum;
}

vec2 qvf_pair_of(float a, float b)
{
        return qvf_two_product_split(a, b);
}
#else
float qvf_fma(float a, float b, float c)
{
        precise float sum = fma(a, b, c);

        return sum;
}

/* a · b = x + y, exactly where fma() rounds once; else y is 0. */
vec2 qvf_pair_of(float a, float b)
{
        precise float p = a * b, low = fma(a, b, -p);

        return vec2(p, low);
}
#endif

/* a · b = x + y exactly, everywhere. */
vec2 qvf_two_product(float a, float b)
{
        return FUSED ? qvf_pair_of(a, b) : qvf_two_product_split(a, b);
}

/* Of pairs, to about 2^-46 where fma() rounds once. */
vec2 qvf_pair_add(vec2 a, vec2 b)
{
        vec2 sum = qvf_two_sum(a.x, b.x);
        precise float low = sum.y + (a.y + b.y);

        return qvf_quick_two_sum(sum.x, low);
}

vec2 qvf_pair_product(vec2 a, vec2 b)
{
        vec2 product = qvf_pair_of(a.x, b.x);
        precise float low = product.y + (a.x * b.y + a.y * b.x);

        return qvf_quick_two_sum(product.x, low);
}

/* f0 · a + f1 · b, as ADD has it */
float qvf_weighted_sum(float f0, float a, float f1, float b)
{
        precise float first = f0 * a, second = f1 * b, sum = first + second;

        return sum;
}

vec4 qvf_weighted_sum(float f0, vec4 a, float f1, vec4 b)
{
        precise vec4 first = f0 * a, second = f1 * b, sum = first + second;

        return sum;
}

/* factor · sum, rounded once, |sum| < 2²⁴; factor is scale · row_scale by qvf_two_product(). */
float qvf_scale_sum_by(vec2 factor, int sum)
{
        precise float low = factor.y * float(sum), y;
        vec2 product;

        if (FUSED)
                return qvf_fma(factor.x, float(sum), low);
        product = qvf_two_product(factor.x, float(sum));
        y = product.x + (product.y + low);
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
        vec2 p;
        precise float rest;

        if (FUSED)
                return qvf_fma(-q, b, a);
        p = qvf_two_product_split(q, b);
        rest = (a - p.x) - p.y;
        return rest;
}

/* a / b correctly rounded, for normal numbers with a normal quotient, none of them close to the ends of the range: a
 * driver's own division may be off by two units in the last place, and a quantised integer with it. */
float qvf_divide_inside(float a, float b)
{
        precise float inverse, near, q;
        float rest, other;

        if (FUSED) { /* Markstein: exact once the inverse is */
                inverse = 1.0 / b;
                inverse = qvf_fma(qvf_fma(-b, inverse, 1.0), inverse, inverse);
                near = a * inverse;
                near = qvf_fma(qvf_fma(-b, near, a), inverse, near);
                return qvf_fma(qvf_fma(-b, near, a), inverse, near);
        }
        near = a / b;
        q = near + qvf_remainder(a, near, b) / b; /* right but for ties that are none */
        rest = qvf_remainder(a, q, b);
        other = uintBitsToFloat(floatBitsToUint(q) + (((rest < 0.0) == (b < 0.0)) == (q > 0.0) ? 1u : 0xffffffffu));
        return abs(qvf_remainder(a, other, b)) < abs(rest) ? other : q;
}

/* a / b correctly rounded, but for quotients below the normal numbers; 0 or infinite b as in IEEE 754. */
float qvf_divide(float a, float b)
{
        const float large = 18446744073709551616.0, small = 1.0 / large; /* 2^64 */
        float up_a = abs(a) < 1e-10 ? large : abs(a) > 1e18 ? small : 1.0;
        float up_b = abs(b) < 1e-10 ? large : abs(b) > 1e18 ? small : 1.0;
        precise float q;

        if (b == 0.0 || a == 0.0 || isinf(b) || isinf(a) || isnan(a) || isnan(b))
                return a / b;
        q = qvf_divide_inside(a * up_a, b * up_b) * up_b;
        return up_a == large ? q * small : up_a == small ? q * large : q;
}

#endif
