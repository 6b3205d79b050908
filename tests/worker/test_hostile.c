/* SPDX-License-Identifier: Apache-2.0 */
/* Bad files, options and readers: each gets an error that names the place, and the worker goes on. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/support/folder.h"
#include "tests/support/suite.h"
#include "tests/worker/peer.h"

#define MODEL "models/tiny-silu.TQ2_0.gguf"
#define DATA "tests/data/sets/facts.jsonl"

static int memory_file(const void *bytes, size_t length)
{
        int fd = memfd_create("test", MFD_CLOEXEC);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, bytes, length), (ssize_t)length);
        return fd;
}

/* The model's bytes with a few changed. */
static int changed_model(size_t at, const void *bytes, size_t length, size_t cut)
{
        _cleanup_close_ int fd = open(MODEL, O_RDONLY | O_CLOEXEC);
        _cleanup_free_ char *copy = NULL;
        struct stat status;

        ck_assert_int_eq(fstat(fd, &status), 0);
        copy = malloc((size_t)status.st_size);
        ck_assert_int_eq(read(fd, copy, (size_t)status.st_size), status.st_size);
        memcpy(copy + at, bytes, length);
        return memory_file(copy, cut ? cut : (size_t)status.st_size);
}

static void assert_error(struct peer *peer, int r, const char *name, const char *word)
{
        ck_assert_int_lt(r, 0);
        ck_assert_msg(strcmp(peer_error(peer), name) == 0, "%s: %s, expected %s", peer_error(peer),
                        peer->error.message, name);
        ck_assert_msg(strstr(peer->error.message, word) != NULL, "'%s' does not name '%s'",
                        peer->error.message, word);
}

START_TEST(bad_models)
{
        struct peer *peer = peer_start();
        static const uint64_t huge = UINT64_MAX / 2;
        int pipe_fds[2];
        const struct {
                int fd;
        } files[] = {
                { memory_file("no model at all", 15) },
                { memory_file("", 0) },
                { changed_model(8, &huge, 8, 0) },  /* tensors */
                { changed_model(16, &huge, 8, 0) }, /* keys */
                { changed_model(24, &huge, 8, 0) }, /* the length of the first key */
                { changed_model(0, "GGUF", 4, 4096) },
                { open("models", O_RDONLY | O_DIRECTORY | O_CLOEXEC) },
                { open("/dev/zero", O_RDONLY | O_CLOEXEC) },
        };

        for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
                assert_error(peer, peer_call(peer, "Load", NULL, "ha{sv}", files[i].fd, 0), "BadFile",
                                "the model");
                assert_error(peer, peer_call(peer, "DescribeModel", NULL, "h", files[i].fd), "BadFile",
                                "the model");
                close(files[i].fd);
        }
        ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
        assert_error(peer, peer_call(peer, "Load", NULL, "ha{sv}", pipe_fds[0], 0), "BadFile", "a pipe");
        peer_load(peer, MODEL, true);
        free(peer_ask(peer, "one", "Still", 2, NULL));
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

