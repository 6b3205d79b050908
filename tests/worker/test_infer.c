/* SPDX-License-Identifier: Apache-2.0 */
/* Answers from a worker, as qvfd asks for them. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

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
        ended = peer_wait(peer, "InferEnded", "one", PEER_LIMIT_MS);
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

START_TEST(many_at_once_get_what_each_gets_alone)
{
        enum { COUNT = 12 };
        static const char *const prompts[3] = { "The quick brown", "Once",
                "A longer prompt than the others" };
        struct peer *peer = peer_start();
        char *alone[3], name[16];
        int fds[COUNT];
        sd_bus_message *reply = NULL;

        peer_load(peer, MODEL, true);
        for (unsigned i = 0; i < 3; i++) {
                int fd;

                snprintf(name, sizeof(name), "alone%u", i);
                fd = peer_infer(peer, name, prompts[i], 24, NULL);
                alone[i] = peer_read_all(peer, fd, PEER_LIMIT_MS);
                ck_assert_ptr_nonnull(alone[i]);
        }
        for (unsigned i = 0; i < COUNT; i++) {
                snprintf(name, sizeof(name), "together%u", i);
                fds[i] = peer_infer(peer, name, prompts[i % 3], 24, NULL);
                ck_assert_int_ge(fds[i], 0);
        }
        for (unsigned i = 0; i < COUNT; i++) {
                char *text = peer_read_all(peer, fds[i], PEER_LIMIT_MS);

                ck_assert_ptr_nonnull(text);
                ck_assert_str_eq(text, alone[i % 3]);
                free(text);
        }
        ck_assert_int_eq(peer_call(peer, "GetStatistics", &reply, ""), 0);
        ck_assert(peer_number(reply, "requests") == COUNT + 3);
        sd_bus_message_unref(reply);
        for (unsigned i = 0; i < 3; i++)
                free(alone[i]);
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

START_TEST(messages_and_jsonl)
{
        struct peer *peer = peer_start();
        int fds[2];
        char *text, *line;
        unsigned lines = 0;

        peer_load(peer, MODEL, true);
        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        ck_assert_int_eq(peer_call(peer, "Infer", NULL, "sha{sv}", "chat", fds[1], 5, "messages", "a(ss)", 2,
                                         "system", "Be brief.", "user", "Hello", "max_tokens", "u",
                                         (uint32_t)5, "format", "s", "jsonl", "best", "u", (uint32_t)3,
                                         "ignore_end", "b", 1),
                        0);
        close(fds[1]);
        text = peer_read_all(peer, fds[0], PEER_LIMIT_MS);
        ck_assert_ptr_nonnull(text);
        for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
                ck_assert_ptr_nonnull(strstr(line, "\"id\":"));
                lines++;
        }
        ck_assert_uint_ge(lines, 5);
        free(text);
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

START_TEST(a_model_is_described_without_a_device)
{
        struct peer *peer = peer_start();
        int fd = open(MODEL, O_RDONLY | O_CLOEXEC);
        sd_bus_message *reply = NULL;

        ck_assert_int_eq(peer_call(peer, "DescribeModel", &reply, "h", fd), 0);
        ck_assert(peer_number(reply, "layers") > 0);
        ck_assert(peer_number(reply, "vocabulary") > 0);
        ck_assert(peer_number(reply, "size") == (double)lseek(fd, 0, SEEK_END));
        sd_bus_message_unref(reply);
        close(fd);
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

QVF_SUITE("worker: answers", 120, answers_stream_and_end_with_stats, many_at_once_get_what_each_gets_alone,
                messages_and_jsonl, a_model_is_described_without_a_device)
