/* SPDX-License-Identifier: Apache-2.0 */
/* Plugins that are refused, each for the right reason, and discovery that survives what plugins do. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/backend/loader.h"
#include "engine/backend/probe.h"
#include "tests/support/suite.h"

static char folder[64]; /* of this test: as safe as an installed one */

static void copy_file(const char *from, const char *to)
{
        char bytes[65536];
        FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
        size_t length;

        ck_assert_msg(in && out, "%s to %s", from, to);
        while ((length = fread(bytes, 1, sizeof(bytes), in)) > 0)
                ck_assert_uint_eq(fwrite(bytes, 1, length, out), length);
        fclose(in);
        ck_assert_int_eq(fclose(out), 0);
        ck_assert_int_eq(chmod(to, 0755), 0);
}

static const char *path_of(const char *name)
{
        static char path[128];

        snprintf(path, sizeof(path), "%s/%s.so", folder, name);
        return path;
}

static void install(const char *name)
{
        const char *build = getenv("QVF_BUILD");
        char from[512];

        if (!folder[0]) {
                strcpy(folder, "/tmp/qvf-test-loader-XXXXXX");
                ck_assert_ptr_nonnull(mkdtemp(folder));
                ck_assert_int_eq(chmod(folder, 0755), 0);
        }
        snprintf(from, sizeof(from), "%s/tests/plugins/%s.so", build ? build : "build", name);
        copy_file(from, path_of(name));
}

static void clean(void)
{
        char command[128];

        if (folder[0]) {
                snprintf(command, sizeof(command), "rm -rf %s", folder);
                ck_assert_int_eq(system(command), 0);
        }
        folder[0] = 0;
}

static void refuse(const char *name, int code, const char *words)
{
        const struct qvf_backend *backend = NULL;
        struct qvf_error error = { 0 };

        ck_assert_int_eq(qvf_backend_open(folder, name, &backend, &error), code);
        ck_assert_ptr_null(backend);
        ck_assert_msg(strstr(error.text, words) != NULL, "'%s' not in '%s'", words, error.text);
}

START_TEST(good)
{
        const struct qvf_backend *backend, *again, *other;
        struct qvf_error error = { 0 };

        install("good");
        install("crash");
        ck_assert_msg(qvf_backend_open(folder, "good", &backend, &error) == 0, "%s", error.text);
        ck_assert_str_eq(backend->name, "good");
        ck_assert_int_eq(qvf_backend_open(folder, "good", &again, NULL), 0);
        ck_assert_ptr_eq(backend, again);
        ck_assert_int_eq(qvf_backend_open(folder, "crash", &other, NULL), 0);
        ck_assert_str_eq(other->name, "crash");
        clean();
}
END_TEST

START_TEST(an_older_plugin_cannot_tune)
{
        const struct qvf_backend *backend;
        struct qvf_error error = { 0 };

        install("old");
        install("good");
        ck_assert_msg(qvf_backend_open(folder, "old", &backend, &error) == 0, "%s", error.text);
        ck_assert(!qvf_backend_can_tune(backend));
        ck_assert_int_eq(qvf_backend_open(folder, "good", &backend, &error), 0);
        ck_assert(!qvf_backend_can_tune(backend)); /* it has none */
        clean();
}
END_TEST

START_TEST(bad_descriptions)
{
        static const struct {
                const char *name;
                int code;
                const char *words;
        } cases[] = {
                { "magic", -EINVAL, "another magic" },
                { "abi", -EINVAL, "made for plugin ABI 2, expected 1" },
                { "short", -EINVAL, "bytes" },
                { "long", -EINVAL, "bytes" },
                { "tiny", -EINVAL, "another magic" },
                { "no_symbol", -EINVAL, "no symbol" },
                { "no_function", -EINVAL, "a function" },
                { "other_name", -EINVAL, "does not call itself" },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                install(cases[i].name);
                refuse(cases[i].name, cases[i].code, cases[i].words);
        }
        clean();
}
END_TEST

START_TEST(bad_files)
{
        install("good");
        refuse("absent", -ENOENT, "absent.so");
        refuse("../good", -EINVAL, "no name");
        refuse("", -EINVAL, "no name");
        refuse("a_name_that_is_too_long", -EINVAL, "no name");
        ck_assert_int_eq(truncate(path_of("good"), 100), 0);
        refuse("good", -ENOEXEC, "good");
        install("good");
        ck_assert_int_eq(chmod(path_of("good"), 0777), 0);
        refuse("good", -EPERM, "lets others write");
        ck_assert_int_eq(chmod(path_of("good"), 0775), 0);
        refuse("good", -EPERM, "lets others write");
        ck_assert_int_eq(chmod(path_of("good"), 0755), 0);
        ck_assert_int_eq(chmod(folder, 0777), 0);
        refuse("good", -EPERM, "lets others write");
        ck_assert_int_eq(chmod(folder, 0755), 0);
        ck_assert_int_eq(mkfifo(path_of("fifo"), 0644), 0);
        refuse("fifo", -EINVAL, "not a regular file");
        ck_assert_int_eq(mkdir(path_of("folder"), 0755), 0);
        refuse("folder", -EINVAL, "not a regular file");
        clean();
}
END_TEST

