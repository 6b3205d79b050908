/* SPDX-License-Identifier: Apache-2.0 */
/* Training in a worker: to its end, with answers in between, stopped, killed, gone on with. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/support/folder.h"
#include "tests/support/suite.h"
#include "tests/worker/peer.h"

#define MODEL "models/tiny-silu.TQ2_0.gguf"
#define DATA "tests/data/sets/facts.jsonl"

static const struct peer_training short_job = { .steps = 30, .batch = 2, .checkpoint_every = 5 };
static const struct peer_training long_job = { .steps = 100000, .batch = 4, .checkpoint_every = 50 };

static char *read_file(int folder, const char *name, size_t *ret_length)
{
        _cleanup_close_ int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
        struct stat status;
        char *bytes;

        ck_assert_msg(fd >= 0 && fstat(fd, &status) == 0, "%s: %s", name, strerror(errno));
        bytes = malloc((size_t)status.st_size + 1);
        ck_assert_int_eq(read(fd, bytes, (size_t)status.st_size), status.st_size);
        *ret_length = (size_t)status.st_size;
        return bytes;
}

static void assert_same_file(int one, int other, const char *name)
{
        size_t length, other_length;
        _cleanup_free_ char *bytes = read_file(one, name, &length);
        _cleanup_free_ char *others = read_file(other, name, &other_length);

        ck_assert_uint_eq(length, other_length);
        ck_assert(memcmp(bytes, others, length) == 0);
}

static void start(struct peer *peer, const char *job, int folder, const struct peer_training *options)
{
        int r = peer_train(peer, job, DATA, folder, options, NULL);

        ck_assert_msg(r == 0, "Train: %s: %s", peer_error(peer), peer->error.message);
}

static void assert_ends(struct peer *peer, const char *job, const char *verdict)
{
        const struct peer_signal *ended = peer_wait(peer, "TrainEnded", job, PEER_LIMIT_MS);

        ck_assert_ptr_nonnull(ended);
        ck_assert_msg(strcmp(ended->word, verdict) == 0, "%s: %s", ended->word, ended->text);
}

/* The adapter of a run that nothing disturbed. */
static int undisturbed(void)
{
        struct peer *peer = peer_start();
        int folder = test_folder();

        peer_load(peer, MODEL, false);
        start(peer, "calm", folder, &short_job);
        assert_ends(peer, "calm", "finished");
        ck_assert_int_eq(peer_stop(peer), 0);
        return folder;
}

