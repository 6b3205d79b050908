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

static float scale_of(const uint8_t *block, unsigned bytes)
{
        return qvf_f16_to_f32(qvf_load_u16(block + bytes - 2));
}

/* Element 128h + 32n + m stands in byte 32h + m at bit 2n. Words 2n and 2n + 1 of a half take their codes from its first
 * and its last 16 bytes: both at once. */
static void pack_tq2(const uint8_t *block, uint8_t *to)
{
        for (unsigned half = 0; half < 2; half++) {
                uint32_t from[8];

                memcpy(from, block + 32 * half, sizeof(from));
                for (unsigned n = 0; n < 4; n++) {
                        uint64_t words = 0;

                        for (unsigned i = 0; i < 4; i++) {
                                uint64_t both = from[i] | (uint64_t)from[4 + i] << 32;

                                words |= (both >> 2 * n & 0x0303030303030303u) << 2 * i;
                        }
                        memcpy(to + 4 * (8 * half + 2 * n), &words, sizeof(words));
                }
        }
}

static void pack_row_tq2(const uint8_t *blocks, uint32_t columns, uint8_t *row, float *scales)
{
        for (uint32_t i = 0; i < columns / BLOCK; i++) {
                const uint8_t *block = blocks + (size_t)i * TQ2_BYTES;
                uint8_t *to = row + (size_t)i * BLOCK / VK_P2_COLUMNS * 4;
                float scale = scale_of(block, TQ2_BYTES);

                if (scales)
                        scales[i] = scale;
                if (scale == 0) /* no weights but 0, whatever the codes say */
                        memset(to, 0x55, BLOCK / VK_P2_COLUMNS * 4);
                else
                        pack_tq2(block, to);
        }
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

static void unpack_tq1(const uint8_t *block, uint8_t codes[BLOCK])
{
        unpack_digits(block, 32, 5, codes);
        unpack_digits(block + 32, 16, 5, codes + 160);
        unpack_digits(block + 48, 4, 4, codes + 240);
}

/* Digit i of a byte is worth 3^(4 - i); the byte is their sum as a fraction of 256. */
static void pack_tq1(const uint8_t *codes, uint32_t words, uint8_t *to)
{
        for (uint32_t j = 0; j < words; j++, codes += VK_P1_COLUMNS)
                for (unsigned b = 0; b < 4; b++) {
                        const uint8_t *c = codes + b;
                        uint32_t sum = 81u * c[0] + 27u * c[4] + 9u * c[8] + 3u * c[12] + c[16];

                        to[4 * j + b] = (uint8_t)((sum * 256 + 242) / 243);
                }
}

#define TOGETHER 5u /* blocks that are whole words */

static void pack_row_tq1(const uint8_t *blocks, uint32_t columns, uint8_t *row, float *scales)
{
        uint32_t count = columns / BLOCK, words = vk_packed_row_words(QVF_TQ1_0, columns), word = 0;

        for (uint32_t first = 0; word < words; first += TOGETHER) {
                uint8_t codes[TOGETHER * BLOCK];
                uint32_t here = words - word;

                memset(codes, 1, sizeof(codes));
                for (uint32_t i = first; i < count && i < first + TOGETHER; i++) {
                        const uint8_t *block = blocks + (size_t)i * TQ1_BYTES;
                        float scale = scale_of(block, TQ1_BYTES);

                        if (scales)
                                scales[i] = scale;
                        if (scale != 0)
                                unpack_tq1(block, codes + (i - first) * BLOCK);
                }
                if (here > sizeof(codes) / VK_P1_COLUMNS)
                        here = sizeof(codes) / VK_P1_COLUMNS;
                pack_tq1(codes, here, row + (size_t)word * 4);
                word += here;
        }
}

static void pack_row(const struct qvf_weight *weight, const uint8_t *blocks, uint8_t *row, float *scales)
{
        if (weight->dtype == QVF_TQ2_0)
                pack_row_tq2(blocks, weight->columns, row, scales);
        else
                pack_row_tq1(blocks, weight->columns, row, scales);
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