START_TEST(bad_options)
{
        struct peer *peer = peer_start();
        int fd = open(MODEL, O_RDONLY | O_CLOEXEC), folder = test_folder(), data = open(DATA, O_RDONLY),
            fds[2];
        int r;

        r = peer_call(peer, "Load", NULL, "ha{sv}", fd, 1, "colour", "s", "red");
        assert_error(peer, r, "UnknownOption", "colour");
        r = peer_call(peer, "Load", NULL, "ha{sv}", fd, 1, "threads", "s", "many");
        assert_error(peer, r, "InvalidArgument", "threads");
        r = peer_call(peer, "Load", NULL, "ha{sv}", fd, 1, "threads", "u", 100000);
        assert_error(peer, r, "InvalidArgument", "threads");
        r = peer_call(peer, "Load", NULL, "ha{sv}", fd, 1, "backend", "s", "../cpu");
        assert_error(peer, r, "NoDevice", "../cpu");
        r = peer_call(peer, "Load", NULL, "ha{sv}", fd, 1, "kv", "s", "f64");
        assert_error(peer, r, "InvalidArgument", "f16 q8_0 f32");
        r = peer_call(peer, "Load", NULL, "ha{sv}", fd, 1, "memory", "t", (uint64_t)1000);
        assert_error(peer, r, "OutOfMemory", "1000");
        r = peer_call(peer, "Train", NULL, "shha{sv}", "job", data, folder, 0);
        assert_error(peer, r, "BadState", "no model");
        peer_load(peer, MODEL, true);
        r = peer_call(peer, "Load", NULL, "ha{sv}", fd, 0);
        assert_error(peer, r, "BadState", "already");
        r = peer_call(peer, "Train", NULL, "shha{sv}", "", data, folder, 0);
        assert_error(peer, r, "InvalidArgument", "name");
        r = peer_call(peer, "Train", NULL, "shha{sv}", "job", data, data, 0);
        assert_error(peer, r, "InvalidArgument", "folder");
        r = peer_call(peer, "Train", NULL, "shha{sv}", "job", data, folder, 1, "modules", "s",
                        "attn_q,nose");
        assert_error(peer, r, "InvalidArgument", "nose");
        r = peer_call(peer, "Train", NULL, "shha{sv}", "job", data, folder, 1, "learning_rate", "d",
                        (double)NAN);
        assert_error(peer, r, "InvalidArgument", "learning_rate");
        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        r = peer_call(peer, "Infer", NULL, "sha{sv}", "one", fds[1], 0);
        assert_error(peer, r, "InvalidArgument", "prompt");
        r = peer_call(peer, "Infer", NULL, "sha{sv}", "one", fds[0], 1, "prompt", "s", "x");
        assert_error(peer, r, "InvalidArgument", "pipe");
        r = peer_call(peer, "Infer", NULL, "sha{sv}", "one", fd, 1, "prompt", "s", "x");
        assert_error(peer, r, "InvalidArgument", "pipe");
        r = peer_call(peer, "Infer", NULL, "sha{sv}", "one", fds[1], 2, "prompt", "s", "x", "temperature",
                        "d", -1.0);
        assert_error(peer, r, "InvalidArgument", "temperature");
        r = peer_call(peer, "Infer", NULL, "sha{sv}", "one", fds[1], 2, "prompt", "s", "x", "stop", "as", 1,
                        "");
        assert_error(peer, r, "InvalidArgument", "stop");
        free(peer_ask(peer, "one", "Still", 2, NULL));
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

START_TEST(bad_data)
{
        struct peer *peer = peer_start();
        int folder = test_folder();
        static const char bad_line[] = "{\"text\": \"fine\"}\n{\"text\": oops}\n";
        int data = memory_file(bad_line, strlen(bad_line)), empty = memory_file("", 0), r;
        sd_bus_message *reply = NULL;

        peer_load(peer, MODEL, true);
        r = peer_call(peer, "Train", NULL, "shha{sv}", "job", data, folder, 1, "data_kind", "s",
                        "jsonl-text");
        assert_error(peer, r, "BadFile", "2");
        r = peer_call(peer, "Train", NULL, "shha{sv}", "job", empty, folder, 0);
        assert_error(peer, r, "BadFile", "data");
        r = peer_call(peer, "CheckData", &reply, "ha{sv}", data, 2, "data_kind", "s", "jsonl-text",
                        "skip_bad_lines", "b", 1);
        ck_assert_int_eq(r, 0);
        ck_assert(peer_number(reply, "bad_lines") == 1);
        ck_assert(peer_number(reply, "documents") == 1);
        ck_assert(peer_number(reply, "steps") == 1);
        sd_bus_message_unref(reply);
        r = peer_call(peer, "AddAdapter", NULL, "sha{sv}", "bad", data, 0);
        assert_error(peer, r, "BadFile", "bad");
        free(peer_ask(peer, "one", "Still", 2, NULL));
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

START_TEST(a_closed_pipe_cancels)
{
        struct peer *peer = peer_start();
        const struct peer_signal *ended;
        int fd;

        peer_load(peer, MODEL, true);
        fd = peer_infer(peer, "long", "Tell", 400, NULL);
        ck_assert_int_ge(fd, 0);
        close(fd);
        ended = peer_wait(peer, "InferEnded", "long", PEER_LIMIT_MS);
        ck_assert_ptr_nonnull(ended);
        ck_assert_str_eq(ended->word, "cancelled");
        ck_assert(ended->values[PEER_GENERATED] < 400);
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

START_TEST(cancelled_by_a_call)
{
        struct peer *peer = peer_start();
        const struct peer_signal *ended;
        char *text;
        int fd;

        peer_load(peer, MODEL, true);
        fd = peer_infer(peer, "long", "Tell", 400, NULL);
        ck_assert_int_lt(peer_infer(peer, "long", "Tell", 400, NULL), 0);
        ck_assert_str_eq(peer_error(peer), "Exists");
        ck_assert_int_eq(peer_call(peer, "CancelInfer", NULL, "s", "long"), 0);
        ck_assert_int_eq(peer_call(peer, "CancelInfer", NULL, "s", "nobody"), 0);
        text = peer_read_all(peer, fd, PEER_LIMIT_MS);
        ck_assert_ptr_nonnull(text);
        ended = peer_wait(peer, "InferEnded", "long", PEER_LIMIT_MS);
        ck_assert_ptr_nonnull(ended);
        ck_assert_str_eq(ended->word, "cancelled");
        free(text);
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

/* Somebody who does not read must cost nobody anything. */
START_TEST(a_reader_who_does_not_read)
{
        struct peer *peer = peer_start();
        int fd, fds[2];

        peer_load(peer, MODEL, true);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        ck_assert_int_eq(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &(int){ 1 }, sizeof(int)), 0);
        ck_assert_int_eq(peer_call(peer, "Infer", NULL, "sha{sv}", "deaf", fds[1], 4, "prompt", "s", "Tell",
                                         "ignore_end", "b", 1, "max_tokens", "u", (uint32_t)300, "format",
                                         "s", "jsonl"),
                        0);
        close(fds[1]);
        fd = peer_infer(peer, "keen", "Tell", 50, NULL);
        free(peer_read_all(peer, fd, PEER_LIMIT_MS));
        ck_assert_ptr_nonnull(peer_wait(peer, "InferEnded", "keen", PEER_LIMIT_MS));
        ck_assert_ptr_null(peer_wait(peer, "InferEnded", "deaf", 300));
        free(peer_read_all(peer, fds[0], PEER_LIMIT_MS));
        ck_assert_ptr_nonnull(peer_wait(peer, "InferEnded", "deaf", PEER_LIMIT_MS));
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

QVF_SUITE("worker: hostile", 120, bad_models, bad_options, bad_data, a_closed_pipe_cancels,
                cancelled_by_a_call, a_reader_who_does_not_read)
