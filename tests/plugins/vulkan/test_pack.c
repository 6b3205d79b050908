/* SPDX-License-Identifier: Apache-2.0 */
/* What pack() of the Vulkan plugin writes, read back as its shaders read it, beside the plain decoder. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/half.h"
#include "engine/files/dtype.h"
#include "plugins/cpu/plain/plain.h"
#include "plugins/vulkan/pack.c"
#include "tests/support/suite.h"

static unsigned seed(void)
{
        const char *given = getenv("QVF_TEST_SEED");
        unsigned number = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);

        printf("QVF_TEST_SEED=%u\n", number);
        return number;
}

/* The weight of a column, -1, 0 or 1. */
static int packed_weight(uint32_t dtype, const uint32_t *row, uint32_t column)
{
        if (dtype == QVF_TQ2_0)
                return (int)(row[column / 16] >> (column % 4 * 8 + column % 16 / 4 * 2) & 3) - 1;
        return (int)qvf_tq1_digit((uint8_t)(row[column / 20] >> (column % 4 * 8)), column % 20 / 4) - 1;
}

/* Random blocks; every ninth has a scale of 0 where the model would multiply by it. */
static uint8_t *random_weight(struct qvf_weight *weight)
{
        size_t block_bytes = plain_row_bytes(weight->dtype, 256);
        size_t blocks = (size_t)weight->rows * (weight->columns / 256);
        uint8_t *data = malloc(blocks * block_bytes);
        uint8_t codes[256];

        ck_assert_ptr_nonnull(data);
        for (size_t b = 0; b < blocks; b++) {
                float scale = weight->block_scales ? 0.01f * (float)(rand() % 7) : weight->scale;

                for (int i = 0; i < 256; i++)
                        codes[i] = (uint8_t)(rand() % 3);
                (weight->dtype == QVF_TQ1_0 ? qvf_tq1_pack : qvf_tq2_pack)(
                                codes, qvf_f32_to_f16(scale), data + b * block_bytes);
        }
        weight->data = data;
        weight->bytes = blocks * block_bytes;
        return data;
}

static void compare(const struct qvf_weight *weight, const uint8_t *packed)
{
        struct cpu_operand plain = { .data = (void *)weight->data,
                .rows = weight->rows,
                .columns = weight->columns,
                .dtype = weight->dtype,
                .scale = weight->scale,
                .block_scales = weight->block_scales };
        uint32_t words = vk_packed_row_words(weight->dtype, weight->columns);
        const float *scales = (const float *)(packed + vk_packed_scales(weight->dtype, weight->rows,
                                                                       weight->columns));
        float *numbers = malloc(weight->columns * sizeof(*numbers));

        ck_assert_ptr_nonnull(numbers);
        for (uint32_t row = 0; row < weight->rows; row++) {
                const uint32_t *codes = (const uint32_t *)packed + (size_t)row * words;

                plain_dequantise(&plain, row, 0, weight->columns, numbers);
                for (uint32_t c = 0; c < weight->columns; c++) {
                        float scale = weight->scale;

                        if (weight->block_scales)
                                scale *= scales[(size_t)row * (weight->columns / 256) + c / 256];
                        ck_assert_msg(scale * (float)packed_weight(weight->dtype, codes, c) == numbers[c],
                                        "dtype %u, %u x %u, row %u, column %u", weight->dtype, weight->rows,
                                        weight->columns, row, c);
                }
                if (weight->dtype == QVF_TQ1_0)
                        for (uint32_t c = weight->columns; c < words * VK_P1_COLUMNS; c++)
                                ck_assert_int_eq(packed_weight(QVF_TQ1_0, codes, c), 0);
        }
        free(numbers);
}

static void check_shape(uint32_t dtype, uint32_t rows, uint32_t columns, bool block_scales)
{
        struct qvf_weight weight = { .size = sizeof(weight),
                .dtype = dtype,
                .rows = rows,
                .columns = columns,
                .scale = 0.75f,
                .block_scales = block_scales };
        uint64_t bytes;
        uint8_t *data, *packed, *again;

        ck_assert_int_eq(vk_pack_size(NULL, &weight, &bytes), 0); /* looks at no data */
        data = random_weight(&weight);
        packed = malloc(bytes);
        again = malloc(bytes);
        ck_assert(packed && again);
        memset(packed, 0x5a, bytes);
        memset(again, 0xa5, bytes);
        ck_assert_int_eq(vk_pack(NULL, &weight, packed), 0);
        ck_assert_int_eq(vk_pack(NULL, &weight, again), 0);
        ck_assert_mem_eq(packed, again, bytes); /* every byte was written */
        compare(&weight, packed);
        free(data);
        free(packed);
        free(again);
}

START_TEST(weights_of_odd_shapes)
{
        srand(seed());
        for (int i = 0; i < 40; i++) {
                uint32_t rows = 1 + (uint32_t)rand() % 40, columns = 256 * (1 + (uint32_t)rand() % 12);

                check_shape(i % 2 ? QVF_TQ1_0 : QVF_TQ2_0, rows, columns, rand() % 3 == 0);
        }
}
END_TEST

START_TEST(blocks_without_weight)
{
        struct qvf_weight weight = { .dtype = QVF_TQ2_0, .rows = 1, .columns = 256, .scale = 0.5f };
        uint8_t codes[256], block[66];
        uint32_t packed[16];

        memset(codes, 2, sizeof(codes));
        qvf_tq2_pack(codes, 0, block);
        weight.data = block;
        weight.bytes = sizeof(block);
        ck_assert_int_eq(vk_pack(NULL, &weight, packed), 0);
        for (uint32_t c = 0; c < 256; c++)
                ck_assert_int_eq(packed_weight(QVF_TQ2_0, packed, c), 0);
}
END_TEST

START_TEST(what_cannot_be_packed)
{
        struct qvf_weight weight = { .dtype = QVF_Q8_0, .rows = 3, .columns = 256 };
        uint8_t data[66] = { 0 };
        uint64_t bytes = 1;

        ck_assert_int_eq(vk_pack_size(NULL, &weight, &bytes), 0);
        ck_assert_uint_eq(bytes, 0); /* used as it is */
        weight.dtype = QVF_TQ2_0;
        weight.columns = 300;
        ck_assert_int_eq(vk_pack_size(NULL, &weight, &bytes), -EINVAL);
        weight.columns = 256;
        weight.data = data;
        weight.bytes = sizeof(data); /* of three rows only one is there */
        ck_assert_int_eq(vk_pack(NULL, &weight, (uint32_t[48]){ 0 }), -EINVAL);
}
END_TEST

QVF_SUITE("vulkan pack", 60, weights_of_odd_shapes, blocks_without_weight, what_cannot_be_packed)
