/* SPDX-License-Identifier: Apache-2.0 */
/* exp, sine and cosine to a few units in the last place: what drivers bring may be far off. */
#ifndef QVF_MATH_GLSL
#define QVF_MATH_GLSL

float qvf_exp(float x)
{
        float n = roundEven(clamp(x, -126.0, 127.0) * 1.44269504);
        precise float r = fma(n, -0.693359375, clamp(x, -126.0, 127.0));
        float p = 1.9875691500e-4;

        r = fma(n, 2.12194440e-4, r);
        p = fma(p, r, 1.3981999507e-3);
        p = fma(p, r, 8.3334519073e-3);
        p = fma(p, r, 4.1665795894e-2);
        p = fma(p, r, 1.6666665459e-1);
        p = fma(p, r, 5.0000001201e-1);
        p = fma(p * r, r, r) + 1.0;
        return x < -103.0 ? 0.0 : x > 88.72 ? uintBitsToFloat(0x7f800000u) : ldexp(p, int(n));
}

/* 1 / (1 + exp(-x)) */
float qvf_sigmoid(float x)
{
        float e = qvf_exp(-abs(x));
        float s = e / (1.0 + e);

        return x >= 0.0 ? 1.0 / (1.0 + e) : s;
}

/* Sine and cosine of position · frequency, the product taken exactly. */
vec2 qvf_sine_cosine(float position, float frequency)
{
        vec2 angle = qvf_two_product(position, frequency);
        float n = roundEven(angle.x * 0.63661977);
        vec2 turns = qvf_two_product(n, 1.57079637);
        precise float r = ((angle.x - turns.x) - turns.y) + (angle.y + n * 4.37113883e-8);
        float z = r * r;
        float s = fma(fma(fma(-1.9515295891e-4, z, 8.3321608736e-3), z, -1.6666654611e-1) * z, r, r);
        float c = fma(fma(fma(2.443315711809948e-5, z, -1.388731625493765e-3), z, 4.166664568298827e-2) * z, z,
                fma(-0.5, z, 1.0));
        uint quadrant = uint(int(n)) & 3u;
        vec2 turned = (quadrant & 1u) == 0 ? vec2(s, c) : vec2(c, s);

        if ((quadrant & 2u) != 0)
                turned.x = -turned.x;
        if (quadrant == 1u || quadrant == 2u)
                turned.y = -turned.y;
        return turned;
}

#endif
