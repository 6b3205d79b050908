/* SPDX-License-Identifier: Apache-2.0 */
/* One row of each format to float: the plain reference, in the order of the formulas. */
#include <errno.h>

#include "common/half.h"
#include "engine/files/dtype.h"

static unsigned bits(uint8_t byte, unsigned first, unsigned count)
{
        return ((unsigned)byte >> first) & ((1u << count) - 1);
}

/* f16 scale; then 16 bytes: weight j in the low half of byte j, weight 16 + j in the high one; less 8. */
static void dequantise_q4_0(const uint8_t *block, float *values)
{
        float scale = qvf_f16_to_f32(qvf_load_u16(block));

        for (unsigned j = 0; j < 16; j++) {
                values[j] = (float)((int)bits(block[2 + j], 0, 4) - 8) * scale;
                values[16 + j] = (float)((int)bits(block[2 + j], 4, 4) - 8) * scale;
        }
}

/* f16 scale; then 32 signed bytes. */
static void dequantise_q8_0(const uint8_t *block, float *values)
{
        float scale = qvf_f16_to_f32(qvf_load_u16(block));

        for (unsigned j = 0; j < 32; j++)
                values[j] = (float)(int8_t)block[2 + j] * scale;
}

/* The 6-bit scale and minimum of sub-block j of 8: 12 bytes; the first four of each lie in the low six bits
 * of bytes j and 4 + j, the others are put together from four bits of byte 4 + j and the two left over
 * above. */
static void q4_k_scale(const uint8_t *packed, unsigned j, unsigned *ret_scale, unsigned *ret_minimum)
{
        if (j < 4) {
                *ret_scale = bits(packed[j], 0, 6);
                *ret_minimum = bits(packed[4 + j], 0, 6);
        } else {
                *ret_scale = bits(packed[4 + j], 0, 4) | bits(packed[j - 4], 6, 2) << 4;
                *ret_minimum = bits(packed[4 + j], 4, 4) | bits(packed[j], 6, 2) << 4;
        }
}

/* f16 scale d, f16 minimum m, 12 bytes of sub-scales, 128 bytes of 4-bit weights; sub-blocks of 32, two of
 * them in the halves of each 32 bytes. w = d · scale · q − m · minimum. */
static void dequantise_q4_k(const uint8_t *block, float *values)
{
        float d = qvf_f16_to_f32(qvf_load_u16(block)), m = qvf_f16_to_f32(qvf_load_u16(block + 2));

        for (unsigned j = 0; j < 8; j++) {
                const uint8_t *weights = block + 16 + j / 2 * 32;
                unsigned scale, minimum;

                q4_k_scale(block + 4, j, &scale, &minimum);
                for (unsigned i = 0; i < 32; i++)
                        values[32 * j + i] = d * (float)scale * (float)bits(weights[i], j % 2 * 4, 4) -
                                             m * (float)minimum;
        }
}

/* 128 bytes of low four bits, 64 of high two bits, 16 signed scales for 16 weights each, f16 scale d.
 * w = d · scale · (q − 32). In each half of 128 weights, run n of 32 weights has its low bits in bytes
 * 32·(n mod 2)… (upper halves for n > 1) and its high bits in bits 2n, 2n+1. */
static void dequantise_q6_k(const uint8_t *block, float *values)
{
        float d = qvf_f16_to_f32(qvf_load_u16(block + 208));

        for (unsigned half = 0; half < 2; half++) {
                const uint8_t *low = block + 64 * half, *high = block + 128 + 32 * half;

                for (unsigned n = 0; n < 4; n++)
                        for (unsigned i = 0; i < 32; i++) {
                                unsigned q = bits(low[32 * (n % 2) + i], n / 2 * 4, 4) |
                                             bits(high[i], 2 * n, 2) << 4;
                                int8_t scale = (int8_t)block[192 + 8 * half + 2 * n + i / 16];

                                values[128 * half + 32 * n + i] = d * (float)scale * (float)((int)q - 32);
                        }
        }
}

static void dequantise_tq1_0(const uint8_t *block, float *values)
{
        float scale = qvf_f16_to_f32(qvf_load_u16(block + 52));

        for (unsigned n = 0; n < 5; n++) {
                for (unsigned m = 0; m < 32; m++)
                        values[32 * n + m] = (float)((int)qvf_tq1_digit(block[m], n) - 1) * scale;
                for (unsigned m = 0; m < 16; m++)
                        values[160 + 16 * n + m] = (float)((int)qvf_tq1_digit(block[32 + m], n) - 1) * scale;
        }
        for (unsigned n = 0; n < 4; n++)
                for (unsigned m = 0; m < 4; m++)
                        values[240 + 4 * n + m] = (float)((int)qvf_tq1_digit(block[48 + m], n) - 1) * scale;
}

static void dequantise_tq2_0(const uint8_t *block, float *values)
{
        float scale = qvf_f16_to_f32(qvf_load_u16(block + 64));

        for (unsigned i = 0; i < 256; i++) {
                unsigned code = bits(block[i / 128 * 32 + i % 32], i / 32 % 4 * 2, 2);

                values[i] = (float)((int)code - 1) * scale;
        }
}

static void (*dequantiser(enum qvf_dtype dtype))(const uint8_t *, float *)
{
        switch (dtype) {
        case QVF_Q4_0: return dequantise_q4_0;
        case QVF_Q8_0: return dequantise_q8_0;
        case QVF_Q4_K: return dequantise_q4_k;
        case QVF_Q6_K: return dequantise_q6_k;
        case QVF_TQ1_0: return dequantise_tq1_0;
        case QVF_TQ2_0: return dequantise_tq2_0;
        default: return NULL;
        }
}

/* Formats without blocks: whole rows at once, so that the compiler can make vectors of them. */
static bool convert_row(enum qvf_dtype dtype, const uint8_t *row, float *ret_values, uint64_t count)
{
        switch (dtype) {
        case QVF_F32: memcpy(ret_values, row, (size_t)count * sizeof(*ret_values)); return true;
        case QVF_F16:
                for (uint64_t i = 0; i < count; i++)
                        ret_values[i] = qvf_f16_to_f32(qvf_load_u16(row + 2 * i));
                return true;
        case QVF_BF16:
                for (uint64_t i = 0; i < count; i++)
                        ret_values[i] = qvf_bf16_to_f32(qvf_load_u16(row + 2 * i));
                return true;
        default: return false;
        }
}

int qvf_dtype_dequantise_row(enum qvf_dtype dtype, const void *row, float *ret_values, uint64_t count)
{
        const struct qvf_dtype_info *info = qvf_dtype_info(dtype);
        void (*dequantise)(const uint8_t *, float *) = dequantiser(dtype);

        if (convert_row(dtype, row, ret_values, count))
                return 0;
        if (!info || !dequantise)
                return -EOPNOTSUPP;
        if (count % info->block_length != 0)
                return -EINVAL;
        for (uint64_t i = 0; i < count / info->block_length; i++)
                dequantise((const uint8_t *)row + i * info->block_bytes,
                                ret_values + i * info->block_length);
        return 0;
}
