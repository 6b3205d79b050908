/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/tree.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/folder.h"

const char *test_tree(void)
{
        static char paths[8][256];
        static unsigned n;
        char link[64];
        ssize_t length;

        ck_assert_uint_lt(n, 8);
        snprintf(link, sizeof(link), "/proc/self/fd/%d", test_folder());
        length = readlink(link, paths[n], sizeof(paths[0]) - 1);
        ck_assert_int_gt(length, 0);
        paths[n][length] = 0;
        return paths[n++];
}

void test_tree_put(const char *root, const char *path, const char *text)
{
        char whole[512];
        int fd;

        snprintf(whole, sizeof(whole), "%s/%s", root, path);
        if (!text) {
                ck_assert_int_eq(unlink(whole), 0);
                return;
        }
        for (char *slash = whole + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
                *slash = 0;
                ck_assert(mkdir(whole, 0755) == 0 || errno == EEXIST);
                *slash = '/';
        }
        fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        ck_assert_msg(fd >= 0, "%s: %s", whole, strerror(errno));
        ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);
}

void test_tree_used(const char *root, const char *path, int64_t seconds)
{
        const struct timespec times[2] = { { .tv_sec = seconds }, { .tv_sec = seconds } };
        char whole[512];

        snprintf(whole, sizeof(whole), "%s/%s", root, path);
        ck_assert_int_eq(utimensat(AT_FDCWD, whole, times, 0), 0);
}
