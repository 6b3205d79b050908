/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of every dtype as floats, and back for the dtypes of caches. */
#include <math.h>
#include <string.h>

#include "common/half.h"
#include "plugins/cpu/plain/plain.h"

static void decode_f32(const uint8_t *bytes, float *to)
{
        memcpy(to, bytes, sizeof(*to));
}

static void decode_f16(const uint8_t *bytes, float *to)
{
        *to = qvf_f16_to_f32(qvf_load_u16(bytes));
}

static void decode_bf16(const uint8_t *bytes, float *to)
{
        *to = qvf_bf16_to_f32(qvf_load_u16(bytes));
}

/* f16 scale, then 16 bytes: low nibbles are elements 0 to 15, high ones 16 to 31, all plus 8. */
static void decode_q4_0(const uint8_t *bytes, float *to)
{
        float scale = qvf_f16_to_f32(qvf_load_u16(bytes));

        for (int i = 0; i < 16; i++) {
                to[i] = scale * (float)((bytes[2 + i] & 15) - 8);
                to[16 + i] = scale * (float)((bytes[2 + i] >> 4) - 8);
        }
}

/* f16 scale, then 32 signed bytes. */
static void decode_q8_0(const uint8_t *bytes, float *to)
{
        float scale = qvf_f16_to_f32(qvf_load_u16(bytes));

        for (int i = 0; i < 32; i++)
                to[i] = scale * (float)(int8_t)bytes[2 + i];
}

/* f16 scale, f16 scale of minima, 12 bytes with eight 6-bit scales and minima, 128 bytes of nibbles. Of each
 * 64 elements the low nibbles of 32 bytes are the first half, the high ones the second. */
static void decode_q4_k(const uint8_t *bytes, float *to)
{
        float scale = qvf_f16_to_f32(qvf_load_u16(bytes)), minimum = qvf_f16_to_f32(qvf_load_u16(bytes + 2));
        const uint8_t *six = bytes + 4, *nibbles = bytes + 16;

        for (int group = 0; group < 8; group++) {
                int s, m;

                if (group < 4) {
                        s = six[group] & 63;
                        m = six[group + 4] & 63;
                } else {
                        s = (six[group + 4] & 15) | six[group - 4] >> 6 << 4;
                        m = six[group + 4] >> 4 | six[group] >> 6 << 4;
                }
                for (int i = 0; i < 32; i++) {
                        int nibble = nibbles[group / 2 * 32 + i] >> (group % 2 * 4) & 15;

                        to[group * 32 + i] = scale * (float)s * (float)nibble - minimum * (float)m;
                }
        }
}

/* 128 bytes with the low 4 bits, 64 with the high 2, 16 signed scales, f16 scale; codes are plus 32. Of each
 * 128 elements byte i of the low bits holds i and 64 + i, byte i of the high bits i, 32 + i, 64 + i and 96 +
 * i. */
static void decode_q6_k(const uint8_t *bytes, float *to)
{
        const uint8_t *low = bytes, *high = bytes + 128;
        const int8_t *scales = (const int8_t *)(bytes + 192);
        float scale = qvf_f16_to_f32(qvf_load_u16(bytes + 208));

        for (int i = 0; i < 256; i++) {
                int half = i / 128, k = i % 128;
                int four = low[half * 64 + k % 64] >> (k / 64 * 4) & 15;
                int two = high[half * 32 + k % 32] >> (k / 32 * 2) & 3;

                to[i] = scale * (float)scales[i / 16] * (float)((four | two << 4) - 32);
        }
}

/* Byte 32h + m, bits 2n and 2n + 1: element 128h + 32n + m, plus 1. Then the f16 scale. */
static void ternary_tq2_0(const uint8_t *bytes, int8_t codes[256])
{
        for (int h = 0; h < 2; h++)
                for (int n = 0; n < 4; n++)
                        for (int m = 0; m < 32; m++)
                                codes[128 * h + 32 * n + m] = (int8_t)((bytes[32 * h + m] >> 2 * n & 3) - 1);
}

/* `count` bytes hold `digits` base-3 digits each, the first one most significant, as fractions of 256: digit
 * n is the integer part of 3 · frac(byte · 3ⁿ / 256). Digit n of byte m is element n · count + m. */
static void ternary_base3(const uint8_t *bytes, int count, int digits, int8_t *codes)
{
        for (int m = 0; m < count; m++) {
                uint8_t fraction = bytes[m];

                for (int n = 0; n < digits; n++) {
                        codes[n * count + m] = (int8_t)((fraction * 3 >> 8) - 1);
                        fraction = (uint8_t)(fraction * 3);
                }
        }
}

