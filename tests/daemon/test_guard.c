/* SPDX-License-Identifier: Apache-2.0 */
/* What daemons of this kind were broken by, one test for each: the service refuses with a named error and lives on. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/text.h"
#include "tests/daemon/service.h"
#include "tests/support/suite.h"

#define MODEL "models/tiny-silu.TQ2_0.gguf"

static struct service *begin(const char *yaml)
{
        struct service *service = service_new(yaml);

        service_start(service);
        return service;
}

/* It answers still, and no worker has died of anything. */
static void finish(struct service *service)
{
        sd_bus_message *reply = NULL;

        ck_assert_int_ge(service_call(service, service->bus, "", "Manager", "GetStatistics", &reply, ""), 0);
        ck_assert_int_ge(sd_bus_message_enter_container(reply, 'a', "{sv}"), 0);
        while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
                const char *key;
                uint64_t value = 0;

                ck_assert_int_gt(sd_bus_message_read(reply, "s", &key), 0);
                if (strcmp(key, "worker_crashes") == 0 || strcmp(key, "worker_hangs") == 0)
                        ck_assert_int_gt(sd_bus_message_read(reply, "v", "t", &value), 0);
                else
                        sd_bus_message_skip(reply, "v");
                ck_assert_msg(value == 0, "%s", key);
                ck_assert_int_ge(sd_bus_message_exit_container(reply), 0);
        }
        sd_bus_message_unref(reply);
        service_stop(service);
        service_free(service);
}

static void assert_add(struct service *service, const char *name, int fd, const char *wanted)
{
        int r = service_call(service, service->bus, "", "Manager", "AddModel", NULL, "sha{sv}", name, fd, 0);

        ck_assert_msg(r < 0, "%s was taken", name);
        ck_assert_msg(strcmp(service_error(service), wanted) == 0, "%s: %s: %s", name,
                        service_error(service), service->error.message);
}

/* CVE-2025-66005, CVE-2025-14338: files come as descriptors of regular files, never as paths. */
START_TEST(cve_2025_66005_only_regular_files)
{
        struct service *service = begin(NULL);
        int ends[2], memory = memfd_create("model", MFD_ALLOW_SEALING | MFD_CLOEXEC);
        char path[128];
        _cleanup_close_ int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC),
                            folder = open("/tmp", O_RDONLY | O_CLOEXEC), writing = -1,
                            by_path = open(MODEL, O_PATH | O_CLOEXEC);

        snprintf(path, sizeof(path), "%s/writing", service->folder);
        writing = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        ck_assert_int_eq(ftruncate(memory, 4096), 0);
        assert_add(service, "zero", zero, "InvalidArgument");
        assert_add(service, "folder", folder, "InvalidArgument");
        assert_add(service, "pipe", ends[0], "InvalidArgument");
        assert_add(service, "writing", writing, "InvalidArgument");
        assert_add(service, "path", by_path, "InvalidArgument");
        assert_add(service, "unsealed", memory, "InvalidArgument");
        close(ends[0]);
        close(ends[1]);
        close(memory);
        finish(service);
}
END_TEST

