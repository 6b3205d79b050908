/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/half.h"
#include "engine/files/dtype.h"

/* What an f16 is worth, straight from its definition. */
static double half_value(uint16_t half)
{
        int exponent = half >> 10 & 31, mantissa = half & 1023;
        double magnitude = exponent == 0    ? ldexp(mantissa, -24)
                           : exponent == 31 ? (mantissa ? NAN : INFINITY)
                                            : ldexp(1024 + mantissa, exponent - 25);

        return half & 0x8000 ? -magnitude : magnitude;
}

START_TEST(f16_to_f32_all)
{
        for (uint32_t i = 0; i <= 0xffff; i++) {
                float value = qvf_f16_to_f32((uint16_t)i);
                double expected = half_value((uint16_t)i);

                if (isnan(expected)) {
                        ck_assert(isnan(value));
                        ck_assert_uint_eq(qvf_f32_to_f16(value), i | 0x200);
                        continue;
                }
                ck_assert((double)value == expected && !signbit(value) == !signbit(expected));
                ck_assert_uint_eq(qvf_f32_to_f16(value), i);
        }
}
END_TEST

/* Between each two neighbours: the middle goes to the even one, a hair beside it to the nearer one. */
START_TEST(f32_to_f16_rounds_to_nearest_even)
{
        for (uint32_t i = 0; i < 0x7c00; i++) {
                double low = half_value((uint16_t)i);
                double high = i == 0x7bff ? 65536 : half_value((uint16_t)(i + 1));
                float middle = (float)((low + high) / 2);

                ck_assert((double)middle == (low + high) / 2);
                ck_assert_uint_eq(qvf_f32_to_f16(middle), i + (i & 1));
                ck_assert_uint_eq(qvf_f32_to_f16(nextafterf(middle, 0)), i);
                ck_assert_uint_eq(qvf_f32_to_f16(nextafterf(middle, INFINITY)), i + 1);
                ck_assert_uint_eq(qvf_f32_to_f16(-middle), 0x8000 | (i + (i & 1)));
        }
        ck_assert_uint_eq(qvf_f32_to_f16(1e30f), 0x7c00);
        ck_assert_uint_eq(qvf_f32_to_f16(-INFINITY), 0xfc00);
        ck_assert_uint_eq(qvf_f32_to_f16(1e-45f), 0);
}
END_TEST

START_TEST(bf16)
{
        for (uint32_t i = 0; i <= 0xffff; i++) {
                float value = qvf_bf16_to_f32((uint16_t)i);
                uint32_t bits = qvf_f32_bits(value);

                ck_assert_uint_eq(bits, i << 16);
                ck_assert_uint_eq(qvf_f32_to_bf16(value), isnan(value) ? i | 0x40 : i);
                if ((i & 0x7fff) >= 0x7f80)
                        continue;
                ck_assert_uint_eq(qvf_f32_to_bf16(qvf_f32_from_bits(bits + 0x7fff)), i);
                ck_assert_uint_eq(qvf_f32_to_bf16(qvf_f32_from_bits(bits + 0x8000)), i + (i & 1));
                ck_assert_uint_eq(qvf_f32_to_bf16(qvf_f32_from_bits(bits + 0x8001)), i + 1);
        }
        ck_assert_uint_eq(qvf_f32_to_bf16(qvf_f32_from_bits(0x7f800001)), 0x7fc0); /* stays a NaN */
}
END_TEST

START_TEST(sizes)
{
        static const struct {
                enum qvf_dtype dtype;
                int r;
                uint64_t rows, columns, bytes;
        } cases[] = {
                { QVF_F32, 0, 3, 5, 60 },
                { QVF_BF16, 0, 3, 5, 30 },
                { QVF_TQ2_0, 0, 2, 512, 264 },
                { QVF_TQ1_0, 0, 2, 512, 216 },
                { QVF_TQ1_0, -EINVAL, 2, 511, 0 },
                { QVF_Q4_K, 0, 1, 256, 144 },
                { QVF_Q6_K, 0, 1, 256, 210 },
                { QVF_Q8_0, 0, 1, 32, 34 },
                { QVF_Q4_0, -EINVAL, 1, 33, 0 },
                { QVF_I2_S, 0, 16, 4, 48 },
                { QVF_I2_S, -EINVAL, 16, 3, 0 },
                { QVF_F32, -EOVERFLOW, 1, UINT64_MAX / 2, 0 },
                { QVF_F32, -EOVERFLOW, UINT64_MAX / 2, 3, 0 },
                { QVF_F32, -EOVERFLOW, (uint64_t)1 << 62, 1, 0 },
                { (enum qvf_dtype)99, -EOPNOTSUPP, 1, 1, 0 },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                uint64_t bytes = 0;

                ck_assert_int_eq(qvf_dtype_tensor_bytes(
                                                 cases[i].dtype, cases[i].rows, cases[i].columns, &bytes),
                                cases[i].r);
                ck_assert_uint_eq(bytes, cases[i].bytes);
        }
        ck_assert_str_eq(qvf_dtype_name(QVF_I2_S), "I2_S");
        ck_assert_str_eq(qvf_dtype_name((enum qvf_dtype)99), "?");
}
END_TEST