void plain_ternary_block(uint32_t dtype, const uint8_t *bytes, int8_t codes[256], float *ret_scale)
{
        if (dtype == QVF_TQ2_0) {
                ternary_tq2_0(bytes, codes);
                *ret_scale = qvf_f16_to_f32(qvf_load_u16(bytes + 64));
        } else {
                ternary_base3(bytes, 32, 5, codes);
                ternary_base3(bytes + 32, 16, 5, codes + 160);
                ternary_base3(bytes + 48, 4, 4, codes + 240);
                *ret_scale = qvf_f16_to_f32(qvf_load_u16(bytes + 52));
        }
}

static const struct format {
        uint32_t dtype, block, bytes;
        void (*decode)(const uint8_t *bytes, float *to);
} formats[] = {
        { QVF_F32, 1, 4, decode_f32 },
        { QVF_F16, 1, 2, decode_f16 },
        { QVF_BF16, 1, 2, decode_bf16 },
        { QVF_Q8_0, 32, 34, decode_q8_0 },
        { QVF_Q4_0, 32, 18, decode_q4_0 },
        { QVF_Q4_K, 256, 144, decode_q4_k },
        { QVF_Q6_K, 256, 210, decode_q6_k },
        { QVF_TQ1_0, 256, 54, NULL },
        { QVF_TQ2_0, 256, 66, NULL },
        { QVF_I32, 1, 4, NULL },
        { QVF_I8, 1, 1, NULL },
        { QVF_U8, 1, 1, NULL },
};

static const struct format *find_format(uint32_t dtype)
{
        for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
                if (formats[i].dtype == dtype)
                        return &formats[i];
        return &formats[0]; /* the program was checked: it names no other dtype */
}

size_t plain_row_bytes(uint32_t dtype, uint32_t columns)
{
        const struct format *format = find_format(dtype);

        return (size_t)columns / format->block * format->bytes;
}

static void decode_block(const struct cpu_operand *matrix, const struct format *format, const uint8_t *bytes,
                float *to)
{
        int8_t codes[256];
        float scale;

        if (format->decode) {
                format->decode(bytes, to);
                return;
        }
        plain_ternary_block(format->dtype, bytes, codes, &scale);
        scale = matrix->block_scales ? matrix->scale * scale : matrix->scale;
        for (int i = 0; i < 256; i++)
                to[i] = scale * (float)codes[i];
}

void plain_dequantise(
                const struct cpu_operand *matrix, uint32_t row, uint32_t column, uint32_t count, float *to)
{
        const struct format *format = find_format(matrix->dtype);
        const uint8_t *bytes = (const uint8_t *)matrix->data +
                               row * plain_row_bytes(matrix->dtype, matrix->columns);
        float block[256];

        if (matrix->dtype == QVF_F32) {
                memcpy(to, bytes + (size_t)column * sizeof(float), count * sizeof(float));
                return;
        }
        if (format->decode && format->block == 1) {
                for (uint32_t i = 0; i < count; i++)
                        format->decode(bytes + (size_t)(column + i) * format->bytes, to + i);
                return;
        }
        while (count) {
                uint32_t skip = column % format->block;
                uint32_t length = plain_min(format->block - skip, count);

                decode_block(matrix, format, bytes + (size_t)(column / format->block) * format->bytes,
                                block);
                memcpy(to, block + skip, length * sizeof(*to));
                to += length;
                column += length;
                count -= length;
        }
}

/* m = max|x|; scale = f16(m / 127); q = rint(x · (127 / m)), half to even; all zero where m is. */
static void store_q8_0(uint8_t *bytes, const float *from)
{
        float largest = 0, factor;

        for (int i = 0; i < 32; i++)
                largest = fmaxf(largest, fabsf(from[i]));
        factor = largest > 0 ? 127.0f / largest : 0;
        qvf_store_u16(bytes, qvf_f32_to_f16(largest / 127.0f));
        for (int i = 0; i < 32; i++) {
                float q = rintf(from[i] * factor);

                bytes[2 + i] = (uint8_t)(q >= 127 ? 127 : q > -127 ? (int8_t)q : -127);
        }
}

void plain_store(const struct cpu_operand *matrix, uint32_t row, const float *from)
{
        uint8_t *bytes = (uint8_t *)matrix->data + row * plain_row_bytes(matrix->dtype, matrix->columns);

        switch (matrix->dtype) {
        case QVF_F32: memmove(bytes, from, matrix->columns * sizeof(*from)); break;
        case QVF_F16:
                for (uint32_t i = 0; i < matrix->columns; i++)
                        qvf_store_u16(bytes + 2 * (size_t)i, qvf_f32_to_f16(from[i]));
                break;
        case QVF_BF16:
                for (uint32_t i = 0; i < matrix->columns; i++)
                        qvf_store_u16(bytes + 2 * (size_t)i, qvf_f32_to_bf16(from[i]));
                break;
        case QVF_Q8_0:
                for (uint32_t i = 0; i < matrix->columns / 32; i++)
                        store_q8_0(bytes + 34 * (size_t)i, from + 32 * (size_t)i);
                break;
        }
}
