/* SPDX-License-Identifier: Apache-2.0 */
/* f16 and bf16 as they stand in files and buffers (16 raw bits), to float and back.
 * Rounding is to nearest, ties to even; subnormals, infinities and NaN survive both ways (a NaN becomes
 * quiet). */
#ifndef QVF_COMMON_HALF_H
#define QVF_COMMON_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t qvf_f32_bits(float value)
{
        uint32_t bits;

        memcpy(&bits, &value, sizeof(bits));
        return bits;
}

static inline float qvf_f32_from_bits(uint32_t bits)
{
        float value;

        memcpy(&value, &bits, sizeof(value));
        return value;
}

static inline float qvf_f16_to_f32(uint16_t half)
{
        uint32_t sign = (uint32_t)(half & 0x8000) << 16;
        uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13;
        uint32_t exponent = magnitude & 0x0f800000;

        if (exponent == 0x0f800000) /* infinity and NaN: all exponent bits stay set */
                return qvf_f32_from_bits(sign | 0x7f800000 | magnitude);
        if (exponent == 0) /* zero and subnormals: m * 2^-24; reading them over the exponent of 2^-14 gives
                              2^-14 + that */
                return qvf_f32_from_bits(
                                sign | qvf_f32_bits(qvf_f32_from_bits(0x38800000 | magnitude) - 0x1p-14f));
        return qvf_f32_from_bits(sign | (magnitude + 0x38000000)); /* bias 127 - 15 = 112 */
}

static inline uint16_t qvf_f32_to_f16(float value)
{
        uint32_t bits = qvf_f32_bits(value);
        uint32_t sign = bits >> 16 & 0x8000;
        uint32_t magnitude = bits & 0x7fffffff;

        if (magnitude > 0x7f800000)
                return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x1ff));
        if (magnitude >= 0x47800000) /* 65536 and more */
                return (uint16_t)(sign | 0x7c00);
        if (magnitude < 0x38800000) /* below 2^-14: the last place of 0.5f is 2^-24, so this sum rounds as
                                       f16 does */
                return (uint16_t)(sign | (qvf_f32_bits(qvf_f32_from_bits(magnitude) + 0.5f) - 0x3f000000));
        return (uint16_t)(sign | (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13);
}

static inline float qvf_bf16_to_f32(uint16_t half)
{
        return qvf_f32_from_bits((uint32_t)half << 16);
}

static inline uint16_t qvf_f32_to_bf16(float value)
{
        uint32_t bits = qvf_f32_bits(value);

        if ((bits & 0x7fffffff) > 0x7f800000)
                return (uint16_t)(bits >> 16 | 0x40);
        return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Reads that need no alignment: GGUF blocks begin at any even byte, keys at any byte. */
static inline uint16_t qvf_load_u16(const void *bytes)
{
        uint16_t value;

        memcpy(&value, bytes, sizeof(value));
        return value;
}

static inline void qvf_store_u16(void *bytes, uint16_t value)
{
        memcpy(bytes, &value, sizeof(value));
}

#endif