/* CVE-2024-52337: a name is a name, in the log too. CVE-2024-37032: and no path. */
START_TEST(cve_2024_52337_and_37032_strict_names)
{
        static const char *const wrong[] = { "", ".", "..", "../x", "a/b", "/etc/passwd", "A", "a b", "a\nb",
                "a\033[31m", "-a", ".a", "a\xc3\xa9", "sha256:abc",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
        struct service *service = begin(NULL);
        _cleanup_close_ int fd = open(MODEL, O_RDONLY | O_CLOEXEC), log = -1;
        char path[128], text[65536];
        ssize_t n;

        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
                assert_add(service, wrong[i], fd, "InvalidArgument");
        ck_assert_int_ge(service_call(service, service->bus, "", "Manager", "Hold", NULL, "sst", "training",
                                         "one\nerror: forged\033[31m", (uint64_t)0),
                        0);
        snprintf(path, sizeof(path), "%s/log", service->folder);
        log = open(path, O_RDONLY | O_CLOEXEC);
        n = read(log, text, sizeof(text) - 1);
        ck_assert_int_gt(n, 0);
        text[n] = 0;
        ck_assert_ptr_null(strchr(text, '\033'));
        ck_assert_ptr_null(strstr(text, "\nerror: forged"));
        finish(service);
}
END_TEST

/* CVE-2024-52336: a hold is its caller's, whatever number others guess. */
START_TEST(cve_2024_52336_holds_of_others)
{
        struct service *service = begin("clients:\n  holds: 2\n");
        sd_bus *other = service_connect(service);
        sd_bus_message *reply = NULL;
        uint64_t id = 0;

        ck_assert_int_ge(service_call(service, other, "", "Manager", "Hold", &reply, "sst", "training", "",
                                         (uint64_t)0),
                        0);
        ck_assert_int_gt(sd_bus_message_read(reply, "t", &id), 0);
        sd_bus_message_unref(reply);
        for (uint64_t guess = 0; guess < id + 10; guess++) {
                ck_assert_int_lt(service_call(service, service->bus, "", "Manager", "Release", NULL, "t",
                                                 guess),
                                0);
                ck_assert_str_eq(service_error(service), "NotFound");
        }
        ck_assert_int_ge(service_call(service, other, "", "Manager", "Hold", NULL, "sst", "all", "",
                                         (uint64_t)60),
                        0);
        ck_assert_int_lt(service_call(service, other, "", "Manager", "Hold", NULL, "sst", "all", "",
                                         (uint64_t)0),
                        0);
        ck_assert_str_eq(service_error(service), "LimitReached");
        ck_assert_int_ge(service_call(service, other, "", "Manager", "Release", NULL, "t", id), 0);
        sd_bus_close_unref(other);
        finish(service);
}
END_TEST

/* The bytes of a call of AddModel("x", descriptor number `index`, {}) that brings no descriptor. */
static size_t forge(uint8_t *bytes, uint32_t index)
{
        static const char path[] = SERVICE_ROOT, interface[] = "org.qvf.Fabric1.Manager",
                          member[] = "AddModel", signature[] = "sha{sv}";
        const struct {
                uint8_t code;
                char type;
                const char *value;
        } fields[] = { { 1, 'o', path }, { 2, 's', interface }, { 3, 's', member }, { 8, 'g', signature } };
        size_t at = 16;
        uint32_t body = 16, serial = 7, length;

        memset(bytes, 0, 512);
        memcpy(bytes, "l\1\0\1", 4);
        memcpy(bytes + 4, &body, 4);
        memcpy(bytes + 8, &serial, 4);
        for (size_t i = 0; i < 4; i++) {
                at = (at + 7) & ~(size_t)7;
                bytes[at++] = fields[i].code;
                bytes[at++] = 1;
                bytes[at++] = (uint8_t)fields[i].type;
                bytes[at++] = 0;
                length = (uint32_t)strlen(fields[i].value);
                if (fields[i].type == 'g') {
                        bytes[at++] = (uint8_t)length;
                } else {
                        memcpy(bytes + at, &length, 4);
                        at += 4;
                }
                strcpy((char *)bytes + at, fields[i].value);
                at += length + 1;
        }
        length = (uint32_t)(at - 16);
        memcpy(bytes + 12, &length, 4);
        at = (at + 7) & ~(size_t)7;
        length = 1;
        memcpy(bytes + at, &length, 4);
        bytes[at + 4] = 'x';
        memcpy(bytes + at + 8, &index, 4);
        return at + 16; /* the array's length is 0 */
}

static int raw_connection(const struct service *service)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char hello[128], answer[256];

        snprintf(address.sun_path, sizeof(address.sun_path), "%s/bus", service->folder);
        ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        hello[0] = 0;
        strcpy(hello + 1, "AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n");
        ck_assert_int_gt(write(fd, hello, strlen(hello + 1) + 1), 0);
        ck_assert_int_gt(read(fd, answer, sizeof(answer)), 0);
        return fd;
}

/* CVE-2025-8067: the number of a descriptor that was not sent, or is negative. */
START_TEST(cve_2025_8067_descriptor_numbers)
{
        static const uint32_t numbers[] = { 0, 1, UINT32_MAX, INT32_MAX, (uint32_t)INT32_MIN };
        struct service *service = begin(NULL);

        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
                uint8_t bytes[512], answer[4096];
                size_t length = forge(bytes, numbers[i]);
                _cleanup_close_ int fd = raw_connection(service);
                struct timeval limit = { .tv_sec = 10 };
                ssize_t n;

                setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
                ck_assert_int_eq(write(fd, bytes, length), (ssize_t)length);
                /* An error, or the end of the connection; never an answer. */
                n = read(fd, answer, sizeof(answer));
                ck_assert_msg(n <= 0 || answer[0] != 'l' || answer[1] == 3, "number %u: type %d", numbers[i],
                                answer[1]);
        }
        finish(service);
}
END_TEST

