/* SPDX-License-Identifier: Apache-2.0 */
/* What good files say, and what the getters say of keys that do not fit. test_gguf_hostile.c has the bad
 * files. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/files/gguf.h"
#include "tests/support/gguf_builder.h"

static struct qvf_gguf *open_builder(const struct gguf_builder *builder)
{
        struct qvf_gguf *gguf = NULL;
        struct qvf_error error = { 0 };

        ck_assert_msg(gguf_builder_open(builder, &gguf, &error) == 0, "%s", error.text);
        return gguf;
}

START_TEST(versions_2_and_3)
{
        for (uint32_t version = 2; version <= 3; version++) {
                _cleanup_gguf_builder_ struct gguf_builder builder = { .version = version };
                _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
                static const float data[4] = { 1, 2, 3, 4 };
                const struct qvf_gguf_tensor *tensor;

                gguf_add_string(&builder, "general.architecture", "bitnet");
                gguf_add_tensor(&builder, "a", QVF_F32, 2, 2, data);
                gguf_add_tensor(&builder, "b", QVF_F16, 3, 1, NULL);
                gguf = open_builder(&builder);
                ck_assert_uint_eq(qvf_gguf_version(gguf), version);
                ck_assert_uint_eq(qvf_gguf_tensors(gguf), 2);
                ck_assert_ptr_null(qvf_gguf_find_tensor(gguf, "c"));
                ck_assert_ptr_null(qvf_gguf_find_tensor(gguf, ""));
                ck_assert_ptr_null(qvf_gguf_tensor(gguf, 2));
                tensor = qvf_gguf_find_tensor(gguf, "a");
                ck_assert_ptr_eq(tensor, qvf_gguf_tensor(gguf, 0));
                ck_assert_uint_eq(qvf_gguf_tensor_index(gguf, tensor), 0);
                ck_assert_uint_eq(tensor->n_dims, 2);
                ck_assert_uint_eq(tensor->ne[0], 2);
                ck_assert_uint_eq(tensor->ne[1], 2);
                ck_assert_uint_eq(tensor->ne[2], 1);
                ck_assert_uint_eq(tensor->size_bytes, 16);
                ck_assert_uint_eq(tensor->file_offset % 32, 0);
                ck_assert_uint_eq((uintptr_t)tensor->data % 32, 0);
                ck_assert_mem_eq(tensor->data, data, 16);
                ck_assert_uint_eq(qvf_gguf_find_tensor(gguf, "b")->size_bytes, 6);
        }
}
END_TEST

START_TEST(alignment_of_the_file)
{
        for (uint32_t alignment = 8; alignment <= 65536; alignment *= 8) {
                _cleanup_gguf_builder_ struct gguf_builder builder = { .alignment = alignment };
                _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
                float one = 1, two = 2;

                gguf_add_u32(&builder, "general.alignment", alignment);
                gguf_add_tensor(&builder, "one", QVF_F32, 1, 1, &one);
                gguf_add_tensor(&builder, "two", QVF_F32, 1, 1, &two);
                gguf = open_builder(&builder);
                ck_assert_mem_eq(qvf_gguf_find_tensor(gguf, "two")->data, &two, 4);
                ck_assert_uint_eq(qvf_gguf_find_tensor(gguf, "two")->file_offset % alignment, 0);
        }
}
END_TEST

/* One key of each type. */
static void add_all_types(struct gguf_builder *builder)
{
        static const char *const strings[] = { "one", "", "three" };
        int32_t i32s[] = { -1, 2, INT32_MIN };
        float f32s[] = { 0.5f, -1 };
        int8_t i8 = -5;
        int16_t i16 = -500;
        int64_t i64 = INT64_MIN;
        uint64_t u64 = UINT64_MAX;
        uint8_t u8 = 200;
        uint16_t u16 = 60000;
        double f64 = 0.25;

        gguf_add_string(builder, "general.architecture", "bitnet");
        gguf_add_raw(builder, "u8", QVF_GGUF_U8, &u8, 1);
        gguf_add_raw(builder, "i8", QVF_GGUF_I8, &i8, 1);
        gguf_add_raw(builder, "u16", QVF_GGUF_U16, &u16, 2);
        gguf_add_raw(builder, "i16", QVF_GGUF_I16, &i16, 2);
        gguf_add_u32(builder, "u32", UINT32_MAX);
        gguf_add_raw(builder, "i32", QVF_GGUF_I32, &i32s[0], 4);
        gguf_add_f32(builder, "f32", 1.5f);
        gguf_add_bool(builder, "bool", 1);
        gguf_add_string(builder, "string", "text");
        gguf_add_strings(builder, "strings", strings, 3);
        gguf_add_array(builder, "i32s", QVF_GGUF_I32, 3, i32s, sizeof(i32s));
        gguf_add_array(builder, "f32s", QVF_GGUF_F32, 2, f32s, sizeof(f32s));
        gguf_add_array(builder, "none", QVF_GGUF_F32, 0, NULL, 0);
        gguf_add_raw(builder, "u64", QVF_GGUF_U64, &u64, 8);
        gguf_add_raw(builder, "i64", QVF_GGUF_I64, &i64, 8);
        gguf_add_raw(builder, "f64", QVF_GGUF_F64, &f64, 8);
        gguf_add_u32(builder, "bitnet.block_count", 7);
}

