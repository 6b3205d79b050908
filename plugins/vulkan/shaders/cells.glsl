/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers in caches and other values of 16 or 8 bits: each function stores or reads a word's worth. */
#ifndef QVF_CELLS_GLSL
#define QVF_CELLS_GLSL

#define QVF_KV_BLOCK 32u
#define CELL_NONE 0xffffffffu
#define TYPE_F32 0u
#define TYPE_F16 1u
#define TYPE_Q8_0 8u
#define TYPE_BF16 30u

/* Two floats as two f16, each rounded to nearest even; packHalf2x16 may round otherwise. */
uint cells_half(float x)
{
        uint bits = floatBitsToUint(x), sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;

        if (rest > 0x7f800000u)
                return sign | 0x7e00u | rest >> 13 & 0x3ffu;
        if (rest >= 0x477ff000u)
                return sign | 0x7c00u;
        if (rest < 0x38800000u) { /* below the normal numbers: adding makes the hardware round at the right bit */
                precise float shifted = uintBitsToFloat(rest) + 0.5;

                return sign | (floatBitsToUint(shifted) - 0x3f000000u);
        }
        return sign | (rest - 0x38000000u + 0xfffu + (rest >> 13 & 1u)) >> 13;
}

uint cells_bf16(float x)
{
        uint bits = floatBitsToUint(x);

        return (bits & 0x7fffffffu) > 0x7f800000u ? bits >> 16 | 0x40u : bits + 0x7fffu + (bits >> 16 & 1u) >> 16;
}

#endif