/* CVE-2024-39720, CVE-2024-39721: short files, and files without an end. */
START_TEST(cve_2024_39720_short_and_endless_files)
{
        struct service *service = begin("store:\n  model_size_most: 4MiB\n");
        _cleanup_close_ int empty = service_open(service, "empty", ""),
                            magic = service_open(service, "magic", "GGUF"),
                            text = service_open(service, "text",
                                            "no model at all, but some text that is longer than a header"),
                            sparse = service_open(service, "sparse", "GGUF"), part = -1,
                            whole = open(MODEL, O_RDONLY);
        char path[128], bytes[20000];

        snprintf(path, sizeof(path), "%s/sparse", service->folder);
        ck_assert_int_eq(truncate(path, (off_t)1 << 40), 0);
        snprintf(path, sizeof(path), "%s/part", service->folder);
        part = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        ck_assert_int_eq(read(whole, bytes, sizeof(bytes)), sizeof(bytes));
        ck_assert_int_eq(write(part, bytes, sizeof(bytes)), sizeof(bytes));
        assert_add(service, "empty", empty, "BadFile");
        assert_add(service, "magic", magic, "BadFile");
        assert_add(service, "text", text, "BadFile");
        assert_add(service, "part", part, "BadFile");
        assert_add(service, "sparse", sparse, "LimitReached");
        finish(service);
}
END_TEST

static void put_u64(struct qvf_text *file, uint64_t value)
{
        ck_assert_int_eq(qvf_text_append(file, &value, 8), 0);
}

static void put_u32(struct qvf_text *file, uint32_t value)
{
        ck_assert_int_eq(qvf_text_append(file, &value, 4), 0);
}

/* CVE-2024-21802, -21825, -21836, -23496, -23605, CVE-2025-53630, CVE-2026-27940, CVE-2025-49847, CVE-2024-41130,
 * CVE-2026-7482: the counts and sizes of a model file; parsed by a worker, which refuses them and lives. */
START_TEST(cve_2024_21802_counts_of_model_files)
{
        static const uint64_t counts[] = { 1, UINT32_MAX, UINT64_MAX, UINT64_MAX / 8, (uint64_t)1 << 63 };
        struct service *service = begin(NULL);

        for (unsigned where = 0; where < 5; where++)
                for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
                        _cleanup_text_ struct qvf_text file = { 0 };
                        _cleanup_close_ int fd = service_open(service, "forged", "");
                        char path[128];

                        qvf_text_append(&file, "GGUF", 4);
                        put_u32(&file, 3);
                        put_u64(&file, where == 0 ? counts[i] : 1); /* tensors */
                        put_u64(&file, where == 1 ? counts[i] : 1); /* keys */
                        put_u64(&file, where == 2 ? counts[i] : 4); /* length of a key */
                        qvf_text_append(&file, "name", 4);
                        put_u32(&file, where == 4 ? 9 : 8); /* an array, or a string */
                        if (where == 4)
                                put_u32(&file, 8);
                        put_u64(&file, where >= 3 ? counts[i] : 1); /* its length */
                        qvf_text_append(&file, "x", 1);
                        snprintf(path, sizeof(path), "%s/forged", service->folder);
                        close(fd);
                        fd = open(path, O_RDWR | O_CLOEXEC);
                        ck_assert_int_eq(write(fd, file.bytes, file.length), (ssize_t)file.length);
                        assert_add(service, "forged", fd, "BadFile");
                }
        finish(service);
}
END_TEST

static void assert_complete(struct service *service, const char *key, const char *type, ...)
{
        sd_bus_message *message = NULL, *reply = NULL;
        va_list arguments;
        int r;

        sd_bus_error_free(&service->error);
        ck_assert_int_ge(sd_bus_message_new_method_call(service->bus, &message, NULL, SERVICE_ROOT,
                                         "org.qvf.Fabric1.Manager", "Complete"),
                        0);
        sd_bus_message_append(message, "ss", "tiny", "hello");
        sd_bus_message_open_container(message, 'a', "{sv}");
        sd_bus_message_open_container(message, 'e', "sv");
        sd_bus_message_append(message, "s", key);
        sd_bus_message_open_container(message, 'v', type);
        va_start(arguments, type);
        sd_bus_message_appendv(message, type, arguments);
        va_end(arguments);
        for (unsigned i = 0; i < 3; i++)
                sd_bus_message_close_container(message);
        r = sd_bus_call(service->bus, message, 0, &service->error, &reply);
        ck_assert_msg(r < 0, "%s was taken", key);
        ck_assert_msg(strcmp(service_error(service), "InvalidArgument") == 0 ||
                                        strcmp(service_error(service), "UnknownOption") == 0 ||
                                        strcmp(service_error(service), "LimitReached") == 0,
                        "%s: %s: %s", key, service_error(service), service->error.message);
        ck_assert_msg(strstr(service->error.message, key) != NULL ||
                                        strstr(service->error.message, "tokens"),
                        "%s: %s", key, service->error.message);
        sd_bus_message_unref(message);
        sd_bus_message_unref(reply);
}

