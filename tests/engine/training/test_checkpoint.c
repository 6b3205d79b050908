/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/training/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "engine/sampling/random.h"
#include "tests/support/suite.h"

static char path[64];
static unsigned char first[10000], second[17];

static void sections_of(struct qvf_checkpoint_section sections[2], void *a, void *b)
{
        sections[0] = (struct qvf_checkpoint_section){ "weights", a, sizeof(first) };
        sections[1] = (struct qvf_checkpoint_section){ "position", b, sizeof(second) };
}

static int new_folder(void)
{
        strcpy(path, "/tmp/qvf-test-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(path));
        return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void write_step(int folder, uint64_t step)
{
        struct qvf_checkpoint_section sections[2];
        struct qvf_error error = { 0 };

        memset(first, (int)step, sizeof(first));
        memset(second, (int)step + 1, sizeof(second));
        sections_of(sections, first, second);
        ck_assert_msg(qvf_checkpoint_write(folder, step, sections, 2, &error) == 0, "%s", error.text);
}

static int read_back(int folder, uint64_t *step, struct qvf_error *error)
{
        static unsigned char a[sizeof(first)], b[sizeof(second)];
        struct qvf_checkpoint_section sections[2];
        int r;

        sections_of(sections, a, b);
        r = qvf_checkpoint_read(folder, sections, 2, step, error);
        for (size_t i = 0; r == 0 && i < sizeof(a); i++)
                ck_assert_uint_eq(a[i], *step & 255);
        for (size_t i = 0; r == 0 && i < sizeof(b); i++)
                ck_assert_uint_eq(b[i], (*step + 1) & 255);
        return r;
}

START_TEST(the_newest_two_are_kept)
{
        _cleanup_close_ int folder = new_folder();
        struct qvf_error error = { 0 };
        uint64_t step;

        ck_assert_int_eq(read_back(folder, &step, &error), -ENOENT);
        for (uint64_t i = 8; i <= 12; i++)
                write_step(folder, i);
        ck_assert_int_eq(read_back(folder, &step, &error), 0);
        ck_assert_uint_eq(step, 12);
        ck_assert_int_eq(faccessat(folder, "checkpoint-11", F_OK, 0), 0);
        ck_assert_int_ne(faccessat(folder, "checkpoint-10", F_OK, 0), 0);
        qvf_checkpoint_remove_all(folder);
        ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

/* One byte wrong, or any number of bytes missing or too many: the one before is taken. */
START_TEST(a_damaged_one_is_passed_over)
{
        _cleanup_close_ int folder = new_folder();
        struct qvf_random random;
        struct qvf_error error = { 0 };
        uint64_t step, seed = qvf_random_fresh_seed();

        printf("seed %llu\n", (unsigned long long)seed);
        qvf_random_seed(&random, seed);
        for (int round = 0; round < 200; round++) {
                struct stat status;
                int fd;
                unsigned char byte;
                off_t at;

                write_step(folder, 1);
                write_step(folder, 2);
                fd = openat(folder, "checkpoint-2", O_RDWR | O_CLOEXEC);
                ck_assert_int_eq(fstat(fd, &status), 0);
                at = (off_t)(qvf_random_next(&random) % (uint64_t)status.st_size);
                if (round % 3 == 0) {
                        ck_assert_int_eq(ftruncate(fd, at), 0);
                } else if (round % 3 == 1) {
                        ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
                        byte ^= (unsigned char)(1u << qvf_random_next(&random) % 8);
                        ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
                } else {
                        ck_assert_int_eq(pwrite(fd, "x", 1, status.st_size + at % 50), 1);
                }
                close(fd);
                ck_assert_int_eq(read_back(folder, &step, &error), 0);
                ck_assert_uint_eq(step, 1);
        }
        qvf_checkpoint_remove_all(folder);
        ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

START_TEST(another_shape_is_refused)
{
        _cleanup_close_ int folder = new_folder();
        struct qvf_checkpoint_section sections[2];
        struct qvf_error error = { 0 };
        uint64_t step;

        write_step(folder, 3);
        sections_of(sections, first, second);
        sections[1].length--;
        ck_assert_int_eq(qvf_checkpoint_read(folder, sections, 2, &step, &error), -EINVAL);
        ck_assert_ptr_nonnull(strstr(error.text, "position"));
        ck_assert_int_eq(qvf_checkpoint_read(folder, sections, 1, &step, &error), -EINVAL);
        qvf_checkpoint_remove_all(folder);
        ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

QVF_SUITE("checkpoint", 60, the_newest_two_are_kept, a_damaged_one_is_passed_over, another_shape_is_refused)
