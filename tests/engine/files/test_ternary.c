/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/half.h"
#include "engine/files/dtype.h"
#include "engine/files/gguf.h"
#include "engine/files/ternary.h"

/* Odd widths of public models, and the edges of a block. */
static const uint64_t widths[] = { 1, 255, 256, 257, 512, 3200, 5460 };
#define ROWS 5

static unsigned random_state = 7;

static unsigned next_random(void)
{
        random_state = random_state * 1664525u + 1013904223u;
        return random_state >> 16;
}

static float *random_ternary(uint64_t count, float scale)
{
        float *values = calloc(count, sizeof(*values));

        ck_assert_ptr_nonnull(values);
        for (uint64_t i = 0; i < count; i++)
                values[i] = ((float)(next_random() % 3) - 1) * scale;
        return values;
}

static uint8_t *allocate_rows(uint64_t rows, uint64_t columns)
{
        uint64_t bytes;
        uint8_t *blocks;

        ck_assert_int_eq(qvf_ternary_tq2_bytes(rows, columns, &bytes), 0);
        ck_assert_uint_eq(bytes, rows * ((columns + 255) / 256) * 66);
        blocks = malloc(bytes);
        ck_assert_ptr_nonnull(blocks);
        memset(blocks, 0xee, bytes);
        return blocks;
}

/* The rows hold the signs of `values`, zeros after them, and `scale` (as near as f16 can) in every block. */
static void check_rows(const uint8_t *blocks, const float *values, uint64_t rows, uint64_t columns)
{
        uint8_t codes[256];

        for (uint64_t row = 0; row < rows; row++)
                for (uint64_t block = 0; block < (columns + 255) / 256; block++, blocks += 66) {
                        qvf_tq2_codes(blocks, codes);
                        for (uint64_t i = 0; i < 256; i++) {
                                uint64_t column = block * 256 + i;
                                float value = column < columns ? values[row * columns + column] : 0;

                                ck_assert_int_eq(codes[i], 1 + (value > 0) - (value < 0));
                        }
                }
}

START_TEST(recover_dense)
{
        static const enum qvf_dtype dtypes[] = { QVF_F32, QVF_F16, QVF_BF16, QVF_Q8_0, QVF_Q4_0 };
        uint64_t columns = widths[_i];

        for (size_t k = 0; k < sizeof(dtypes) / sizeof(dtypes[0]); k++) {
                uint32_t block = qvf_dtype_info(dtypes[k])->block_length;
                uint64_t width = (columns + block - 1) / block * block, bytes;
                _cleanup_free_ float *values = random_ternary(ROWS * width, 0.0419921875f);
                _cleanup_free_ uint8_t *data = NULL, *blocks = allocate_rows(ROWS, width);
                struct qvf_ternary_recovered recovered = { 0 };

                ck_assert_int_eq(qvf_dtype_tensor_bytes(dtypes[k], ROWS, width, &bytes), 0);
                data = malloc(bytes);
                ck_assert_int_eq(qvf_dtype_quantise_row(dtypes[k], values, data, ROWS * width), 0);
                ck_assert_int_eq(qvf_ternary_recover(dtypes[k], data, ROWS, width, blocks, &recovered), 0);
                ck_assert(!recovered.block_scales);
                if (dtypes[k] == QVF_Q8_0) /* d is 1/127 of it, in f16 */
                        ck_assert_float_eq_tol(recovered.scale, 0.0419921875f, 2e-5f);
                else
                        ck_assert_float_eq(recovered.scale, 0.0419921875f);
                check_rows(blocks, values, ROWS, width);
        }
}
END_TEST

START_TEST(recover_q4_0_with_cut_sign)
{
        float values[64] = { 0 }, back[64];
        uint8_t data[36], blocks[66];
        struct qvf_ternary_recovered recovered;

        for (unsigned i = 0; i < 64; i++)
                values[i] = i % 3 == 0 ? -0.5f : i % 3 == 1 ? 0.5f : 0;
        ck_assert_int_eq(qvf_dtype_quantise_row(QVF_Q4_0, values, data, 64), 0);
        ck_assert_int_eq(qvf_dtype_dequantise_row(QVF_Q4_0, data, back, 64), 0);
        ck_assert_float_eq(back[0], -0.5f);
        ck_assert_float_eq(back[1], 0.4375f);
        ck_assert_int_eq(qvf_ternary_recover(QVF_Q4_0, data, 1, 64, blocks, &recovered), 0);
        ck_assert_float_eq(recovered.scale, 0.5f);
        check_rows(blocks, values, 1, 64);
}
END_TEST

