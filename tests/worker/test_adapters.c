/* SPDX-License-Identifier: Apache-2.0 */
/* Work on adapters' files, for the model that is loaded. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/support/folder.h"
#include "tests/support/suite.h"
#include "tests/worker/peer.h"

#define MODEL "models/tiny-silu.TQ2_0.gguf"
#define OTHER "models/helper-29m.TQ2_0.gguf"
#define DATA "tests/data/sets/facts.jsonl"

/* A worker with the model, and an adapter that was trained a little. */
static struct peer *start(int *ret_adapter)
{
        const struct peer_training options = {
                .steps = 12, .batch = 2, .checkpoint_every = 50, .rate = 2e-2
        };
        struct peer *peer = peer_start();
        int folder = test_folder();

        peer_load(peer, MODEL, true);
        ck_assert_int_eq(peer_train(peer, "job", DATA, folder, &options, NULL), 0);
        ck_assert_ptr_nonnull(peer_wait(peer, "TrainEnded", "job", PEER_LIMIT_MS));
        *ret_adapter = openat(folder, "best.gguf", O_RDONLY | O_CLOEXEC);
        ck_assert_int_ge(*ret_adapter, 0);
        return peer;
}

static int output(int folder, const char *name)
{
        int fd = openat(folder, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        ck_assert_int_ge(fd, 0);
        return fd;
}

static void assert_ok(const struct peer *peer, int r)
{
        ck_assert_msg(r == 0, "%s: %s", peer_error(peer), peer->error.message);
}

/* The answer under an adapter that was added under this name. */
static char *answer(struct peer *peer, const char *name, int adapter)
{
        assert_ok(peer, peer_call(peer, "AddAdapter", NULL, "sha{sv}", name, adapter, 0));
        return peer_ask(peer, name, "The capital", 16, name);
}

START_TEST(out_as_peft_and_back)
{
        int adapter, folder = test_folder();
        struct peer *peer = start(&adapter);
        int weights = output(folder, "weights"), config = output(folder, "config"),
            back = output(folder, "back");
        sd_bus_message *reply = NULL;
        _cleanup_free_ char *one = NULL, *other = NULL;

        assert_ok(peer, peer_call(peer, "ExportPeft", NULL, "hhh", adapter, weights, config));
        assert_ok(peer, peer_call(peer, "ImportAdapter", &reply, "hha{sv}", weights, back, 1, "config", "h",
                                        config));
        ck_assert(peer_number(reply, "rank") == 4);
        ck_assert(peer_number(reply, "parameters") > 0);
        sd_bus_message_unref(reply);
        one = answer(peer, "one", adapter);
        other = answer(peer, "other", back);
        ck_assert_str_eq(one, other);
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

START_TEST(two_halves_are_a_whole)
{
        int adapter, folder = test_folder();
        struct peer *peer = start(&adapter);
        int sum = output(folder, "sum");
        sd_bus_message *reply = NULL;
        _cleanup_free_ char *one = NULL, *other = NULL;

        assert_ok(peer, peer_call(peer, "MergeAdapters", &reply, "a(hd)ha{sv}", 2, adapter, 0.5, adapter,
                                        0.5, sum, 1, "rank", "u", 4));
        ck_assert(peer_number(reply, "rank") <= 8);
        sd_bus_message_unref(reply);
        one = answer(peer, "one", adapter);
        other = answer(peer, "other", sum);
        ck_assert_str_eq(one, other);
        ck_assert_int_lt(peer_call(peer, "MergeAdapters", NULL, "a(hd)ha{sv}", 0, sum, 0), 0);
        ck_assert_str_eq(peer_error(peer), "InvalidArgument");
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

START_TEST(into_a_model_of_its_own)
{
        int adapter, folder = test_folder();
        struct peer *peer = start(&adapter), *merged = peer_start();
        int model = output(folder, "model");

        assert_ok(peer, peer_call(peer, "MergeIntoModel", NULL, "hha{sv}", adapter, model, 0));
        assert_ok(merged, peer_call(merged, "Load", NULL, "ha{sv}", model, 0));
        free(peer_ask(merged, "ask", "The capital", 4, NULL));
        ck_assert_int_eq(peer_stop(merged), 0);
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

START_TEST(files_that_do_not_fit)
{
        int adapter, folder = test_folder();
        struct peer *peer = start(&adapter), *other = peer_start();
        int out = output(folder, "out"), read_only = open(DATA, O_RDONLY | O_CLOEXEC);

        peer_load(other, OTHER, true);
        ck_assert_int_lt(peer_call(other, "AddAdapter", NULL, "sha{sv}", "strange", adapter, 0), 0);
        ck_assert_str_eq(peer_error(other), "BadFile");
        ck_assert_int_lt(peer_call(other, "ImportAdapter", NULL, "hha{sv}", adapter, out, 0), 0);
        ck_assert_str_eq(peer_error(other), "BadFile");
        ck_assert_int_lt(peer_call(peer, "ImportAdapter", NULL, "hha{sv}", adapter, read_only, 0), 0);
        ck_assert_str_eq(peer_error(peer), "InvalidArgument");
        ck_assert_int_lt(peer_call(peer, "ImportAdapter", NULL, "hha{sv}", read_only, out, 0), 0);
        ck_assert_str_eq(peer_error(peer), "BadFile");
        ck_assert_int_eq(peer_stop(other), 0);
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

/* Half of the time, and still the same adapter: how long it takes is not asked. */
START_TEST(limits_of_memory_and_time)
{
        struct peer *peer = peer_start();
        int fd = open(MODEL, O_RDONLY | O_CLOEXEC), data = open(DATA, O_RDONLY | O_CLOEXEC), r;
        int folder = test_folder();

        r = peer_call(peer, "Load", NULL, "ha{sv}", fd, 1, "memory", "t", (uint64_t)1 << 30);
        assert_ok(peer, r);
        r = peer_call(peer, "Train", NULL, "shha{sv}", "large", data, folder, 2, "context", "u", 4096,
                        "memory", "t", (uint64_t)16 << 20);
        ck_assert_int_lt(r, 0);
        ck_assert_str_eq(peer_error(peer), "OutOfMemory");
        r = peer_call(peer, "Train", NULL, "shha{sv}", "slow", data, folder, 3, "steps", "t", (uint64_t)20,
                        "epochs", "u", 100, "duty_cycle", "d", 0.5);
        assert_ok(peer, r);
        peer_call(peer, "SetTraining", NULL, "a{sv}", 1, "duty_cycle", "d", 0.9);
        ck_assert_ptr_nonnull(peer_wait(peer, "TrainEnded", "slow", PEER_LIMIT_MS));
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

QVF_SUITE("worker: adapters", 60, out_as_peft_and_back, two_halves_are_a_whole, into_a_model_of_its_own,
                files_that_do_not_fit, limits_of_memory_and_time)
