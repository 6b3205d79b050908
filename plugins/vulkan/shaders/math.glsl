/* SPDX-License-Identifier: Apache-2.0 */
/* exp, sine and cosine as docs/arithmetic.md defines them: what drivers bring may be far off. */
#ifndef QVF_MATH_GLSL
#define QVF_MATH_GLSL

/* 2^n for n between -126 and 127 */
float qvf_power_of_two(int n)
{
        return uintBitsToFloat(uint(n + 127) << 23);
}

/* plugins/cpu/coefficients.h has the same constants. */
float qvf_exp(float x)
{
        float limited = clamp(x, -104.0, 89.0);
        precise float turns = limited * 1.44269504088896341, square, y;
        float n = roundEven(turns);
        float r = qvf_fma(-n, 1.42860682030941723e-6, qvf_fma(-n, 0.693145751953125, limited));
        float p = qvf_fma(0.0013814539415761828, r, 0.00836874544620514);
        int half_ = int(n) / 2;

        p = qvf_fma(p, r, 0.04166838899254799);
        p = qvf_fma(p, r, 0.1666652113199234);
        p = qvf_fma(p, r, 0.4999999403953552);
        square = r * r;
        y = qvf_fma(p, square, r) + 1.0;
        y = y * qvf_power_of_two(half_); /* in two steps: 2^n alone may be no float */
        y = y * qvf_power_of_two(int(n) - half_);
        return y;
}

/* 1 / (1 + exp(-x)), for gradients */
float qvf_sigmoid(float x)
{
        float e = qvf_exp(-abs(x));
        float s = e / (1.0 + e);

        return x >= 0.0 ? 1.0 / (1.0 + e) : s;
}

/* What GATE does: (g / (1 + exp(-g))) · u, or (max(g, 0) · max(g, 0)) · u. */
float qvf_gate(bool silu, float g, float u)
{
        float positive = max(g, 0.0);
        precise float below, activated, y;

        if (silu) {
                below = 1.0 + qvf_exp(-g);
                activated = qvf_divide(g, below);
        } else {
                activated = positive * positive;
        }
        y = activated * u;
        return y;
}

vec4 qvf_gate(bool silu, vec4 g, vec4 u)
{
        return vec4(qvf_gate(silu, g.x, u.x), qvf_gate(silu, g.y, u.y), qvf_gate(silu, g.z, u.z), qvf_gate(silu, g.w, u.w));
}

/* n turns of π / 2 less than the angle, a pair of floats; n up to 2^22. */
vec2 qvf_turned_back(vec2 angle, float n)
{
        vec2 high = qvf_two_product(n, 1.57079637), middle = qvf_two_product(n, -4.37113883e-8);
        precise float near = angle.x - high.x, low;
        vec2 a = qvf_two_sum(near, -high.y), b = qvf_two_sum(a.x, angle.y), c = qvf_two_sum(b.x, -middle.x);

        low = ((a.y + b.y) + c.y) - (middle.y + n * -1.71512451e-15);
        return qvf_quick_two_sum(c.x, low);
}

/* head + z · tail, where the product is less than a hundredth of the head. */
vec2 qvf_series_begin(vec2 head, float z, float tail)
{
        precise float product = z * tail;
        vec2 sum = qvf_quick_two_sum(head.x, product);
        precise float low = sum.y + head.y;

        return vec2(sum.x, low);
}

/* Of r, |r| ≤ π / 4, by their series: to the right of 2^-43, so that rounded once they are right but one in a million. */
float qvf_sine_of(vec2 r, vec2 z)
{
        float tail = fma(fma(fma(-7.64716361e-13, z.x, 1.60590444e-10), z.x, -2.50521079e-8), z.x, 2.75573188e-6);
        vec2 sum = qvf_series_begin(vec2(-0.000198412701, 2.72559687e-12), z.x, tail);

        sum = qvf_pair_add(vec2(0.00833333377, -4.34617203e-10), qvf_pair_product(z, sum));
        sum = qvf_pair_add(vec2(-0.166666672, 4.96705388e-9), qvf_pair_product(z, sum));
        return qvf_pair_add(r, qvf_pair_product(qvf_pair_product(r, z), sum)).x;
}

float qvf_cosine_of(vec2 z)
{
        float tail = fma(fma(fma(4.77947726e-14, z.x, -1.14707454e-11), z.x, 2.08767559e-9), z.x, -2.755732e-7);
        vec2 sum = qvf_series_begin(vec2(2.48015876e-5, -3.40699609e-13), z.x, tail);

        sum = qvf_pair_add(vec2(-0.00138888892, 3.36310944e-11), qvf_pair_product(z, sum));
        sum = qvf_pair_add(vec2(0.0416666679, -1.24176347e-9), qvf_pair_product(z, sum));
        sum = qvf_pair_add(-0.5 * z, qvf_pair_product(qvf_pair_product(z, z), sum));
        return qvf_pair_add(vec2(1.0, 0.0), sum).x;
}

/* Sine and cosine of position · frequency, the product taken exactly, each rounded once. */
vec2 qvf_sine_cosine(float position, float frequency)
{
        vec2 angle = qvf_two_product(position, frequency);
        float n = roundEven(angle.x * 0.63661977);
        vec2 r = qvf_turned_back(angle, n), z = qvf_pair_product(r, r);
        float s = qvf_sine_of(r, z), c = qvf_cosine_of(z);
        uint quadrant = uint(int(n)) & 3u;
        vec2 turned = (quadrant & 1u) == 0 ? vec2(s, c) : vec2(c, s);

        if ((quadrant & 2u) != 0)
                turned.x = -turned.x;
        if (quadrant == 1u || quadrant == 2u)
                turned.y = -turned.y;
        return turned;
}

/* What ROPE makes of the pair (a, b); turn: sine and cosine, both times the operation's factor. */
vec2 qvf_turn(vec2 pair, vec2 turn)
{
        precise float of_b = pair.y * turn.x, other = pair.y * turn.y;

        return vec2(qvf_fma(pair.x, turn.y, -of_b), qvf_fma(pair.x, turn.x, other));
}

#endif