/* CVE-2026-21869: numbers that nobody checked, such as a negative count. */
START_TEST(cve_2026_21869_numbers_out_of_range)
{
        struct service *service = begin(NULL);

        service_add_model(service, "tiny", MODEL);
        assert_complete(service, "penalty_window", "i", -1);
        assert_complete(service, "max_tokens", "x", (int64_t)-5);
        assert_complete(service, "max_tokens", "t", UINT64_MAX);
        assert_complete(service, "max_tokens", "s", "many");
        assert_complete(service, "top_k", "i", INT32_MIN);
        assert_complete(service, "temperature", "d", -1.0);
        assert_complete(service, "temperature", "d", 0.0 / 0.0);
        assert_complete(service, "top_p", "d", 1e308);
        assert_complete(service, "n_discard", "i", -1);
        assert_complete(service, "keep", "i", -1);
        finish(service);
}
END_TEST

START_TEST(limits_of_one_client)
{
        struct service *service = begin("clients:\n  sessions: 2\n  tokens: 64\n  prompt_tokens: 4\n  jobs: "
                                        "1\n  requests: 1\n");
        _cleanup_close_ int data = service_open(service, "d.jsonl", "{\"text\":\"one two\"}\n");
        sd_bus *other = NULL;
        char prompt[200];

        service_add_model(service, "tiny", MODEL);
        for (unsigned i = 0; i < 2; i++)
                ck_assert_int_ge(service_call(service, service->bus, "", "Manager", "OpenSession", NULL,
                                                 "sa{sv}", "tiny", 0),
                                0);
        ck_assert_int_lt(service_call(service, service->bus, "", "Manager", "OpenSession", NULL, "sa{sv}",
                                         "tiny", 0),
                        0);
        ck_assert_str_eq(service_error(service), "LimitReached");
        other = service_connect(service);
        ck_assert_int_ge(service_call(service, other, "", "Manager", "OpenSession", NULL, "sa{sv}", "tiny",
                                         0),
                        0);
        assert_complete(service, "max_tokens", "u", 65u);
        memset(prompt, 'a', sizeof(prompt));
        prompt[sizeof(prompt) - 1] = 0;
        ck_assert_int_lt(service_call(service, service->bus, "", "Manager", "Complete", NULL, "ssa{sv}",
                                         "tiny", prompt, 0),
                        0);
        ck_assert_str_eq(service_error(service), "LimitReached");
        ck_assert_int_ge(service_call(service, service->bus, "", "Manager", "Train", NULL, "sha{sv}", "tiny",
                                         data, 1, "paused", "b", 1),
                        0);
        ck_assert_int_lt(service_call(service, service->bus, "", "Manager", "Train", NULL, "sha{sv}", "tiny",
                                         data, 0),
                        0);
        ck_assert_str_eq(service_error(service), "LimitReached");
        sd_bus_close_unref(other);
        finish(service);
}
END_TEST

/* A client that reads nothing is sent signals all the same: they must not fill the memory. */
START_TEST(a_client_that_reads_nothing)
{
        struct service *service = begin(NULL);
        _cleanup_close_ int deaf = raw_connection(service);

        for (unsigned i = 0; i < 20000; i++) {
                sd_bus_message *reply = NULL;
                uint64_t id = 0;

                ck_assert_int_ge(service_call(service, service->bus, "", "Manager", "Hold", &reply, "sst",
                                                 "training", "", (uint64_t)0),
                                0);
                ck_assert_int_gt(sd_bus_message_read(reply, "t", &id), 0);
                sd_bus_message_unref(reply);
                ck_assert_int_ge(
                                service_call(service, service->bus, "", "Manager", "Release", NULL, "t", id),
                                0);
                /* Take what was sent to us. */
                while (sd_bus_process(service->bus, NULL) > 0)
                        ;
                if (send(deaf, "", 0, MSG_NOSIGNAL) < 0)
                        break;
        }
        {
                char path[128], *line = NULL;
                _cleanup_fclose_ FILE *log = NULL;
                size_t size = 0;
                bool told = false;

                snprintf(path, sizeof(path), "%s/log", service->folder);
                log = fopen(path, "r");
                while (log && getline(&line, &size, log) > 0)
                        told |= strstr(line, "reads nothing") != NULL;
                free(line);
                ck_assert(told);
        }
        finish(service);
}
END_TEST

QVF_SUITE("guards", 120, cve_2025_66005_only_regular_files, cve_2024_52337_and_37032_strict_names,
                cve_2024_52336_holds_of_others, cve_2025_8067_descriptor_numbers,
                cve_2024_39720_short_and_endless_files, cve_2024_21802_counts_of_model_files,
                cve_2026_21869_numbers_out_of_range, limits_of_one_client, a_client_that_reads_nothing)
