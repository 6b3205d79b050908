/* SPDX-License-Identifier: Apache-2.0 */
/* What is written comes back, and what the format cannot hold is refused. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "engine/files/dtype.h"
#include "engine/files/gguf_write.h"
#include "tests/support/compute.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/suite.h"

static struct qvf_gguf_writer *new_writer(void)
{
        struct qvf_gguf_writer *writer = NULL;

        ck_assert_int_eq(qvf_gguf_writer_new(&writer), 0);
        return writer;
}

static struct qvf_gguf *reopen(int fd)
{
        struct qvf_gguf *gguf = NULL;
        struct qvf_error error = { 0 };
        const char *name = "written.gguf";

        ck_assert_msg(qvf_gguf_open_fds(&fd, &name, 1, &gguf, &error) == 0, "%s", error.text);
        return gguf;
}

static void expect_failure(struct qvf_gguf_writer *writer, int code, const char *words)
{
        _cleanup_close_ int fd = gguf_memory_file("", 0);
        struct qvf_error error = { 0 };
        int r = qvf_gguf_writer_begin(writer, fd, &error);

        ck_assert_msg(r == code, "%d instead of %d: %s", r, code, error.text);
        ck_assert_msg(strstr(error.text, words) != NULL, "'%s' lacks '%s'", error.text, words);
        ck_assert_int_eq(qvf_gguf_writer_put(writer, "", 0), code);
        ck_assert_int_eq(qvf_gguf_writer_end(writer, &error), code);
        qvf_gguf_writer_free(writer);
}

START_TEST(keys_come_back)
{
        static const struct qvf_gguf_string strings[] = { { "one", 3 }, { "", 0 }, { "three", 5 } };
        static const int32_t numbers[] = { -1, 0, 1 };
        _cleanup_close_ int fd = gguf_memory_file("", 0);
        _cleanup_(qvf_gguf_writer_freep) struct qvf_gguf_writer *writer = new_writer();
        _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
        struct qvf_gguf_string string;
        struct qvf_gguf_array array;
        struct qvf_error error = { 0 };
        uint64_t u64;
        uint32_t u32;
        float f32;
        bool truth;

        qvf_gguf_writer_set_u32(writer, "u32", 1);
        qvf_gguf_writer_set_u64(writer, "u64", UINT64_MAX);
        qvf_gguf_writer_set_f32(writer, "f32", 0.5f);
        qvf_gguf_writer_set_bool(writer, "bool", true);
        qvf_gguf_writer_set_string(writer, "string", "words");
        qvf_gguf_writer_set_numbers(writer, "numbers", QVF_GGUF_I32, 3, numbers);
        qvf_gguf_writer_set_strings(writer, "strings", strings, 3);
        qvf_gguf_writer_set_string(writer, "u32", "no");
        qvf_gguf_writer_set_u32(writer, "u32", 7); /* the last one counts */
        ck_assert_int_eq(qvf_gguf_writer_begin(writer, fd, &error), 0);
        ck_assert_int_eq(qvf_gguf_writer_end(writer, &error), 0);
        gguf = reopen(fd);
        ck_assert_uint_eq(qvf_gguf_keys(gguf), 7);
        ck_assert_int_eq(qvf_gguf_get_u32(gguf, "u32", &u32, &error), 0);
        ck_assert_uint_eq(u32, 7);
        ck_assert_int_eq(qvf_gguf_get_u64(gguf, "u64", &u64, &error), 0);
        ck_assert_uint_eq(u64, UINT64_MAX);
        ck_assert_int_eq(qvf_gguf_get_f32(gguf, "f32", &f32, &error), 0);
        ck_assert_float_eq(f32, 0.5f);
        ck_assert_int_eq(qvf_gguf_get_bool(gguf, "bool", &truth, &error), 0);
        ck_assert(truth);
        ck_assert_int_eq(qvf_gguf_get_string(gguf, "string", &string, &error), 0);
        ck_assert(qvf_gguf_string_is(string, "words"));
        ck_assert_int_eq(qvf_gguf_get_array(gguf, "numbers", QVF_GGUF_I32, &array, &error), 0);
        for (int i = 0; i < 3; i++)
                ck_assert_int_eq((int)qvf_gguf_array_i64(&array, (uint64_t)i), i - 1);
        ck_assert_int_eq(qvf_gguf_get_array(gguf, "strings", QVF_GGUF_STRING, &array, &error), 0);
        ck_assert_uint_eq(array.length, 3);
        for (int i = 0; i < 3; i++) {
                ck_assert(qvf_gguf_array_next_string(&array, &string));
                ck_assert(qvf_gguf_string_is(string, strings[i].bytes));
        }
}
END_TEST

