/* SPDX-License-Identifier: Apache-2.0 */
/* Answers from a worker, as qvfd asks for them. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/support/suite.h"
#include "tests/worker/peer.h"

#define MODEL "models/tiny-silu.TQ2_0.gguf"

START_TEST(answers_stream_and_end_with_stats)
{
        struct peer *peer = peer_start();
        const struct peer_signal *ended;
        char *text, *again;

        peer_load(peer, MODEL, true);
        text = peer_ask(peer, "one", "The quick brown", 20, NULL);
        ck_assert_ptr_nonnull(text);
        ended = peer_wait(peer, "InferEnded", "one", 5000);
        ck_assert_ptr_nonnull(ended);
        ck_assert_str_eq(ended->word, "length");
        ck_assert(ended->values[PEER_GENERATED] == 20);
        again = peer_ask(peer, "two", "The quick brown", 20, NULL);
        ck_assert_str_eq(text, again);
        ck_assert_uint_gt(strlen(text), 0);
        free(text);
        free(again);
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

QVF_SUITE("worker: answers", 120, answers_stream_and_end_with_stats)