START_TEST(a_job_tells_its_plan_and_its_progress)
{
        struct peer *peer = peer_start();
        int folder = test_folder();
        sd_bus_message *reply = NULL;
        size_t length;
        const struct peer_signal *progress;

        peer_load(peer, MODEL, true);
        ck_assert_int_eq(peer_train(peer, "job", DATA, folder, &short_job, &reply), 0);
        ck_assert(peer_number(reply, "total_steps") == 30);
        ck_assert(peer_number(reply, "resumed_from") == 0);
        ck_assert(peer_number(reply, "memory") > 0);
        ck_assert(peer_number(reply, "loss_tokens") > 0);
        sd_bus_message_unref(reply);
        assert_ends(peer, "job", "finished");
        progress = peer_wait(peer, "Progress", "job", 100);
        ck_assert_ptr_nonnull(progress);
        ck_assert(progress->values[PEER_STEP] >= 1 && progress->values[PEER_TOTAL] == 30);
        ck_assert(isfinite(progress->values[PEER_LOSS]));
        free(read_file(folder, "best.gguf", &length));
        free(read_file(folder, "metrics.jsonl", &length));
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

START_TEST(it_shows_that_it_lives_while_there_is_something_to_do)
{
        struct peer *peer = peer_start();
        int folder = test_folder();
        unsigned before;

        peer_load(peer, MODEL, false);
        start(peer, "job", folder, &long_job);
        while (peer->n_heartbeats < 3 || strcmp(peer->activity, "train") != 0)
                peer_run(peer, 100);
        ck_assert_int_eq(peer_call(peer, "PauseTraining", NULL, ""), 0);
        while (strcmp(peer->activity, "paused") != 0)
                peer_run(peer, 100);
        before = peer->n_heartbeats;
        peer_run(peer, 1000);
        ck_assert_uint_eq(peer->n_heartbeats, before);
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

START_TEST(answers_in_between_change_neither)
{
        int calm = undisturbed(), folder = test_folder();
        struct peer *peer = peer_start();
        _cleanup_free_ char *before = NULL;

        peer_load(peer, MODEL, true);
        before = peer_ask(peer, "before", "Once upon", 12, NULL);
        start(peer, "job", folder, &short_job);
        for (unsigned i = 0; i < 6; i++) {
                char name[8];
                _cleanup_free_ char *text = NULL;

                snprintf(name, sizeof(name), "ask%u", i);
                text = peer_ask(peer, name, "Once upon", 12, NULL);
                ck_assert_str_eq(before, text);
        }
        assert_ends(peer, "job", "finished");
        assert_same_file(calm, folder, "best.gguf");
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

START_TEST(a_paused_job_stands_and_goes_on)
{
        int calm = undisturbed(), folder = test_folder();
        struct peer *peer = peer_start();
        unsigned before;

        peer_load(peer, MODEL, true);
        ck_assert_int_lt(peer_call(peer, "PauseTraining", NULL, ""), 0);
        ck_assert_str_eq(peer_error(peer), "BadState");
        start(peer, "job", folder, &short_job);
        ck_assert_int_eq(peer_call(peer, "PauseTraining", NULL, ""), 0);
        peer_run(peer, 300); /* what was told before */
        before = peer->n_signals;
        free(peer_ask(peer, "meanwhile", "Yes", 3, NULL));
        peer_run(peer, 300);
        for (unsigned i = before; i < peer->n_signals; i++)
                ck_assert_str_eq(peer->signals[i].name, "InferEnded");
        ck_assert_int_eq(peer_call(peer, "ResumeTraining", NULL, ""), 0);
        assert_ends(peer, "job", "finished");
        assert_same_file(calm, folder, "best.gguf");
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

START_TEST(a_stopped_job_goes_on_bit_by_bit)
{
        int calm = undisturbed(), folder = test_folder();
        sd_bus_message *reply = NULL;

        for (unsigned i = 0; i < 4; i++) {
                struct peer *peer = peer_start();

                peer_load(peer, MODEL, false);
                start(peer, "job", folder, &short_job);
                peer_run(peer, 20 + 15 * i);
                if (i % 2)
                        peer_call(peer, "PauseTraining", NULL, "");
                if (peer_call(peer, "StopTraining", NULL, "b", 1) == 0)
                        ck_assert_ptr_nonnull(peer_wait(peer, "TrainEnded", "job", PEER_LIMIT_MS));
                ck_assert_int_eq(peer_stop(peer), 0);
                if (faccessat(folder, "best.gguf", F_OK, 0) == 0)
                        break;
        }
        if (faccessat(folder, "best.gguf", F_OK, 0) != 0) {
                struct peer *peer = peer_start();

                peer_load(peer, MODEL, false);
                ck_assert_int_eq(peer_train(peer, "job", DATA, folder, &short_job, &reply), 0);
                sd_bus_message_unref(reply);
                assert_ends(peer, "job", "finished");
                peer_stop(peer);
        }
        assert_same_file(calm, folder, "best.gguf");
        assert_same_file(calm, folder, "last.gguf");
}
END_TEST

START_TEST(killed_at_any_instant_it_goes_on_bit_by_bit)
{
        int calm = undisturbed(), folder = test_folder();

        for (unsigned i = 0; i < 60; i++) {
                struct peer *peer = peer_start();

                peer_load(peer, MODEL, false);
                start(peer, "job", folder, &short_job);
                if (i < 12) {
                        peer_run(peer, 5 + 9 * i);
                        kill(peer->pid, SIGKILL);
                        peer_stop(peer);
                } else {
                        assert_ends(peer, "job", "finished");
                        peer_stop(peer);
                        break;
                }
                if (faccessat(folder, "best.gguf", F_OK, 0) == 0)
                        break;
        }
        assert_same_file(calm, folder, "best.gguf");
}
END_TEST

START_TEST(a_new_adapter_answers_at_once)
{
        int folder = test_folder();
        struct peer *peer = peer_start();
        _cleanup_free_ char *plain = NULL, *taught = NULL;
        _cleanup_close_ int fd = -1;
        struct peer_training options = short_job;

        options.rate = 2e-2;
        peer_load(peer, MODEL, true);
        plain = peer_ask(peer, "plain", "The capital", 16, NULL);
        start(peer, "job", folder, &options);
        assert_ends(peer, "job", "finished");
        fd = openat(folder, "best.gguf", O_RDONLY | O_CLOEXEC);
        ck_assert_int_eq(peer_call(peer, "AddAdapter", NULL, "sha{sv}", "new", fd, 0), 0);
        ck_assert_int_lt(peer_call(peer, "AddAdapter", NULL, "sha{sv}", "new", fd, 0), 0);
        ck_assert_str_eq(peer_error(peer), "Exists");
        taught = peer_ask(peer, "taught", "The capital", 16, "new");
        ck_assert_str_ne(plain, taught);
        ck_assert_int_eq(peer_call(peer, "DropAdapter", NULL, "s", "new"), 0);
        ck_assert_int_lt(peer_infer(peer, "gone", "The", 4, "new"), 0);
        ck_assert_str_eq(peer_error(peer), "NotFound");
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

START_TEST(only_one_job_at_a_time)
{
        int folder = test_folder(), other = test_folder();
        struct peer *peer = peer_start();

        peer_load(peer, MODEL, false);
        start(peer, "one", folder, &long_job);
        ck_assert_int_lt(peer_train(peer, "two", DATA, other, &long_job, NULL), 0);
        ck_assert_str_eq(peer_error(peer), "Busy");
        ck_assert_int_eq(peer_call(peer, "StopTraining", NULL, "b", 0), 0);
        assert_ends(peer, "one", "stopped");
        start(peer, "two", other, &short_job);
        assert_ends(peer, "two", "finished");
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

START_TEST(asked_to_end_it_leaves_a_checkpoint)
{
        int folder = test_folder();
        struct peer *peer = peer_start();
        char name[256];
        int status;

        peer_load(peer, MODEL, false);
        start(peer, "job", folder, &long_job);
        ck_assert_ptr_nonnull(peer_wait(peer, "Progress", "job", PEER_LIMIT_MS));
        kill(peer->pid, SIGTERM);
        status = peer_wait_end(peer, PEER_LIMIT_MS);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        peer_stop(peer);
        for (unsigned i = 1; i < 100000; i++) {
                snprintf(name, sizeof(name), "checkpoint-%u", i);
                if (faccessat(folder, name, F_OK, 0) == 0)
                        return;
        }
        ck_abort_msg("there is no checkpoint");
}
END_TEST

QVF_SUITE("worker: training", 120, a_job_tells_its_plan_and_its_progress,
                it_shows_that_it_lives_while_there_is_something_to_do, answers_in_between_change_neither,
                a_paused_job_stands_and_goes_on, a_stopped_job_goes_on_bit_by_bit,
                killed_at_any_instant_it_goes_on_bit_by_bit, a_new_adapter_answers_at_once,
                only_one_job_at_a_time, asked_to_end_it_leaves_a_checkpoint)