/* Every tensor begins at a multiple of the alignment, and the last one is padded too. */
START_TEST(tensors_come_back_at_every_alignment)
{
        for (uint32_t alignment = QVF_GGUF_ALIGNMENT_LEAST; alignment <= QVF_GGUF_ALIGNMENT_MOST;
                        alignment *= 2) {
                _cleanup_close_ int fd = gguf_memory_file("", 0);
                _cleanup_(qvf_gguf_writer_freep) struct qvf_gguf_writer *writer = new_writer();
                _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
                static const uint64_t ne[3][2] = { { 3, 1 }, { 5, 7 }, { 64, 3 } };
                static const enum qvf_dtype dtypes[3] = { QVF_F32, QVF_F16, QVF_Q8_0 };
                struct qvf_error error = { 0 };
                uint8_t bytes[512];

                for (unsigned i = 0; i < sizeof(bytes); i++)
                        bytes[i] = (uint8_t)(i * 7);
                qvf_gguf_writer_set_alignment(writer, alignment);
                for (unsigned i = 0; i < 3; i++)
                        qvf_gguf_writer_add_tensor(
                                        writer, (const char *[]){ "a", "b", "c" }[i], dtypes[i], 2, ne[i]);
                ck_assert_msg(qvf_gguf_writer_begin(writer, fd, &error) == 0, "%s", error.text);
                qvf_gguf_writer_put(writer, bytes, 12);
                for (unsigned i = 0; i < 70; i++) /* piece by piece */
                        qvf_gguf_writer_put(writer, bytes + i, 1);
                qvf_gguf_writer_put(writer, bytes, 6 * 34);
                ck_assert_msg(qvf_gguf_writer_end(writer, &error) == 0, "%s", error.text);
                gguf = reopen(fd);
                for (unsigned i = 0; i < 3; i++) {
                        const struct qvf_gguf_tensor *tensor = qvf_gguf_tensor(gguf, i);

                        ck_assert_uint_eq(tensor->dtype, dtypes[i]);
                        ck_assert_uint_eq(tensor->ne[0], ne[i][0]);
                        ck_assert_uint_eq(tensor->ne[1], ne[i][1]);
                        ck_assert_uint_eq(tensor->file_offset % alignment, 0);
                        ck_assert_mem_eq(tensor->data, bytes, tensor->size_bytes);
                }
                ck_assert_uint_eq(qvf_gguf_size_bytes(gguf) % alignment, 0);
        }
}
END_TEST

/* A model file that another program wrote, copied key by key and tensor by tensor, is the same to the byte. */
START_TEST(copy_of_a_model)
{
        _cleanup_close_ int fd = gguf_memory_file("", 0);
        _cleanup_(qvf_gguf_writer_freep) struct qvf_gguf_writer *writer = new_writer();
        _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
        _cleanup_fclose_ FILE *original = fopen(test_path("models/tiny-silu.TQ2_0.gguf"), "rb");
        struct qvf_error error = { 0 };
        uint64_t at = 0;
        char wanted[4096], found[4096];
        size_t n;

        ck_assert_ptr_nonnull(original);
        ck_assert_int_eq(qvf_gguf_open(test_path("models/tiny-silu.TQ2_0.gguf"), &gguf, &error), 0);
        qvf_gguf_writer_copy_keys(writer, gguf);
        for (uint32_t i = 0; i < qvf_gguf_tensors(gguf); i++) {
                const struct qvf_gguf_tensor *tensor = qvf_gguf_tensor(gguf, i);

                qvf_gguf_writer_add_tensor(writer, tensor->name, tensor->dtype, tensor->n_dims, tensor->ne);
        }
        ck_assert_msg(qvf_gguf_writer_begin(writer, fd, &error) == 0, "%s", error.text);
        for (uint32_t i = 0; i < qvf_gguf_tensors(gguf); i++)
                qvf_gguf_writer_put(writer, qvf_gguf_tensor(gguf, i)->data,
                                qvf_gguf_tensor(gguf, i)->size_bytes);
        ck_assert_msg(qvf_gguf_writer_end(writer, &error) == 0, "%s", error.text);
        while ((n = fread(wanted, 1, sizeof(wanted), original)) > 0) {
                ck_assert_int_eq((int)pread(fd, found, n, (off_t)at), (int)n);
                ck_assert_mem_eq(found, wanted, n);
                at += n;
        }
        ck_assert_uint_eq(at, qvf_gguf_size_bytes(gguf));
        ck_assert_int_eq((int)pread(fd, found, 1, (off_t)at), 0);
}
END_TEST

START_TEST(keys_of_splitting_are_left_out)
{
        _cleanup_close_ int fd = gguf_memory_file("", 0);
        _cleanup_gguf_builder_ struct gguf_builder builder = { .alignment = 64 };
        _cleanup_(qvf_gguf_writer_freep) struct qvf_gguf_writer *writer = new_writer();
        _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL, *copy = NULL;
        struct qvf_error error = { 0 };
        uint32_t value;

        gguf_add_u32(&builder, "general.alignment", 64);
        gguf_add_u32(&builder, "split.count", 1);
        gguf_add_u32(&builder, "kept", 5);
        ck_assert_msg(gguf_builder_open(&builder, &gguf, &error) == 0, "%s", error.text);
        qvf_gguf_writer_set_string(writer, "kept", "older");
        qvf_gguf_writer_copy_keys(writer, gguf);
        ck_assert_msg(qvf_gguf_writer_begin(writer, fd, &error) == 0, "%s", error.text);
        ck_assert_int_eq(qvf_gguf_writer_end(writer, &error), 0);
        copy = reopen(fd);
        ck_assert_uint_eq(qvf_gguf_keys(copy), 2);
        ck_assert_int_eq(qvf_gguf_get_u32(copy, "kept", &value, &error), 0);
        ck_assert_uint_eq(value, 5);
        ck_assert_int_eq(qvf_gguf_get_u32(copy, "general.alignment", &value, &error), 0);
        ck_assert_uint_eq(value, 64);
}
END_TEST

