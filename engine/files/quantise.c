/* SPDX-License-Identifier: Apache-2.0 */
/* Float to the formats that tests and exports write: the plain reference, rounding as other writers of GGUF
 * do. */
#include <errno.h>
#include <math.h>

#include "common/half.h"
#include "engine/files/dtype.h"

static void quantise_f32(const float *values, uint8_t *block)
{
        memcpy(block, values, sizeof(*values));
}

static void quantise_f16(const float *values, uint8_t *block)
{
        qvf_store_u16(block, qvf_f32_to_f16(*values));
}

static void quantise_bf16(const float *values, uint8_t *block)
{
        qvf_store_u16(block, qvf_f32_to_bf16(*values));
}

/* The value of largest magnitude m becomes code 0, so d = m / -8 and the other sign is cut at 7/8 m. */
static void quantise_q4_0(const float *values, uint8_t *block)
{
        float largest = 0, d, inverse;

        for (unsigned i = 0; i < 32; i++)
                if (fabsf(values[i]) > fabsf(largest))
                        largest = values[i];
        d = largest / -8;
        inverse = d != 0 ? 1 / d : 0;
        qvf_store_u16(block, qvf_f32_to_f16(d));
        for (unsigned j = 0; j < 16; j++) {
                float low = fminf(15, truncf(values[j] * inverse + 8.5f));
                float high = fminf(15, truncf(values[16 + j] * inverse + 8.5f));

                block[2 + j] = (uint8_t)((unsigned)low | (unsigned)high << 4);
        }
}

/* d = max|w| / 127, codes rounded half away from zero. */
static void quantise_q8_0(const float *values, uint8_t *block)
{
        float largest = 0, d, inverse;

        for (unsigned i = 0; i < 32; i++)
                largest = fmaxf(largest, fabsf(values[i]));
        d = largest / 127;
        inverse = d != 0 ? 1 / d : 0;
        qvf_store_u16(block, qvf_f32_to_f16(d));
        for (unsigned i = 0; i < 32; i++)
                block[2 + i] = (uint8_t)(int8_t)roundf(values[i] * inverse);
}

/* d = max|w|; codes 0, 1, 2 for round(w / d) = -1, 0, 1, half away from zero. Returns d. */
static float ternary_codes(const float *values, uint8_t codes[256])
{
        float d = 0, inverse;

        for (unsigned i = 0; i < 256; i++)
                d = fmaxf(d, fabsf(values[i]));
        inverse = d != 0 ? 1 / d : 0;
        for (unsigned i = 0; i < 256; i++)
                codes[i] = (uint8_t)(roundf(values[i] * inverse) + 1);
        return d;
}

void qvf_tq1_pack(const uint8_t codes[256], uint16_t scale, uint8_t block[54])
{
        static const uint8_t power[5] = { 81, 27, 9, 3, 1 };

        /* Where the digits of byte i come from: the first of them, how far apart, and how many. */
        for (unsigned i = 0; i < 52; i++) {
                unsigned first = i < 32 ? i : i < 48 ? 128 + i : 192 + i;
                unsigned step = i < 32 ? 32 : i < 48 ? 16 : 4;
                unsigned digits = i < 48 ? 5 : 4;
                unsigned value = 0;

                for (unsigned n = 0; n < digits; n++)
                        value += (unsigned)power[n] * codes[first + n * step];
                block[i] = (uint8_t)((value * 256 + 242) / 243);
        }
        qvf_store_u16(block + 52, scale);
}

void qvf_tq2_pack(const uint8_t codes[256], uint16_t scale, uint8_t block[66])
{
        for (unsigned i = 0; i < 64; i++) {
                const uint8_t *first = codes + i / 32 * 128 + i % 32;

                block[i] = (uint8_t)(first[0] | first[32] << 2 | first[64] << 4 | first[96] << 6);
        }
        qvf_store_u16(block + 64, scale);
}

static void quantise_tq1_0(const float *values, uint8_t *block)
{
        uint8_t codes[256];
        float d = ternary_codes(values, codes);

        qvf_tq1_pack(codes, qvf_f32_to_f16(d), block);
}

static void quantise_tq2_0(const float *values, uint8_t *block)
{
        uint8_t codes[256];
        float d = ternary_codes(values, codes);

        qvf_tq2_pack(codes, qvf_f32_to_f16(d), block);
}

static void (*quantiser(enum qvf_dtype dtype))(const float *, uint8_t *)
{
        switch (dtype) {
        case QVF_F32: return quantise_f32;
        case QVF_F16: return quantise_f16;
        case QVF_BF16: return quantise_bf16;
        case QVF_Q4_0: return quantise_q4_0;
        case QVF_Q8_0: return quantise_q8_0;
        case QVF_TQ1_0: return quantise_tq1_0;
        case QVF_TQ2_0: return quantise_tq2_0;
        default: return NULL;
        }
}

int qvf_dtype_quantise_row(enum qvf_dtype dtype, const float *values, void *ret_row, uint64_t count)
{
        const struct qvf_dtype_info *info = qvf_dtype_info(dtype);
        void (*quantise)(const float *, uint8_t *) = quantiser(dtype);

        if (!info || !quantise)
                return -EOPNOTSUPP;
        if (count % info->block_length != 0)
                return -EINVAL;
        for (uint64_t i = 0; i < count / info->block_length; i++)
                quantise(values + i * info->block_length, (uint8_t *)ret_row + i * info->block_bytes);
        return 0;
}