START_TEST(getters)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };
        _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
        struct qvf_gguf_string string;
        uint64_t u64;
        uint32_t u32;
        int64_t i64;
        float f32;
        bool flag;

        add_all_types(&builder);
        gguf = open_builder(&builder);
        ck_assert_int_eq(qvf_gguf_get_u32(gguf, "u8", &u32, NULL), 0);
        ck_assert_uint_eq(u32, 200);
        ck_assert_int_eq(qvf_gguf_get_u32(gguf, "u16", &u32, NULL), 0);
        ck_assert_uint_eq(u32, 60000);
        ck_assert_int_eq(qvf_gguf_get_u32(gguf, "u32", &u32, NULL), 0);
        ck_assert_uint_eq(u32, UINT32_MAX);
        ck_assert_int_eq(qvf_gguf_get_u32(gguf, "A.block_count", &u32, NULL), 0);
        ck_assert_uint_eq(u32, 7);
        ck_assert_int_eq(qvf_gguf_get_i64(gguf, "i8", &i64, NULL), 0);
        ck_assert_int_eq(i64, -5);
        ck_assert_int_eq(qvf_gguf_get_i64(gguf, "i16", &i64, NULL), 0);
        ck_assert_int_eq(i64, -500);
        ck_assert_int_eq(qvf_gguf_get_i64(gguf, "i64", &i64, NULL), 0);
        ck_assert_int_eq(i64, INT64_MIN);
        ck_assert_int_eq(qvf_gguf_get_u64(gguf, "u64", &u64, NULL), 0);
        ck_assert_uint_eq(u64, UINT64_MAX);
        ck_assert_int_eq(qvf_gguf_get_f32(gguf, "f32", &f32, NULL), 0);
        ck_assert_float_eq(f32, 1.5f);
        ck_assert_int_eq(qvf_gguf_get_f32(gguf, "f64", &f32, NULL), 0);
        ck_assert_float_eq(f32, 0.25f);
        ck_assert_int_eq(qvf_gguf_get_bool(gguf, "bool", &flag, NULL), 0);
        ck_assert(flag);
        ck_assert_int_eq(qvf_gguf_get_string(gguf, "string", &string, NULL), 0);
        ck_assert(qvf_gguf_string_is(string, "text"));
        ck_assert(!qvf_gguf_string_is(string, "texts"));
}
END_TEST

START_TEST(arrays)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };
        _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
        _cleanup_free_ struct qvf_gguf_string *strings = NULL;
        struct qvf_gguf_string string;
        struct qvf_gguf_array array;
        uint64_t length;

        add_all_types(&builder);
        gguf = open_builder(&builder);
        ck_assert_int_eq(qvf_gguf_get_array(gguf, "i32s", QVF_GGUF_I32, &array, NULL), 0);
        ck_assert_uint_eq(array.length, 3);
        ck_assert_int_eq(qvf_gguf_array_i64(&array, 0), -1);
        ck_assert_int_eq(qvf_gguf_array_i64(&array, 2), INT32_MIN);
        ck_assert_int_eq(qvf_gguf_get_array(gguf, "f32s", QVF_GGUF_F32, &array, NULL), 0);
        ck_assert_float_eq(qvf_gguf_array_f32(&array, 1), -1);
        ck_assert_int_eq(qvf_gguf_get_array(gguf, "none", QVF_GGUF_F32, &array, NULL), 0);
        ck_assert_uint_eq(array.length, 0);
        ck_assert_int_eq(qvf_gguf_get_strings(gguf, "strings", &strings, &length, NULL), 0);
        ck_assert_uint_eq(length, 3);
        ck_assert(qvf_gguf_string_is(strings[0], "one"));
        ck_assert(qvf_gguf_string_is(strings[1], ""));
        ck_assert(qvf_gguf_string_is(strings[2], "three"));
        ck_assert(qvf_gguf_value_array(qvf_gguf_find_key(gguf, "strings"), &array));
        for (unsigned i = 0; i < 3; i++)
                ck_assert(qvf_gguf_array_next_string(&array, &string));
        ck_assert(!qvf_gguf_array_next_string(&array, &string));
        ck_assert(!qvf_gguf_value_array(qvf_gguf_find_key(gguf, "u8"), &array));
}
END_TEST