START_TEST(file_types)
{
        enum qvf_dtype dtype;
        const char *name;

        ck_assert_int_eq(qvf_dtype_from_file(36, &dtype, &name), 0);
        ck_assert_int_eq(dtype, QVF_I2_S);
        ck_assert_int_eq(qvf_dtype_from_file(13, &dtype, &name), -EOPNOTSUPP);
        ck_assert_str_eq(name, "Q5_K");
        ck_assert_int_eq(qvf_dtype_from_file(1036, &dtype, &name), -EOPNOTSUPP); /* ours, never a file's */
        ck_assert_ptr_null(name);
}
END_TEST

struct record {
        char name[9];
        uint32_t kind, n_floats, n_bytes;
        float *floats;
        uint8_t *bytes;
};

static bool read_record(FILE *file, struct record *record)
{
        memset(record, 0, sizeof(*record));
        if (fread(record->name, 8, 1, file) != 1)
                return false;
        ck_assert_uint_eq(fread(&record->kind, 4, 3, file), 3);
        record->floats = calloc(record->n_floats, sizeof(float));
        record->bytes = calloc(record->n_bytes, 1);
        ck_assert_uint_eq(fread(record->floats, sizeof(float), record->n_floats, file), record->n_floats);
        ck_assert_uint_eq(fread(record->bytes, 1, record->n_bytes, file), record->n_bytes);
        return true;
}

static enum qvf_dtype dtype_of_name(const char *name)
{
        for (uint32_t id = 0; id < 40; id++) {
                enum qvf_dtype dtype;
                const char *its_name;

                if (qvf_dtype_from_file(id, &dtype, &its_name) == 0 && strcmp(name, its_name) == 0)
                        return dtype;
        }
        ck_abort_msg("no format %s", name);
}

/* Another implementation's numbers, bit for bit: tests/data/gguf/make_quants.py. */
START_TEST(golden)
{
        _cleanup_fclose_ FILE *file = fopen("tests/data/gguf/quants.bin", "rb");
        struct record record;
        unsigned n[2] = { 0 };

        ck_assert_ptr_nonnull(file);
        while (read_record(file, &record)) {
                enum qvf_dtype dtype = dtype_of_name(record.name);
                uint64_t bytes;

                ck_assert_int_eq(qvf_dtype_row_bytes(dtype, record.n_floats, &bytes), 0);
                ck_assert_uint_eq(bytes, record.n_bytes);
                if (record.kind == 0) {
                        _cleanup_free_ float *floats = calloc(record.n_floats, sizeof(float));

                        ck_assert_int_eq(qvf_dtype_dequantise_row(
                                                         dtype, record.bytes, floats, record.n_floats),
                                        0);
                        for (uint32_t i = 0; i < record.n_floats; i++)
                                ck_assert_msg(floats[i] == record.floats[i] ||
                                                                (isnan(floats[i]) &&
                                                                                isnan(record.floats[i])),
                                                "%s: float %u is %g, expected %g", record.name, i,
                                                (double)floats[i], (double)record.floats[i]);
                } else {
                        _cleanup_free_ uint8_t *back = calloc(record.n_bytes, 1);

                        ck_assert_int_eq(qvf_dtype_quantise_row(dtype, record.floats, back, record.n_floats),
                                        0);
                        for (uint32_t i = 0; i < record.n_bytes; i++)
                                ck_assert_msg(back[i] == record.bytes[i],
                                                "%s: byte %u is %02x, expected %02x", record.name, i,
                                                back[i], record.bytes[i]);
                }
                n[record.kind]++;
                free(record.floats);
                free(record.bytes);
        }
        ck_assert_uint_eq(n[0], 8);
        ck_assert_uint_eq(n[1], 6);
}
END_TEST

START_TEST(whole_blocks_only)
{
        uint8_t block[256] = { 0 };
        float values[256] = { 0 };

        ck_assert_int_eq(qvf_dtype_dequantise_row(QVF_TQ2_0, block, values, 255), -EINVAL);
        ck_assert_int_eq(qvf_dtype_quantise_row(QVF_Q8_0, values, block, 31), -EINVAL);
        ck_assert_int_eq(qvf_dtype_dequantise_row(QVF_I2_S, block, values, 256), -EOPNOTSUPP);
        ck_assert_int_eq(qvf_dtype_quantise_row(QVF_Q6_K, values, block, 256), -EOPNOTSUPP);
}
END_TEST

/* The byte of five digits is the ceiling that the digits come back from, for all 243 of them. */
START_TEST(tq1_digits_all)
{
        static const unsigned power[5] = { 81, 27, 9, 3, 1 };

        for (unsigned v = 0; v < 243; v++)
                for (unsigned n = 0; n < 5; n++)
                        ck_assert_uint_eq(qvf_tq1_digit((uint8_t)((v * 256 + 242) / 243), n),
                                        v / power[n] % 3);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("dtype");
        TCase *tcase = tcase_create("dtype");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, f16_to_f32_all);
        tcase_add_test(tcase, f32_to_f16_rounds_to_nearest_even);
        tcase_add_test(tcase, bf16);
        tcase_add_test(tcase, sizes);
        tcase_add_test(tcase, file_types);
        tcase_add_test(tcase, golden);
        tcase_add_test(tcase, whole_blocks_only);
        tcase_add_test(tcase, tq1_digits_all);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
