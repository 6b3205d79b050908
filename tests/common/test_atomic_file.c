/* SPDX-License-Identifier: Apache-2.0 */
#include "common/atomic_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>

#include "common/cleanup.h"
#include "tests/support/suite.h"

static int scratch_folder(char path[64])
{
        strcpy(path, "/tmp/qvf-test-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(path));
        return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static unsigned entries(const char *path)
{
        DIR *folder = opendir(path);
        unsigned count = 0;

        while (readdir(folder))
                count++;
        closedir(folder);
        return count - 2;
}

static void expect(int folder, const char *name, const char *wanted)
{
        char text[64] = "";
        int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_ge(read(fd, text, sizeof(text) - 1), 0);
        ck_assert_str_eq(text, wanted);
        close(fd);
}

START_TEST(whole_or_not_at_all)
{
        char path[64];
        _cleanup_close_ int folder = scratch_folder(path);
        struct qvf_atomic_file file;
        struct qvf_error error = { 0 };
        struct stat status;

        ck_assert_int_eq(qvf_atomic_file_put(folder, "a", 0600, "old", 3, &error), 0);
        ck_assert_int_eq(qvf_atomic_file_open(folder, "a", 0600, &file, &error), 0);
        qvf_atomic_file_write(&file, "new", 3);
        expect(folder, "a", "old");
        qvf_atomic_file_abort(&file);
        qvf_atomic_file_abort(&file);
        expect(folder, "a", "old");
        ck_assert_uint_eq(entries(path), 1);
        ck_assert_int_eq(qvf_atomic_file_put(folder, "a", 0640, "newer", 5, &error), 0);
        expect(folder, "a", "newer");
        ck_assert_int_eq(fstatat(folder, "a", &status, 0), 0);
        ck_assert_uint_eq(status.st_mode & 0777 & ~(mode_t)0640, 0);
        ck_assert_uint_eq(entries(path), 1);
        unlinkat(folder, "a", 0);
        rmdir(path);
}
END_TEST

START_TEST(failures_leave_what_was)
{
        char path[64];
        _cleanup_close_ int folder = scratch_folder(path);
        struct qvf_error error = { 0 };
        struct rlimit limit = { 1000, 1000 };
        static char much[5000];

        ck_assert_int_eq(qvf_atomic_file_put(folder, "missing/a", 0600, "x", 1, &error), -ENOENT);
        ck_assert_ptr_nonnull(strstr(error.text, "missing/a"));
        ck_assert_int_eq(qvf_atomic_file_put(folder, "a", 0600, "old", 3, &error), 0);
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit); /* as a full disk: the write fails half way */
        ck_assert_int_eq(qvf_atomic_file_put(folder, "a", 0600, much, sizeof(much), &error), -EFBIG);
        expect(folder, "a", "old");
        ck_assert_uint_eq(entries(path), 1);
        unlinkat(folder, "a", 0);
        rmdir(path);
}
END_TEST

QVF_SUITE("atomic_file", 20, whole_or_not_at_all, failures_leave_what_was)