START_TEST(keys_in_order)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };
        _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
        const struct qvf_gguf_value *value;

        add_all_types(&builder);
        gguf = open_builder(&builder);
        ck_assert_uint_eq(qvf_gguf_keys(gguf), builder.n_keys);
        value = qvf_gguf_key(gguf, 1);
        ck_assert_uint_eq(value->key_length, 2);
        ck_assert_mem_eq(value->key, "u8", 2);
        ck_assert_str_eq(qvf_gguf_type_name(value->type), "u8");
        ck_assert_str_eq(qvf_gguf_type_name(99), "unknown");
        ck_assert_ptr_null(qvf_gguf_key(gguf, qvf_gguf_keys(gguf)));
        for (uint32_t i = 0; i < qvf_gguf_keys(gguf); i++) {
                _cleanup_free_ char *key = NULL;

                value = qvf_gguf_key(gguf, i);
                key = strndup(value->key, value->key_length);
                ck_assert_ptr_eq(qvf_gguf_find_key(gguf, key), value);
        }
}
END_TEST

#define EXPECT(call, code, words)                                                                           \
        do {                                                                                                \
                struct qvf_error error = { 0 };                                                             \
                ck_assert_int_eq(call, code);                                                               \
                ck_assert_msg(strstr(error.text, words) != NULL, "'%s' lacks '%s'", error.text, words);     \
        } while (0)

START_TEST(getters_refuse_other_types)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };
        _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
        struct qvf_gguf_string string, *strings;
        struct qvf_gguf_array array;
        float nan = NAN, f32;
        uint64_t u64;
        uint32_t u32;
        int64_t i64;
        bool flag;

        add_all_types(&builder);
        gguf_add_raw(&builder, "nan", QVF_GGUF_F32, &nan, 4);
        gguf_add_raw(&builder, "nul", QVF_GGUF_STRING, "\3\0\0\0\0\0\0\0a\0b", 11);
        gguf = open_builder(&builder);
        EXPECT(qvf_gguf_get_u32(gguf, "absent", &u32, &error), -ENOENT, "test.gguf: key 'absent' is absent");
        EXPECT(qvf_gguf_get_u32(gguf, "A.absent", &u32, &error), -ENOENT, "key 'bitnet.absent' is absent");
        EXPECT(qvf_gguf_get_u32(gguf, "f32", &u32, &error), -EINVAL,
                        "key 'f32' is of type f32, expected an integer");
        EXPECT(qvf_gguf_get_u32(gguf, "u64", &u32, &error), -EINVAL, "expected less than 2^32");
        EXPECT(qvf_gguf_get_u32(gguf, "i8", &u32, &error), -EINVAL, "key 'i8' is -5, expected 0 or more");
        EXPECT(qvf_gguf_get_u64(gguf, "i64", &u64, &error), -EINVAL, "expected 0 or more");
        EXPECT(qvf_gguf_get_u64(gguf, "bool", &u64, &error), -EINVAL,
                        "is of type bool, expected an integer");
        EXPECT(qvf_gguf_get_i64(gguf, "u64", &i64, &error), -EINVAL, "expected less than 2^63");
        EXPECT(qvf_gguf_get_i64(gguf, "i32s", &i64, &error), -EINVAL,
                        "is an array of i32, expected an integer");
        EXPECT(qvf_gguf_get_f32(gguf, "u32", &f32, &error), -EINVAL, "is of type u32, expected f32");
        EXPECT(qvf_gguf_get_f32(gguf, "nan", &f32, &error), -EINVAL, "no finite number");
        EXPECT(qvf_gguf_get_bool(gguf, "u8", &flag, &error), -EINVAL, "is of type u8, expected bool");
        EXPECT(qvf_gguf_get_string(gguf, "u8", &string, &error), -EINVAL, "is of type u8, expected string");
        EXPECT(qvf_gguf_get_string(gguf, "nul", &string, &error), -EINVAL, "without a NUL byte");
        EXPECT(qvf_gguf_get_array(gguf, "i32s", QVF_GGUF_F32, &array, &error), -EINVAL,
                        "is an array of i32, expected an array of f32");
        EXPECT(qvf_gguf_get_array(gguf, "u8", QVF_GGUF_U8, &array, &error), -EINVAL,
                        "expected an array of u8");
        EXPECT(qvf_gguf_get_strings(gguf, "i32s", &strings, &u64, &error), -EINVAL,
                        "expected an array of string");
}
END_TEST

