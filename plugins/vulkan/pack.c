/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/vulkan/pack.h"

#include <errno.h>
#include <string.h>

#include "common/half.h"

#define BLOCK QVF_TERNARY_BLOCK
#define TQ1_BYTES 54u /* of a block; its scale is the last two */
#define TQ2_BYTES 66u

uint32_t vk_packed_row_words(uint32_t dtype, uint32_t columns)
{
        if (dtype == QVF_TQ2_0)
                return columns / VK_P2_COLUMNS;
        if (dtype == QVF_TQ1_0)
                return (columns / VK_P1_COLUMNS + (columns % VK_P1_COLUMNS != 0) + 3) / 4 * 4;
        return 0;
}

uint64_t vk_packed_scales(uint32_t dtype, uint32_t rows, uint32_t columns)
{
        return ((uint64_t)rows * vk_packed_row_words(dtype, columns) * 4 + 255) / 256 * 256;
}

static uint64_t packed_bytes(uint32_t dtype, uint32_t rows, uint32_t columns, bool block_scales)
{
        if (block_scales)
                return vk_packed_scales(dtype, rows, columns) +
                       (uint64_t)rows * (columns / BLOCK) * sizeof(float);
        return (uint64_t)rows * vk_packed_row_words(dtype, columns) * 4;
}

uint64_t vk_packed_bytes(const struct qvf_value *value)
{
        return packed_bytes(value->dtype, value->rows, value->columns, value->block_scales);
}

int vk_pack_size(struct qvf_device *device, const struct qvf_weight *weight, uint64_t *ret_bytes)
{
        (void)device; /* one layout for all */
        if (vk_packed_row_words(weight->dtype, weight->columns) == 0)
                *ret_bytes = 0;
        else if (weight->columns % BLOCK)
                return -EINVAL;
        else
                *ret_bytes = packed_bytes(
                                weight->dtype, weight->rows, weight->columns, weight->block_scales);
        return 0;
}

/* Element 128h + 32n + m stands in byte 32h + m at bit 2n. */
static void unpack_tq2(const uint8_t *block, uint8_t codes[BLOCK])
{
        for (unsigned i = 0; i < BLOCK; i++)
                codes[i] = block[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
}

/* `count` bytes of up to five digits: digit n of byte m is element n · count + m. */
static void unpack_digits(const uint8_t *bytes, unsigned count, unsigned digits, uint8_t *codes)
{
        for (unsigned m = 0; m < count; m++) {
                uint8_t fraction = bytes[m];

                for (unsigned n = 0; n < digits; n++) {
                        codes[n * count + m] = (uint8_t)(fraction * 3 >> 8);
                        fraction = (uint8_t)(fraction * 3);
                }
        }
}

static void unpack(uint32_t dtype, const uint8_t *block, uint8_t codes[BLOCK], float *ret_scale)
{
        if (dtype == QVF_TQ2_0) {
                unpack_tq2(block, codes);
        } else {
                unpack_digits(block, 32, 5, codes);
                unpack_digits(block + 32, 16, 5, codes + 160);
                unpack_digits(block + 48, 4, 4, codes + 240);
        }
        *ret_scale = qvf_f16_to_f32(qvf_load_u16(block + (dtype == QVF_TQ2_0 ? TQ2_BYTES : TQ1_BYTES) - 2));
}

static void add_p2(uint8_t *row, uint32_t column, const uint8_t codes[BLOCK])
{
        uint8_t *to = row + column / VK_P2_COLUMNS * 4;

        for (unsigned j = 0; j < BLOCK / VK_P2_COLUMNS; j++)
                for (unsigned b = 0; b < 4; b++) {
                        const uint8_t *c = codes + j * VK_P2_COLUMNS + b;

                        to[4 * j + b] = (uint8_t)(c[0] | c[4] << 2 | c[8] << 4 | c[12] << 6);
                }
}

/* Digit i of a byte is worth 3^(4 - i). For now bytes are the plain sums; finish_p1() makes fractions of them. */
static void add_digit(uint8_t *row, uint32_t column, unsigned code)
{
        static const uint8_t power[VK_P1_COLUMNS / 4] = { 81, 27, 9, 3, 1 };
        uint32_t within = column % VK_P1_COLUMNS;

        row[column / VK_P1_COLUMNS * 4 + within % 4] += (uint8_t)(code * power[within / 4]);
}

static void finish_p1(uint8_t *row, uint32_t columns)
{
        uint32_t words = vk_packed_row_words(QVF_TQ1_0, columns);

        for (uint32_t column = columns; column < words * VK_P1_COLUMNS; column++)
                add_digit(row, column, 1);
        for (uint32_t i = 0; i < words * 4; i++)
                row[i] = (uint8_t)((row[i] * 256u + 242) / 243);
}

static void pack_row(const struct qvf_weight *weight, const uint8_t *blocks, uint8_t *row, float *scales)
{
        uint32_t block_bytes = weight->dtype == QVF_TQ2_0 ? TQ2_BYTES : TQ1_BYTES;
        uint8_t codes[BLOCK];

        memset(row, 0, (size_t)vk_packed_row_words(weight->dtype, weight->columns) * 4);
        for (uint32_t column = 0; column < weight->columns; column += BLOCK, blocks += block_bytes) {
                float scale;

                unpack(weight->dtype, blocks, codes, &scale);
                if (scale == 0) /* no weights but 0, whatever the codes say */
                        memset(codes, 1, sizeof(codes));
                if (scales)
                        scales[column / BLOCK] = scale;
                if (weight->dtype == QVF_TQ2_0)
                        add_p2(row, column, codes);
                else
                        for (unsigned i = 0; i < BLOCK; i++)
                                add_digit(row, column + i, codes[i]);
        }
        if (weight->dtype == QVF_TQ1_0)
                finish_p1(row, weight->columns);
}

int vk_pack(struct qvf_device *device, const struct qvf_weight *weight, void *packed)
{
        uint64_t row_words = vk_packed_row_words(weight->dtype, weight->columns), bytes;
        uint64_t blocks = weight->columns / BLOCK;
        uint64_t file_row = blocks * (weight->dtype == QVF_TQ2_0 ? TQ2_BYTES : TQ1_BYTES);
        uint64_t scales = vk_packed_scales(weight->dtype, weight->rows, weight->columns);
        int r = vk_pack_size(device, weight, &bytes);

        if (r < 0 || bytes == 0 || weight->bytes / (file_row ? file_row : 1) < weight->rows)
                return r < 0 ? r : -EINVAL;
        if (weight->block_scales)
                memset((uint8_t *)packed + weight->rows * row_words * 4, 0,
                                scales - weight->rows * row_words * 4);
        for (uint64_t row = 0; row < weight->rows; row++)
                pack_row(weight, (const uint8_t *)weight->data + row * file_row,
                                (uint8_t *)packed + row * row_words * 4,
                                weight->block_scales ? (float *)((uint8_t *)packed + scales) + row * blocks
                                                     : NULL);
        return 0;
}