START_TEST(recover_says_not_ternary)
{
        float values[300] = { 0 };
        uint8_t blocks[2 * 66];
        struct qvf_ternary_recovered recovered = { 0 };

        values[0] = 0.1f, values[299] = 0.10001f;
        ck_assert_int_eq(qvf_ternary_recover(QVF_F32, values, 1, 300, blocks, &recovered), -ERANGE);
        ck_assert_int_eq(qvf_ternary_recover(QVF_F32, values, 1, 300, NULL, &recovered), -ERANGE);
        values[299] = NAN;
        ck_assert_int_eq(qvf_ternary_recover(QVF_F32, values, 1, 300, blocks, &recovered), -ERANGE);
        values[0] = INFINITY, values[299] = INFINITY;
        ck_assert_int_eq(qvf_ternary_recover(QVF_F32, values, 1, 300, blocks, &recovered), -ERANGE);
        /* 7/8 of the scale is the same number only where Q4_0 cut it */
        values[0] = 1, values[299] = 0.875f;
        ck_assert_int_eq(qvf_ternary_recover(QVF_F32, values, 1, 300, blocks, &recovered), 0);
        ck_assert(recovered.block_scales);
        values[1] = 0.875f;
        ck_assert_int_eq(qvf_ternary_recover(QVF_F32, values, 1, 300, blocks, &recovered), -ERANGE);
        ck_assert_int_eq(qvf_ternary_recover(QVF_Q6_K, values, 1, 256, blocks, &recovered), -EOPNOTSUPP);
        ck_assert_int_eq(qvf_ternary_recover(QVF_Q8_0, values, 1, 33, blocks, &recovered), -EINVAL);
        ck_assert_int_eq(qvf_ternary_recover(QVF_F32, values, UINT64_MAX / 4, 512, NULL, &recovered),
                        -EOVERFLOW);
}
END_TEST

START_TEST(recover_zeros_and_tiny_scales)
{
        float values[257] = { 0 };
        uint8_t blocks[2 * 66];
        struct qvf_ternary_recovered recovered = { .scale = 5 };

        ck_assert_int_eq(qvf_ternary_recover(QVF_F32, values, 1, 257, blocks, &recovered), 0);
        ck_assert(!recovered.block_scales);
        ck_assert_float_eq(recovered.scale, 0);
        ck_assert_uint_eq(qvf_load_u16(blocks + 64), 0);
        values[256] = 1e-12f;
        ck_assert_int_eq(qvf_ternary_recover(QVF_F32, values, 1, 257, blocks, &recovered), 0);
        ck_assert_float_eq(recovered.scale, 1e-12f);
        ck_assert_uint_eq(qvf_load_u16(blocks + 66 + 64), 1); /* not 0: that would say "all zero" */
        values[256] = 1e12f;
        ck_assert_int_eq(qvf_ternary_recover(QVF_F32, values, 1, 257, blocks, &recovered), 0);
        ck_assert_uint_eq(qvf_load_u16(blocks + 66 + 64), 0x7bff);
}
END_TEST

/* Rows of models trained on several devices have their shard's scale. */
START_TEST(recover_scales_per_shard)
{
        uint64_t columns = 512;
        _cleanup_free_ float *values = random_ternary(4 * columns, 1);
        _cleanup_free_ uint8_t *blocks = allocate_rows(4, columns);
        struct qvf_ternary_recovered recovered;
        float back[512];

        for (uint64_t i = 0; i < 4 * columns; i++)
                values[i] *= i / columns < 2 ? 0.25f : 0.3125f;
        ck_assert_int_eq(qvf_ternary_recover(QVF_F32, values, 4, columns, blocks, &recovered), 0);
        ck_assert(recovered.block_scales);
        ck_assert_float_eq(recovered.scale, 1);
        for (uint64_t row = 0; row < 4; row++) {
                ck_assert_int_eq(qvf_dtype_dequantise_row(QVF_TQ2_0, blocks + row * 132, back, columns), 0);
                for (uint64_t i = 0; i < columns; i++)
                        ck_assert_float_eq(back[i], values[row * columns + i]);
        }
        values[0] = values[0] == 0 ? 0.25f : values[0];
        for (uint64_t i = 0; i < 2 * columns; i++) /* 0.1f has no f16 */
                values[i] = values[i] > 0 ? 0.1f : values[i] < 0 ? -0.1f : 0;
        ck_assert_int_eq(qvf_ternary_recover(QVF_F32, values, 4, columns, blocks, &recovered), -ERANGE);
}
END_TEST