/* --- files of several parts --- */

static void add_split_keys(struct gguf_builder *builder, uint16_t no, uint16_t count, int32_t n_tensors)
{
        gguf_add_raw(builder, "split.no", QVF_GGUF_U16, &no, 2);
        gguf_add_raw(builder, "split.count", QVF_GGUF_U16, &count, 2);
        gguf_add_raw(builder, "split.tensors.count", QVF_GGUF_I32, &n_tensors, 4);
}

/* Part `no` of three: keys in the first, tensor "tN" in each. */
static struct qvf_text split_part(uint16_t no, uint16_t count, int32_t n_tensors, const char *tensor)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };
        float value = no;

        add_split_keys(&builder, no, count, n_tensors);
        if (no == 0)
                gguf_add_string(&builder, "general.architecture", "llama");
        gguf_add_tensor(&builder, tensor, QVF_F32, 1, 1, &value);
        return gguf_finish(&builder);
}

static int open_parts(const struct qvf_text *parts, unsigned n, struct qvf_gguf **ret_gguf,
                struct qvf_error *error)
{
        const char *names[4] = { "one", "two", "three", "four" };
        int fds[4], r;

        for (unsigned i = 0; i < n; i++)
                fds[i] = gguf_memory_file(parts[i].bytes, parts[i].length);
        r = qvf_gguf_open_fds(fds, names, n, ret_gguf, error);
        for (unsigned i = 0; i < n; i++)
                close(fds[i]);
        return r;
}

START_TEST(parts_in_any_order)
{
        static const unsigned orders[][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 2, 0 } };
        _cleanup_text_ struct qvf_text a = split_part(0, 3, 3, "t0"), b = split_part(1, 3, 3, "t1"),
                                       c = split_part(2, 3, 3, "t2");
        const struct qvf_text parts[3] = { a, b, c };

        for (unsigned k = 0; k < 3; k++) {
                _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
                struct qvf_text shuffled[3];
                struct qvf_error error = { 0 };
                char name[3] = "t0";

                for (unsigned i = 0; i < 3; i++)
                        shuffled[i] = parts[orders[k][i]];
                ck_assert_msg(open_parts(shuffled, 3, &gguf, &error) == 0, "%s", error.text);
                ck_assert_uint_eq(qvf_gguf_parts(gguf), 3);
                ck_assert_uint_eq(qvf_gguf_tensors(gguf), 3);
                ck_assert_uint_eq(qvf_gguf_size_bytes(gguf), a.length + b.length + c.length);
                ck_assert_ptr_null(qvf_gguf_part_name(gguf, 3));
                for (unsigned i = 0; i < 3; i++, name[1]++) {
                        const struct qvf_gguf_tensor *tensor = qvf_gguf_find_tensor(gguf, name);
                        float value;

                        ck_assert_uint_eq(tensor->file_index, i);
                        memcpy(&value, tensor->data, 4);
                        ck_assert_float_eq(value, (float)i);
                }
                ck_assert_ptr_nonnull(qvf_gguf_find_key(gguf, "general.architecture"));
        }
}
END_TEST

START_TEST(parts_that_do_not_fit)
{
        _cleanup_text_ struct qvf_text a = split_part(0, 3, 3, "t0"), b = split_part(1, 3, 3, "t1"),
                                       c = split_part(2, 3, 3, "t2"), other = split_part(1, 2, 3, "t1"),
                                       twin = split_part(2, 3, 3, "t1"), more = split_part(0, 2, 9, "t0"),
                                       wild = split_part(3, 3, 3, "t3"),
                                       many = split_part(0, 60000, 3, "t0");
        const struct {
                struct qvf_text parts[3];
                unsigned n;
                int code;
                const char *words;
        } cases[] = {
                { { a, b }, 2, -ENOENT, "part 3 of 3 is missing" },
                { { a, c }, 2, -ENOENT, "part 2 of 3 is missing" },
                { { b }, 1, -ENOENT, "part 1 of 3 is missing" },
                { { a, b, b }, 3, -EINVAL, "two and three are both part 2 of 3" },
                { { a, other }, 2, -EINVAL, "one is of 3 parts and two of 2" },
                { { a, b, twin }, 3, -EINVAL, "tensor 't1' stands twice" },
                { { more, other }, 2, -EINVAL, "'split.tensors.count' is 9 and the parts hold 2 tensors" },
                { { wild }, 1, -EINVAL, "'split.no' is 3, expected less than" },
                { { many }, 1, -E2BIG, "'split.count' is 60000, expected at most 256" },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct qvf_gguf *gguf = NULL;

                EXPECT(open_parts(cases[i].parts, cases[i].n, &gguf, &error), cases[i].code, cases[i].words);
                ck_assert_ptr_null(gguf);
        }
}
END_TEST

