/* SPDX-License-Identifier: Apache-2.0 */
/* How long it takes until training stands aside: printed, and never a reason to fail. QVF_PAUSES says how many times
 * it is asked (20), QVF_PAUSE_MODEL which model trains (the one that ships). */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "tests/support/folder.h"
#include "tests/support/suite.h"
#include "tests/worker/peer.h"

#define MODEL "models/helper-29m.TQ2_0.gguf"
#define DATA "tests/data/sets/facts.jsonl"
#define PAUSES_MOST 2000u

static int compare(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return x < y ? -1 : x > y;
}

static void print(const char *what, double *values, unsigned count)
{
        qsort(values, count, sizeof(*values), compare);
        printf("%s, %u times: p50 %.1f ms, p99 %.1f ms, most %.1f ms\n", what, count, values[count / 2],
                        values[(count - 1) * 99 / 100], values[count - 1]);
}

START_TEST(training_stands_aside)
{
        const char *wanted = getenv("QVF_PAUSES"), *model = getenv("QVF_PAUSE_MODEL");
        unsigned count = wanted ? (unsigned)atoi(wanted) : 20;
        static double holds[PAUSES_MOST], answers[PAUSES_MOST];
        const struct peer_training options = {
                .steps = 1000000, .batch = 4, .context = 256, .checkpoint_every = 20, .rank = 8
        };
        struct peer *peer = peer_start();
        sd_bus_message *reply = NULL;
        int folder = test_folder();

        count = count < 1 || count > PAUSES_MOST ? 20 : count;
        srandom(1);
        peer_load(peer, model ? model : MODEL, true);
        ck_assert_int_eq(peer_train(peer, "job", DATA, folder, &options, NULL), 0);
        for (unsigned i = 0; i < count; i++) {
                double start;

                peer_run(peer, 30 + (unsigned)random() % 250);
                start = peer_now_ms();
                ck_assert_int_eq(peer_call(peer, "PauseTraining", NULL, ""), 0);
                holds[i] = peer_now_ms() - start;
                ck_assert_int_eq(peer_call(peer, "ResumeTraining", NULL, ""), 0);
        }
        for (unsigned i = 0; i < count; i++) {
                const struct peer_signal *ended;

                peer_run(peer, 30 + (unsigned)random() % 250);
                peer_forget(peer);
                free(peer_ask(peer, "ask", "One", 1, NULL));
                ended = peer_wait(peer, "InferEnded", "ask", PEER_LIMIT_MS);
                ck_assert_ptr_nonnull(ended);
                answers[i] = ended->values[PEER_FIRST_MS];
        }
        ck_assert_int_eq(peer_call(peer, "GetStatistics", &reply, ""), 0);
        ck_assert(peer_number(reply, "pauses") >= count);
        print("from the call for a pause to its reply", holds, count);
        print("from the call for an answer to its first token", answers, count);
        printf("in the worker: p50 %.1f ms, p99 %.1f ms, most %.1f ms\n", peer_number(reply, "pause_ms_p50"),
                        peer_number(reply, "pause_ms_p99"), peer_number(reply, "pause_ms_most"));
        sd_bus_message_unref(reply);
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

QVF_SUITE("worker: pauses", 280, training_stands_aside)
