/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "engine/files/mapped_file.h"
#include "tests/support/gguf_builder.h"

START_TEST(regular_file)
{
        _cleanup_(qvf_mapped_file_freep) struct qvf_mapped_file *file = NULL;
        struct qvf_error error = { 0 };
        int fd = gguf_memory_file("hello", 5);

        ck_assert_int_eq(qvf_mapped_file_open_fd(fd, "f", 5, &file, &error), 0);
        close(fd); /* stays the caller's */
        ck_assert_uint_eq(file->size, 5);
        ck_assert_mem_eq(file->data, "hello", 5);
        ck_assert(!file->sealed);
        ck_assert_int_eq(qvf_mapped_file_check(file, &error), 0);
}
END_TEST

START_TEST(sealed_file)
{
        _cleanup_(qvf_mapped_file_freep) struct qvf_mapped_file *file = NULL;
        _cleanup_close_ int fd = gguf_memory_file("hello", 5);
        struct qvf_error error = { 0 };

        ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        ck_assert_int_eq(qvf_mapped_file_open_fd(fd, "f", 0, &file, &error), 0);
        ck_assert(file->sealed);
}
END_TEST

START_TEST(empty_file)
{
        _cleanup_(qvf_mapped_file_freep) struct qvf_mapped_file *file = NULL;
        _cleanup_close_ int fd = gguf_memory_file("", 0);
        struct qvf_error error = { 0 };

        ck_assert_int_eq(qvf_mapped_file_open_fd(fd, "f", 0, &file, &error), 0);
        ck_assert_uint_eq(file->size, 0);
        ck_assert_ptr_null(file->data);
}
END_TEST

static void refuse(int fd, int code, const char *words)
{
        struct qvf_mapped_file *file = NULL;
        struct qvf_error error = { 0 };

        ck_assert_int_eq(qvf_mapped_file_open_fd(fd, "f", 4, &file, &error), code);
        ck_assert_ptr_null(file);
        ck_assert_msg(strstr(error.text, words) != NULL, "'%s' lacks '%s'", error.text, words);
        if (fd >= 0)
                close(fd);
}

/* CVE-2024-39720, -39721, CVE-2025-66005: endless reads from a device node, paths read with other rights */
START_TEST(only_regular_files)
{
        int pair[2];

        refuse(-1, -EBADF, "f: no file descriptor");
        refuse(open("/", O_RDONLY | O_CLOEXEC), -EISDIR, "this is a folder, expected a regular file");
        refuse(open("/dev/zero", O_RDONLY | O_CLOEXEC), -EINVAL, "this is a device");
        ck_assert_int_eq(pipe(pair), 0);
        refuse(pair[0], -EINVAL, "this is a pipe");
        close(pair[1]);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        refuse(pair[0], -EINVAL, "this is a socket");
        close(pair[1]);
        refuse(gguf_memory_file("hello", 5), -EFBIG, "5 bytes, expected at most 4");
}
END_TEST

START_TEST(write_only_descriptor)
{
        char path[] = "/tmp/qvf-map-XXXXXX";
        int fd = mkstemp(path), write_only;

        ck_assert_int_eq((int)write(fd, "abc", 3), 3);
        write_only = open(path, O_WRONLY | O_CLOEXEC);
        unlink(path);
        close(fd);
        refuse(write_only, -EACCES, "not open for reading");
}
END_TEST

/* A pipe that nobody writes must not hold the caller. */
START_TEST(paths)
{
        struct qvf_mapped_file *file = NULL;
        struct qvf_error error = { 0 };
        char folder[] = "/tmp/qvf-map-XXXXXX", path[64];

        ck_assert_ptr_nonnull(mkdtemp(folder));
        snprintf(path, sizeof(path), "%s/fifo", folder);
        ck_assert_int_eq(mkfifo(path, 0600), 0);
        ck_assert_int_eq(qvf_mapped_file_open(path, 0, &file, &error), -EINVAL);
        ck_assert_ptr_nonnull(strstr(error.text, "this is a pipe"));
        unlink(path);
        ck_assert_int_eq(qvf_mapped_file_open(path, 0, &file, &error), -ENOENT);
        rmdir(folder);
        ck_assert_int_eq(qvf_mapped_file_open("models/SHA256SUMS", 0, &file, &error), 0);
        ck_assert_uint_gt(file->size, 64);
        qvf_mapped_file_free(file);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("mapped_file");
        TCase *tcase = tcase_create("mapped_file");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_test(tcase, regular_file);
        tcase_add_test(tcase, sealed_file);
        tcase_add_test(tcase, empty_file);
        tcase_add_test(tcase, only_regular_files);
        tcase_add_test(tcase, write_only_descriptor);
        tcase_add_test(tcase, write_only_descriptor);
        tcase_add_test(tcase, paths);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