START_TEST(inspect)
{
        _cleanup_free_ float *values = random_ternary(4 * 256, 0.5f);
        static const enum qvf_dtype dtypes[] = { QVF_TQ1_0, QVF_TQ2_0 };

        for (unsigned k = 0; k < 2; k++) {
                unsigned bytes = qvf_dtype_info(dtypes[k])->block_bytes;
                struct qvf_ternary_facts facts;
                struct qvf_error error;
                uint8_t data[4 * 66];

                ck_assert_int_eq(qvf_dtype_quantise_row(dtypes[k], values, data, 4 * 256), 0);
                ck_assert_int_eq(qvf_ternary_inspect(dtypes[k], data, 2, 512, "w", &facts, &error), 0);
                ck_assert(facts.uniform);
                ck_assert_float_eq(facts.scale, 0.5f);
                ck_assert_uint_eq(facts.dead_blocks, 0);

                qvf_store_u16(data + bytes - 2, 0x8000); /* -0 */
                ck_assert_int_eq(qvf_ternary_inspect(dtypes[k], data, 2, 512, "w", &facts, &error), 0);
                ck_assert(facts.uniform);
                ck_assert_uint_eq(facts.dead_blocks, 1);
                ck_assert_uint_eq(facts.dead_blocks_with_codes, 1);
                ck_assert_int_eq(qvf_ternary_clear_dead(dtypes[k], data, 4), 0);
                ck_assert_int_eq(qvf_ternary_inspect(dtypes[k], data, 2, 512, "w", &facts, &error), 0);
                ck_assert_uint_eq(facts.dead_blocks, 1);
                ck_assert_uint_eq(facts.dead_blocks_with_codes, 0);

                qvf_store_u16(data + 2 * bytes - 2, 0x3801);
                ck_assert_int_eq(qvf_ternary_inspect(dtypes[k], data, 2, 512, "w", &facts, &error), 0);
                ck_assert(!facts.uniform);
                ck_assert_float_eq(facts.scale, 1);

                qvf_store_u16(data + 2 * bytes - 2, 0x7e00);
                ck_assert_int_eq(qvf_ternary_inspect(dtypes[k], data, 2, 512, "w", &facts, &error), -EINVAL);
                ck_assert_str_eq(error.text, "tensor 'w': the scale of block 1 is no finite number");
                ck_assert_int_eq(qvf_ternary_inspect(dtypes[k], data, 2, 511, "w", &facts, &error), -EINVAL);
                ck_assert_int_eq(qvf_ternary_inspect(QVF_F16, data, 2, 512, "w", &facts, &error),
                                -EOPNOTSUPP);
                ck_assert_int_eq(qvf_ternary_inspect(dtypes[k], data, UINT64_MAX, 512, "w", &facts, &error),
                                -EOVERFLOW);
        }
}
END_TEST

START_TEST(code_3_is_refused)
{
        uint8_t tq2[66] = { 0 }, tq1[54], i2s[64 + 32] = { 0 }, blocks[66];
        struct qvf_ternary_facts facts;
        struct qvf_error error;
        float scale = 1;

        tq2[63] = 0xc0;
        ck_assert_int_eq(qvf_ternary_inspect(QVF_TQ2_0, tq2, 1, 256, "w", &facts, &error), -EINVAL);
        ck_assert_int_eq(qvf_tq2_to_tq1(tq2, tq1, 1), -EINVAL);
        memcpy(i2s + 64, &scale, 4);
        ck_assert_int_eq(qvf_i2s_unpack(i2s, 1, 256, QVF_I2S_X86, "w", blocks, &scale, &error), 0);
        i2s[63] = 3;
        ck_assert_int_eq(qvf_i2s_unpack(i2s, 1, 256, QVF_I2S_X86, "w", blocks, &scale, &error), -EINVAL);
        ck_assert_str_eq(error.text, "tensor 'w': byte 63 holds a code of 3, expected 0, 1 or 2");
        i2s[63] = 0;
        scale = NAN;
        memcpy(i2s + 64, &scale, 4);
        ck_assert_int_eq(qvf_i2s_unpack(i2s, 1, 256, QVF_I2S_X86, "w", blocks, &scale, &error), -EINVAL);
}
END_TEST

START_TEST(tq1_and_tq2_without_loss)
{
        _cleanup_free_ float *values = random_ternary(64 * 256, 0.0421f);
        uint8_t tq1[64 * 54], tq2[64 * 66], from_tq1[64 * 66], from_tq2[64 * 54];

        ck_assert_int_eq(qvf_dtype_quantise_row(QVF_TQ1_0, values, tq1, 64 * 256), 0);
        ck_assert_int_eq(qvf_dtype_quantise_row(QVF_TQ2_0, values, tq2, 64 * 256), 0);
        qvf_tq1_to_tq2(tq1, from_tq1, 64);
        ck_assert_mem_eq(from_tq1, tq2, sizeof(tq2));
        ck_assert_int_eq(qvf_tq2_to_tq1(tq2, from_tq2, 64), 0);
        ck_assert_mem_eq(from_tq2, tq1, sizeof(tq1));
}
END_TEST

