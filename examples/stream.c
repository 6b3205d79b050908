/* SPDX-License-Identifier: Apache-2.0 */
/* An answer as it comes, in a program with an event loop of its own: here, poll().
 * cc stream.c $(pkg-config --cflags --libs qvf) */
#include <poll.h>
#include <qvf/qvf.h>
#include <stdio.h>

struct answer {
        int ended, failed;
};

static void on_text(void *context, const char *text, size_t length)
{
        (void)context;
        fwrite(text, 1, length, stdout);
        fflush(stdout);
}

static void on_end(void *context, const char *reason, const struct qvf_value *stats,
                const struct qvf_failure *failure)
{
        struct answer *answer = context;

        printf("\n");
        if (failure)
                fprintf(stderr, "%s\n", failure->message);
        else
                fprintf(stderr, "ended by %s after %.0f tokens\n", reason,
                                qvf_value_number(qvf_value_get(stats, "generated_tokens")));
        answer->failed = failure != NULL;
        answer->ended = 1;
}

int main(int argc, char **argv)
{
        const struct qvf_message turns[] = {
                { "user", argc > 1 ? argv[1] : "What is grep?" },
        };
        struct answer answer = { 0 };
        const struct qvf_stream stream = { sizeof(stream), on_text, on_end, &answer };
        struct qvf_client *client = NULL;
        struct qvf_session *session = NULL;
        struct qvf_failure failure;

        if (qvf_connect(NULL, &client, &failure) < 0 ||
                        qvf_session_open(client, "", NULL, &session, &failure) < 0 ||
                        qvf_session_chat(session, turns, 1, NULL, &stream, NULL, &failure) < 0) {
                fprintf(stderr, "%s\n", failure.message);
                qvf_session_free(session);
                qvf_disconnect(client);
                return 1;
        }
        while (!answer.ended) {
                struct pollfd ready = { .fd = qvf_get_fd(client), .events = POLLIN };

                poll(&ready, 1, -1); /* other descriptors of the program stand here, too */
                if (qvf_dispatch(client, 0, &failure) < 0)
                        break; /* on_end was called before that */
        }
        qvf_session_free(session);
        qvf_disconnect(client);
        return answer.failed;
}
