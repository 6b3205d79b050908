/* SPDX-License-Identifier: Apache-2.0 */
/* A device that goes wrong in the middle of the work: the worker ends with the status that says how. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/support/folder.h"
#include "tests/support/suite.h"
#include "tests/worker/peer.h"
#include "worker/status.h"

#define MODEL "models/tiny-silu.TQ2_0.gguf"
#define DATA "tests/data/sets/facts.jsonl"

static const struct peer_training job = { .steps = 100000, .batch = 2, .checkpoint_every = 5 };

/* A worker whose device goes wrong so at that submission. */
static struct peer *start(const char *fault, const char *at)
{
        char path[PATH_MAX];
        ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - sizeof("/faulty"));
        struct peer *peer;
        int fd;

        path[length > 0 ? length : 0] = 0;
        for (unsigned i = 0; i < 2; i++)
                *strrchr(path, '/') = 0;
        strcat(path, "/faulty");
        setenv("QVF_PLUGIN_DIR", path, 1);
        setenv("QVF_FAULT", fault, 1);
        setenv("QVF_FAULT_AT", at, 1);
        peer = peer_start();
        fd = open(MODEL, O_RDONLY | O_CLOEXEC);
        ck_assert_msg(peer_call(peer, "Load", NULL, "ha{sv}", fd, 2, "backend", "s", "faulty",
                                      "hang_seconds", "u", 1) == 0,
                        "%s: %s", peer_error(peer), peer->error.message);
        close(fd);
        return peer;
}

static void assert_fails(struct peer *peer, const char *what, enum worker_status wanted)
{
        const struct peer_signal *failed = peer_wait(peer, "Failed", what, PEER_LIMIT_MS);
        int status = peer_wait_end(peer, PEER_LIMIT_MS);

        ck_assert_ptr_nonnull(failed);
        ck_assert_uint_gt(strlen(failed->word), 0);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == (int)wanted, "status %x",
                        (unsigned)status);
        ck_assert_ptr_null(peer_wait(peer, "TrainEnded", NULL, 50));
        peer_stop(peer);
}

static void train(struct peer *peer, int folder)
{
        int r = peer_train(peer, "job", DATA, folder, &job, NULL);

        ck_assert_msg(r == 0, "%s: %s", peer_error(peer), peer->error.message);
}

START_TEST(a_lost_device_while_it_trains)
{
        struct peer *peer = start("lost", "60");
        int folder = test_folder();
        char name[256];

        train(peer, folder);
        assert_fails(peer, "device-lost", WORKER_DEVICE_LOST);
        ck_assert_uint_gt(test_folder_find(folder, "5", name), 0); /* the checkpoint stays */
}
END_TEST

START_TEST(a_device_that_hangs_while_it_trains)
{
        struct peer *peer = start("hang", "60");

        train(peer, test_folder());
        ck_assert_ptr_nonnull(peer_wait(peer, "Progress", "job", PEER_LIMIT_MS));
        ck_assert_int_eq(peer_call(peer, "Ping", NULL, ""), 0);
        assert_fails(peer, "hung", WORKER_HUNG);
}
END_TEST

START_TEST(a_device_without_memory_while_it_trains)
{
        struct peer *peer = start("memory", "60");

        train(peer, test_folder());
        assert_fails(peer, "out-of-memory", WORKER_OUT_OF_MEMORY);
}
END_TEST

START_TEST(wrong_numbers_while_it_trains)
{
        struct peer *peer = start("wrong", "60");

        train(peer, test_folder());
        assert_fails(peer, "wrong-numbers", WORKER_WRONG_NUMBERS);
}
END_TEST

START_TEST(a_crash_while_it_trains)
{
        struct peer *peer = start("crash", "60");
        int status;

        train(peer, test_folder());
        status = peer_wait_end(peer, PEER_LIMIT_MS);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        peer_stop(peer);
}
END_TEST

START_TEST(a_lost_device_while_it_answers)
{
        struct peer *peer = start("lost", "6");
        int fd = peer_infer(peer, "ask", "One two three", 200, NULL);

        ck_assert_int_ge(fd, 0);
        assert_fails(peer, "device-lost", WORKER_DEVICE_LOST);
        close(fd);
}
END_TEST

START_TEST(a_device_that_hangs_while_it_answers)
{
        struct peer *peer = start("hang", "6");
        int fd = peer_infer(peer, "ask", "One two three", 200, NULL);

        assert_fails(peer, "hung", WORKER_HUNG);
        close(fd);
}
END_TEST

START_TEST(wrong_numbers_while_it_answers)
{
        struct peer *peer = start("wrong", "6");
        int fd = peer_infer(peer, "ask", "One two three", 200, NULL);

        assert_fails(peer, "wrong-numbers", WORKER_WRONG_NUMBERS);
        close(fd);
}
END_TEST

START_TEST(an_answer_without_memory_is_only_an_answer)
{
        struct peer *peer = start("memory", "6");
        int fd = peer_infer(peer, "ask", "One two three", 200, NULL);
        const struct peer_signal *ended = peer_wait(peer, "InferEnded", "ask", PEER_LIMIT_MS);

        ck_assert_ptr_nonnull(ended);
        ck_assert_str_eq(ended->word, "failed");
        ck_assert_int_eq(peer_call(peer, "Ping", NULL, ""), 0);
        close(fd);
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

QVF_SUITE("worker: faults of the device", 60, a_lost_device_while_it_trains,
                a_device_that_hangs_while_it_trains, a_device_without_memory_while_it_trains,
                wrong_numbers_while_it_trains, a_crash_while_it_trains, a_lost_device_while_it_answers,
                a_device_that_hangs_while_it_answers, wrong_numbers_while_it_answers,
                an_answer_without_memory_is_only_an_answer)