/* The layout as the format's facts state it, element by element. */
START_TEST(i2s_layout)
{
        static const enum qvf_i2s_order orders[] = { QVF_I2S_X86, QVF_I2S_ARM };

        for (unsigned k = 0; k < 2; k++)
                for (uint64_t i = 0; i < 256; i++) {
                        unsigned bytes = orders[k] == QVF_I2S_X86 ? 32 : 16, group = 4 * bytes;
                        uint8_t data[64 + 32], blocks[66], codes[256];
                        struct qvf_error error;
                        float scale = 0.125f;

                        memset(data, 0x55, 64); /* all zero... */
                        memcpy(data + 64, &scale, 4);
                        data[i / group * bytes + i % bytes] ^= (uint8_t)(3 << (6 - 2 * (i % group / bytes)));
                        ck_assert_int_eq(
                                        qvf_i2s_unpack(data, 1, 256, orders[k], "w", blocks, &scale, &error),
                                        0);
                        qvf_tq2_codes(blocks, codes);
                        for (uint64_t j = 0; j < 256; j++) /* ...but one */
                                ck_assert_int_eq(codes[j], i == j ? 2 : 1);
                        ck_assert_float_eq(scale, 0.125f);
                }
}
END_TEST

START_TEST(i2s_round_trip)
{
        static const enum qvf_i2s_order orders[] = { QVF_I2S_X86, QVF_I2S_ARM };
        uint64_t columns = widths[_i], rows = columns % 64 == 0 ? 6 : 128;

        for (unsigned k = 0; k < 2; k++) {
                _cleanup_free_ float *values = random_ternary(rows * columns, 0.3f);
                _cleanup_free_ uint8_t *blocks = allocate_rows(rows, columns),
                                       *back = allocate_rows(rows, columns);
                _cleanup_free_ uint8_t *data = NULL;
                struct qvf_ternary_recovered recovered;
                struct qvf_error error;
                uint64_t bytes;
                float scale;

                ck_assert_int_eq(qvf_ternary_recover(QVF_F32, values, rows, columns, blocks, &recovered), 0);
                ck_assert_int_eq(qvf_dtype_tensor_bytes(QVF_I2_S, rows, columns, &bytes), 0);
                ck_assert_uint_eq(bytes, rows * columns / 4 + 32);
                data = malloc(bytes);
                ck_assert_int_eq(qvf_i2s_pack(blocks, rows, columns, orders[k], 0.3f, data), 0);
                ck_assert_int_eq(qvf_i2s_unpack(data, rows, columns, orders[k], "w", back, &scale, &error),
                                0);
                ck_assert_float_eq(scale, 0.3f);
                check_rows(back, values, rows, columns);
        }
}
END_TEST

START_TEST(i2s_order_is_guessed_from_what_goes_with_it)
{
        static const enum qvf_i2s_order orders[] = { QVF_I2S_X86, QVF_I2S_ARM };
        enum { columns = 512, rows = 400 };
        _cleanup_free_ float *values = calloc((size_t)rows * columns, sizeof(float));
        _cleanup_free_ uint8_t *blocks = allocate_rows(rows, columns), *data = NULL;
        struct qvf_ternary_recovered recovered;
        struct qvf_i2s_guess guess;
        float hint[columns];

        for (unsigned i = 0; i < columns; i++)
                hint[i] = 0.2f + (float)(next_random() % 100) / 100;
        for (unsigned i = 0; i < rows * columns; i++) /* where the norm is large, more weights are zero */
                values[i] = (float)(next_random() % 150) < 100 * hint[i % columns] ? 0
                            : next_random() % 2                                    ? 1
                                                                                   : -1;
        ck_assert_int_eq(qvf_ternary_recover(QVF_F32, values, rows, columns, blocks, &recovered), 0);
        data = malloc(rows * columns / 4 + 32);
        for (unsigned k = 0; k < 2; k++) {
                ck_assert_int_eq(qvf_i2s_pack(blocks, rows, columns, orders[k], 1, data), 0);
                ck_assert_int_eq(qvf_i2s_guess_order(data, rows, columns, hint, &guess), 0);
                ck_assert(guess.sure);
                ck_assert_int_eq(guess.order, orders[k]);
                ck_assert_int_eq(qvf_i2s_guess_order(data, rows, columns, NULL, &guess), 0);
                ck_assert(!guess.sure);
                ck_assert_int_eq(guess.order, QVF_I2S_X86);
        }
        ck_assert_int_eq(qvf_i2s_guess_order(data, 1, 64, NULL, &guess), 0);
        ck_assert(guess.sure);
        ck_assert_int_eq(guess.order, QVF_I2S_ARM);
        ck_assert_int_eq(qvf_i2s_guess_order(data, 1, 65, NULL, &guess), -EINVAL);
}
END_TEST