START_TEST(what_the_format_cannot_hold)
{
        static const uint64_t row[2] = { 33, 2 }, nothing[2] = { 4, 0 },
                              huge[2] = { 1ull << 40, 1ull << 40 };
        struct qvf_gguf_writer *writer;
        char name[80];

        memset(name, 'n', sizeof(name));
        name[64] = 0;
        writer = new_writer();
        qvf_gguf_writer_add_tensor(writer, name, QVF_F32, 2, row);
        expect_failure(writer, -EINVAL, "can't stand in a GGUF file");
        writer = new_writer();
        qvf_gguf_writer_add_tensor(writer, "five", QVF_F32, 5, row);
        expect_failure(writer, -EINVAL, "tensor five (5 dimensions");
        writer = new_writer();
        qvf_gguf_writer_add_tensor(writer, "q", QVF_Q8_0, 2, row);
        expect_failure(writer, -EINVAL, "tensor q: a row of 33 can't be of type Q8_0");
        writer = new_writer();
        qvf_gguf_writer_add_tensor(writer, "none", QVF_F32, 2, nothing);
        expect_failure(writer, -EINVAL, "tensor none");
        writer = new_writer();
        qvf_gguf_writer_add_tensor(writer, "huge", QVF_F32, 2, huge);
        expect_failure(writer, -EINVAL, "tensor huge");
        writer = new_writer();
        qvf_gguf_writer_add_tensor(writer, "bytes", QVF_U8, 1, row);
        expect_failure(writer, -EINVAL, "tensor bytes");
        writer = new_writer();
        qvf_gguf_writer_add_tensor(writer, "twice", QVF_F32, 2, row);
        qvf_gguf_writer_add_tensor(writer, "once", QVF_F32, 2, row);
        qvf_gguf_writer_add_tensor(writer, "twice", QVF_F16, 1, row);
        expect_failure(writer, -EINVAL, "tensor twice stands twice");
        writer = new_writer();
        qvf_gguf_writer_set_alignment(writer, 48);
        expect_failure(writer, -EINVAL, "an alignment of 48");
        writer = new_writer();
        qvf_gguf_writer_set_u32(writer, "", 1);
        expect_failure(writer, -EINVAL, "can't be set");
        writer = new_writer();
        qvf_gguf_writer_set_numbers(writer, "k", QVF_GGUF_STRING, 1, "x");
        expect_failure(writer, -EINVAL, "an array of 1 string");
}
END_TEST

START_TEST(too_much_and_too_little_data)
{
        static const uint64_t ne[1] = { 4 };
        static const float values[5];
        _cleanup_close_ int fd = gguf_memory_file("", 0);
        struct qvf_error error = { 0 };

        for (unsigned count = 3; count <= 5; count += 2) {
                _cleanup_(qvf_gguf_writer_freep) struct qvf_gguf_writer *writer = new_writer();

                qvf_gguf_writer_add_tensor(writer, "t", QVF_F32, 1, ne);
                ck_assert_int_eq(qvf_gguf_writer_begin(writer, fd, &error), 0);
                qvf_gguf_writer_put(writer, values, count * sizeof(float));
                ck_assert_int_eq(qvf_gguf_writer_end(writer, &error), -EINVAL);
                ck_assert_ptr_nonnull(strstr(error.text, count == 3 ? "is not whole" : "bytes more than"));
        }
}
END_TEST

START_TEST(full_disk)
{
        static const uint64_t ne[1] = { 1 << 20 };
        static const uint8_t zeros[4 << 20];
        _cleanup_close_ int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
        _cleanup_(qvf_gguf_writer_freep) struct qvf_gguf_writer *writer = new_writer();
        struct qvf_error error = { 0 };

        if (fd < 0) {
                printf("SKIP full_disk: no /dev/full\n");
                return;
        }
        qvf_gguf_writer_add_tensor(writer, "t", QVF_F32, 1, ne);
        qvf_gguf_writer_begin(writer, fd, &error);
        ck_assert_int_eq(qvf_gguf_writer_put(writer, zeros, sizeof(zeros)), -ENOSPC);
        ck_assert_int_eq(qvf_gguf_writer_end(writer, &error), -ENOSPC);
        ck_assert_ptr_nonnull(strstr(error.text, "No space left"));
}
END_TEST

QVF_SUITE("gguf_write", 60, keys_come_back, tensors_come_back_at_every_alignment, copy_of_a_model,
                keys_of_splitting_are_left_out, what_the_format_cannot_hold, too_much_and_too_little_data,
                full_disk)