static void write_file(const char *path, const struct qvf_text *text)
{
        _cleanup_fclose_ FILE *file = fopen(path, "wb");

        ck_assert_ptr_nonnull(file);
        ck_assert_uint_eq(fwrite(text->bytes, 1, text->length, file), text->length);
}

START_TEST(parts_are_found_by_name)
{
        char folder[] = "/tmp/qvf-gguf-XXXXXX", path[64];

        ck_assert_ptr_nonnull(mkdtemp(folder));
        for (unsigned i = 0; i < 3; i++) {
                char name[3] = { 't', (char)('0' + i), 0 };
                _cleanup_text_ struct qvf_text text = split_part((uint16_t)i, 3, 3, name);

                snprintf(path, sizeof(path), "%s/m-%05u-of-00003.gguf", folder, i + 1);
                write_file(path, &text);
        }
        for (unsigned i = 0; i < 3; i++) {
                _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
                struct qvf_error error = { 0 };

                snprintf(path, sizeof(path), "%s/m-%05u-of-00003.gguf", folder, i + 1);
                ck_assert_msg(qvf_gguf_open(path, &gguf, &error) == 0, "%s", error.text);
                ck_assert_uint_eq(qvf_gguf_tensors(gguf), 3);
                ck_assert_ptr_nonnull(strstr(qvf_gguf_part_name(gguf, 2), "m-00003-of-00003.gguf"));
        }
        snprintf(path, sizeof(path), "%s/m-00002-of-00003.gguf", folder);
        unlink(path);
        snprintf(path, sizeof(path), "%s/m-00001-of-00003.gguf", folder);
        EXPECT(qvf_gguf_open(path, &(struct qvf_gguf *){ NULL }, &error), -ENOENT,
                        "m-00002-of-00003.gguf: No such");
        unlink(path);
        snprintf(path, sizeof(path), "%s/m-00003-of-00003.gguf", folder);
        unlink(path);
        rmdir(folder);
}
END_TEST

START_TEST(shipped_models_open)
{
        static const char *const paths[] = { "models/tiny-silu.TQ2_0.gguf", "models/tiny-relu2.TQ1_0.gguf",
                "models/tiny-relu2.TQ2_0.gguf", "models/helper-29m.TQ2_0.gguf" };

        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
                _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
                struct qvf_error error = { 0 };
                struct qvf_gguf_string license;

                ck_assert_msg(qvf_gguf_open(paths[i], &gguf, &error) == 0, "%s", error.text);
                ck_assert_int_eq(qvf_gguf_check(gguf, &error), 0);
                ck_assert_int_eq(qvf_gguf_get_string(gguf, "general.license", &license, &error), 0);
                ck_assert(qvf_gguf_string_is(license, "CC-BY-SA-4.0"));
        }
}
END_TEST

START_TEST(truncation_after_opening_is_noticed)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };
        _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
        _cleanup_text_ struct qvf_text text = { 0 };
        _cleanup_close_ int fd = -1;
        struct qvf_error error = { 0 };

        gguf_add_tensor(&builder, "t", QVF_F32, 4096, 1, NULL);
        text = gguf_finish(&builder);
        fd = gguf_memory_file(text.bytes, text.length);
        ck_assert_int_eq(qvf_gguf_open_fds(&fd, NULL, 1, &gguf, &error), 0);
        ck_assert_int_eq(qvf_gguf_check(gguf, &error), 0);
        ck_assert_int_eq(ftruncate(fd, 100), 0);
        ck_assert_int_eq(qvf_gguf_check(gguf, &error), -ESTALE);
        ck_assert_ptr_nonnull(strstr(error.text, "is 100 now: somebody cut it short"));
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("gguf");
        TCase *tcase = tcase_create("gguf");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_test(tcase, versions_2_and_3);
        tcase_add_test(tcase, alignment_of_the_file);
        tcase_add_test(tcase, getters);
        tcase_add_test(tcase, arrays);
        tcase_add_test(tcase, keys_in_order);
        tcase_add_test(tcase, getters_refuse_other_types);
        tcase_add_test(tcase, parts_in_any_order);
        tcase_add_test(tcase, parts_that_do_not_fit);
        tcase_add_test(tcase, parts_are_found_by_name);
        tcase_add_test(tcase, shipped_models_open);
        tcase_add_test(tcase, truncation_after_opening_is_noticed);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