START_TEST(i2s_bad_sizes)
{
        uint8_t data[64] = { 0 }, blocks[66];
        struct qvf_error error;
        float scale;

        ck_assert_int_eq(qvf_i2s_unpack(data, 1, 64, QVF_I2S_ARM, "w", blocks, &scale, &error), 0);
        ck_assert_int_eq(qvf_i2s_unpack(data, 1, 64, QVF_I2S_X86, "w", blocks, &scale, &error), -EINVAL);
        ck_assert_int_eq(qvf_i2s_unpack(data, 1, 65, QVF_I2S_ARM, "w", blocks, &scale, &error), -EINVAL);
        ck_assert_int_eq(qvf_i2s_unpack(data, 1, 64, QVF_I2S_AUTO, "w", blocks, &scale, &error), -EINVAL);
        ck_assert_int_eq(qvf_i2s_unpack(data, UINT64_MAX, 64, QVF_I2S_ARM, "w", blocks, &scale, &error),
                        -EOVERFLOW);
}
END_TEST

/* The same trained weights in two formats: every matrix comes out the same, uniform, and without dead blocks. */
START_TEST(shipped_models_agree)
{
        _cleanup_(qvf_gguf_freep) struct qvf_gguf *one = NULL, *two = NULL;
        struct qvf_error error = { 0 };
        unsigned n_ternary = 0;

        ck_assert_msg(qvf_gguf_open("models/tiny-relu2.TQ1_0.gguf", &one, &error) == 0, "%s", error.text);
        ck_assert_msg(qvf_gguf_open("models/tiny-relu2.TQ2_0.gguf", &two, &error) == 0, "%s", error.text);
        for (uint32_t i = 0; i < qvf_gguf_tensors(one); i++) {
                const struct qvf_gguf_tensor *tq1 = qvf_gguf_tensor(one, i);
                const struct qvf_gguf_tensor *tq2 = qvf_gguf_find_tensor(two, tq1->name);
                _cleanup_free_ uint8_t *converted = NULL;
                struct qvf_ternary_facts facts;

                ck_assert_ptr_nonnull(tq2);
                if (tq1->dtype != QVF_TQ1_0)
                        continue;
                n_ternary++;
                ck_assert_int_eq(qvf_ternary_inspect(QVF_TQ1_0, tq1->data, tq1->ne[1], tq1->ne[0], tq1->name,
                                                 &facts, &error),
                                0);
                ck_assert(facts.uniform && facts.scale > 0 && facts.dead_blocks == 0);
                converted = malloc(tq2->size_bytes);
                ck_assert_ptr_nonnull(converted);
                qvf_tq1_to_tq2(tq1->data, converted, tq1->size_bytes / QVF_TQ1_BLOCK_BYTES);
                ck_assert_mem_eq(converted, tq2->data, tq2->size_bytes);
        }
        ck_assert_uint_eq(n_ternary, 14);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("ternary");
        TCase *tcase = tcase_create("ternary");
        SRunner *runner = srunner_create(suite);
        int failed, n_widths = sizeof(widths) / sizeof(widths[0]);

        tcase_set_timeout(tcase, 60);
        tcase_add_loop_test(tcase, recover_dense, 0, n_widths);
        tcase_add_test(tcase, recover_q4_0_with_cut_sign);
        tcase_add_test(tcase, recover_says_not_ternary);
        tcase_add_test(tcase, recover_zeros_and_tiny_scales);
        tcase_add_test(tcase, recover_scales_per_shard);
        tcase_add_test(tcase, inspect);
        tcase_add_test(tcase, code_3_is_refused);
        tcase_add_test(tcase, tq1_and_tq2_without_loss);
        tcase_add_test(tcase, i2s_layout);
        tcase_add_loop_test(tcase, i2s_round_trip, 0, n_widths);
        tcase_add_test(tcase, i2s_order_is_guessed_from_what_goes_with_it);
        tcase_add_test(tcase, i2s_bad_sizes);
        tcase_add_test(tcase, shipped_models_agree);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