START_TEST(symbolic_links)
{
        const struct qvf_backend *backend;
        struct qvf_error error = { 0 };
        char link_path[80], target[128];

        install("good");
        snprintf(target, sizeof(target), "%s", path_of("good"));
        ck_assert_int_eq(symlink(target, path_of("inside")), 0);
        refuse("inside", -ELOOP, "symbolic link");
        ck_assert_int_eq(symlink("/usr/lib/libm.so.6", path_of("outside")), 0);
        refuse("outside", -ELOOP, "symbolic link");
        snprintf(link_path, sizeof(link_path), "%s-link", folder);
        ck_assert_int_eq(symlink(folder, link_path), 0);
        ck_assert_int_lt(qvf_backend_open(link_path, "good", &backend, &error), 0);
        ck_assert_int_eq(unlink(link_path), 0);
        clean();
}
END_TEST

START_TEST(other_owner)
{
        if (geteuid() != 0) {
                printf("SKIP other_owner: only root can give a file away\n");
                return;
        }
        install("good");
        ck_assert_int_eq(chown(path_of("good"), 65534, 65534), 0);
        refuse("good", -EPERM, "owned by user 65534");
        ck_assert_int_eq(chown(path_of("good"), 0, 0), 0);
        ck_assert_int_eq(chown(folder, 65534, 65534), 0);
        refuse("good", -EPERM, "owned by user 65534");
        ck_assert_int_eq(chown(folder, 0, 0), 0);
        clean();
}
END_TEST

START_TEST(probing)
{
        static const struct {
                const char *name;
                int code;
                const char *words;
        } cases[] = {
                { "crash", -EIO, "crashed with signal 11" }, { "hang", -ETIMEDOUT, "took over 300 ms" },
                { "garbage", -EBADMSG, "makes no sense" }, { "many", -EBADMSG, "1000000 devices" },
                { "failing", -ENODEV, "looking for devices" }, { "quitting", -EBADMSG, "without an answer" },
                { "magic", -EINVAL, "another magic" },
                { "good", -EBADMSG, "makes no sense" }, /* it says nothing of the device that it claims */
        };
        struct qvf_device_info infos[QVF_PROBE_DEVICES];
        uint32_t count;

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct qvf_error error = { 0 };
                unsigned limit_ms = strcmp(cases[i].name, "hang") == 0 ? 300 : 60000;

                install(cases[i].name);
                count = 77;
                ck_assert_int_eq(qvf_backend_probe(folder, cases[i].name, limit_ms, infos, QVF_PROBE_DEVICES,
                                                 &count, &error),
                                cases[i].code);
                ck_assert_uint_eq(count, 77);
                ck_assert_msg(strstr(error.text, cases[i].words) != NULL, "'%s' not in '%s'", cases[i].words,
                                error.text);
        }
        clean();
}
END_TEST

START_TEST(list_and_probe_cpu)
{
        const char *build = getenv("QVF_BUILD");
        char from[512], names[4][QVF_BACKEND_NAME_SIZE];
        struct qvf_device_info info;
        struct qvf_error error = { 0 };
        uint32_t count;

        install("good");
        install("abi");
        snprintf(from, sizeof(from), "%s/plugins/cpu.so", build ? build : "build");
        copy_file(from, path_of("cpu"));
        ck_assert_int_eq(symlink("x", path_of("A NAME")), 0);
        ck_assert_int_eq(qvf_backend_list(folder, names, 4, &count, &error), 0);
        ck_assert_uint_eq(count, 3);
        ck_assert_str_eq(names[0], "abi");
        ck_assert_str_eq(names[1], "cpu");
        ck_assert_str_eq(names[2], "good");
        ck_assert_int_eq(qvf_backend_list(folder, names, 1, &count, &error), 0);
        ck_assert_uint_eq(count, 1);
        ck_assert_msg(qvf_backend_probe(folder, "cpu", 60000, &info, 1, &count, &error) == 0, "%s",
                        error.text);
        ck_assert_uint_eq(count, 1);
        ck_assert_str_eq(info.id, "cpu");
        clean();
}
END_TEST

QVF_SUITE("loader", 120, good, an_older_plugin_cannot_tune, bad_descriptions, bad_files, symbolic_links,
                other_owner, probing, list_and_probe_cpu)
