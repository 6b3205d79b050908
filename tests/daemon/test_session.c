/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that stream, what belongs to whom, the configuration, and models that nobody asks. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/daemon/service.h"
#include "tests/support/suite.h"

#define MODEL "models/tiny-silu.TQ2_0.gguf"

struct finished { /* the last signal of a session */
        uint32_t request;
        char reason[16], error[32];
        unsigned n;
};

static int on_finished(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct finished *finished = userdata;
        const char *reason;

        (void)error;
        if (sd_bus_message_read(message, "us", &finished->request, &reason) > 0) {
                snprintf(finished->reason, sizeof(finished->reason), "%s", reason);
                finished->n++;
        }
        return 0;
}

static void wait_finished(sd_bus *bus, struct finished *finished, unsigned n)
{
        for (unsigned i = 0; i < 300 && finished->n < n; i++)
                if (sd_bus_process(bus, NULL) == 0)
                        sd_bus_wait(bus, 100000);
        ck_assert_uint_eq(finished->n, n);
}

static struct service *begin(const char *yaml)
{
        struct service *service = service_new(yaml);

        service_start(service);
        service_add_model(service, "tiny", MODEL);
        return service;
}

static void finish(struct service *service)
{
        service_stop(service);
        service_free(service);
}

static char *open_session(struct service *service, sd_bus *bus, struct finished *finished)
{
        sd_bus_message *reply = NULL;
        const char *path;
        char *tail;

        ck_assert_int_ge(service_call(service, bus, "", "Manager", "OpenSession", &reply, "sa{sv}", "tiny",
                                         1, "max_tokens", "u", 8u),
                        0);
        ck_assert_int_gt(sd_bus_message_read(reply, "o", &path), 0);
        sd_bus_match_signal(
                        bus, NULL, NULL, path, "org.qvf.Fabric1.Session", "Finished", on_finished, finished);
        tail = strdup(path + strlen(SERVICE_ROOT) + 1);
        sd_bus_message_unref(reply);
        return tail;
}

/* Asks; the reading end, and the number of the request. */
static int infer(struct service *service, sd_bus *bus, const char *session, uint32_t tokens,
                uint32_t *ret_number)
{
        sd_bus_message *reply = NULL;
        int ends[2], r;

        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        r = service_call(service, bus, session, "Session", "Infer", &reply, "sha{sv}", "the quick brown",
                        ends[1], 3, "max_tokens", "u", tokens, "ignore_end", "b", 1, "shift", "b", 1);
        ck_assert_msg(r >= 0, "%s", service->error.message);
        ck_assert_int_gt(sd_bus_message_read(reply, "u", ret_number), 0);
        sd_bus_message_unref(reply);
        close(ends[1]);
        return ends[0];
}

static size_t read_all(int fd)
{
        char bytes[4096];
        size_t length = 0;
        ssize_t n;

        while ((n = read(fd, bytes, sizeof(bytes))) > 0)
                length += (size_t)n;
        return length;
}

START_TEST(an_answer_streams_and_ends)
{
        struct service *service = begin(NULL);
        struct finished finished = { 0 };
        _cleanup_free_ char *session = open_session(service, service->bus, &finished);
        uint32_t number = 0;
        _cleanup_close_ int answer = infer(service, service->bus, session, 8, &number);

        ck_assert_uint_gt(read_all(answer), 0);
        wait_finished(service->bus, &finished, 1);
        ck_assert_uint_eq(finished.request, number);
        ck_assert_str_eq(finished.reason, "length");
        ck_assert_uint_eq(service_count(service, session, "Session", "TokensGenerated"), 8);
        ck_assert_uint_eq(service_count(service, session, "Session", "Requests"), 0);
        finish(service);
}
END_TEST

START_TEST(closing_the_pipe_and_cancel_end_an_answer)
{
        struct service *service = begin(NULL);
        struct finished finished = { 0 };
        _cleanup_free_ char *session = open_session(service, service->bus, &finished);
        uint32_t number = 0;
        int answer = infer(service, service->bus, session, 4096, &number);
        char byte;

        ck_assert_int_eq(read(answer, &byte, 1), 1);
        close(answer);
        wait_finished(service->bus, &finished, 1);
        ck_assert_str_eq(finished.reason, "cancelled");
        answer = infer(service, service->bus, session, 4096, &number);
        ck_assert_int_eq(read(answer, &byte, 1), 1);
        ck_assert_int_ge(
                        service_call(service, service->bus, session, "Session", "Cancel", NULL, "u", number),
                        0);
        read_all(answer);
        close(answer);
        wait_finished(service->bus, &finished, 2);
        ck_assert_str_eq(finished.reason, "cancelled");
        finish(service);
}
END_TEST

START_TEST(a_client_that_leaves_takes_its_sessions_along)
{
        struct service *service = begin(NULL);
        struct finished finished = { 0 };
        sd_bus *other = service_connect(service);
        _cleanup_free_ char *session = open_session(service, other, &finished);
        uint32_t number = 0;
        _cleanup_close_ int answer = infer(service, other, session, 4096, &number);
        char byte;

        ck_assert_int_eq(read(answer, &byte, 1), 1);
        sd_bus_close_unref(other);
        read_all(answer); /* ends, since the request was cancelled */
        for (unsigned i = 0; i < 100 && service_text(service, session, "Session", "Model"); i++)
                usleep(20000);
        ck_assert_ptr_null(service_text(service, session, "Session", "Model"));
        finish(service);
}
END_TEST

START_TEST(what_can_not_be_asked)
{
        struct service *service = begin(NULL);
        struct finished finished = { 0 };
        _cleanup_free_ char *session = open_session(service, service->bus, &finished);
        _cleanup_close_ int file = service_open(service, "file", "");
        int ends[2];

        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        ck_assert_int_lt(service_call(service, service->bus, session, "Session", "Infer", NULL, "sha{sv}",
                                         "x", file, 0),
                        0);
        ck_assert_str_eq(service_error(service), "InvalidArgument");
        ck_assert_int_lt(service_call(service, service->bus, session, "Session", "Infer", NULL, "sha{sv}",
                                         "x", ends[0], 0),
                        0);
        ck_assert_str_eq(service_error(service), "InvalidArgument");
        ck_assert_int_lt(service_call(service, service->bus, session, "Session", "Chat", NULL, "a(ss)ha{sv}",
                                         1, "wizard", "x", ends[1], 0),
                        0);
        ck_assert_str_eq(service_error(service), "InvalidArgument");
        ck_assert_int_lt(service_call(service, service->bus, session, "Session", "Infer", NULL, "sha{sv}",
                                         "x", ends[1], 1, "adapter", "s", "nobody"),
                        0);
        ck_assert_str_eq(service_error(service), "NotFound");
        ck_assert_int_lt(service_call(service, service->bus, "", "Manager", "Complete", NULL, "ssa{sv}",
                                         "nobody", "x", 0),
                        0);
        ck_assert_str_eq(service_error(service), "NotFound");
        /* A model in use stays. */
        ck_assert_int_lt(service_call(service, service->bus, "models/tiny", "Model", "Remove", NULL, "a{sv}",
                                         0),
                        0);
        ck_assert_str_eq(service_error(service), "Busy");
        ck_assert_int_ge(service_call(service, service->bus, session, "Session", "Close", NULL, ""), 0);
        ck_assert_int_ge(service_call(service, service->bus, "models/tiny", "Model", "Remove", NULL, "a{sv}",
                                         0),
                        0);
        close(ends[0]);
        close(ends[1]);
        finish(service);
}
END_TEST

START_TEST(a_model_that_nobody_asks_is_unloaded)
{
        struct service *service = begin("workers:\n  idle_unload: 1s\n");

        ck_assert_int_ge(service_call(service, service->bus, "models/tiny", "Model", "Load", NULL, ""), 0);
        ck_assert(service_wait(service, "models/tiny", "Model", "State", "loaded"));
        ck_assert(service_wait(service, "models/tiny", "Model", "State", "stored"));
        ck_assert_uint_eq(service_count(service, "models/tiny", "Model", "WorkerPid"), 0);
        finish(service);
}
END_TEST

START_TEST(a_bad_configuration_is_not_taken)
{
        struct service *service = begin(NULL);
        _cleanup_free_ char *said = NULL, *none = NULL;
        int fd;

        fd = service_open(service, "qvfd.yaml", "training:\n  idel_for: 5min\n");
        close(fd);
        ck_assert_int_lt(service_call(service, service->bus, "", "Manager", "Reload", NULL, ""), 0);
        ck_assert_str_eq(service_error(service), "ConfigInvalid");
        ck_assert_msg(strstr(service->error.message, "idel_for") &&
                                        strstr(service->error.message, "idle_for") &&
                                        strstr(service->error.message, ":2:"),
                        "%s", service->error.message);
        said = service_text(service, "", "Manager", "ConfigError");
        ck_assert_msg(strstr(said, "idel_for") != NULL, "%s", said);
        fd = service_open(service, "qvfd.yaml", "inference:\n  allowed: false\n");
        close(fd);
        ck_assert_int_ge(service_call(service, service->bus, "", "Manager", "Reload", NULL, ""), 0);
        none = service_text(service, "", "Manager", "ConfigError");
        ck_assert_str_eq(none, "");
        ck_assert_int_lt(service_call(service, service->bus, "", "Manager", "Complete", NULL, "ssa{sv}",
                                         "tiny", "x", 0),
                        0);
        ck_assert_str_eq(service_error(service), "NotAllowed");
        finish(service);
}
END_TEST

static int count_answer(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        (void)error;
        ck_assert(!sd_bus_message_is_method_error(reply, NULL));
        ++*(unsigned *)userdata;
        return 0;
}

START_TEST(a_model_that_is_removed_by_force_takes_all_along)
{
        struct service *service = begin(NULL);
        struct finished finished = { 0 };
        _cleanup_free_ char *session = open_session(service, service->bus, &finished), *state = NULL,
                            *model = NULL, *job = NULL;
        uint32_t number = 0;
        int answer;

        job = service_train(service, "tiny", "fox", 100000);
        ck_assert(service_wait(service, job, "Job", "State", "running"));
        answer = infer(service, service->bus, session, 4096, &number);
        ck_assert_int_ge(service_call(service, service->bus, "models/tiny", "Model", "Remove", NULL, "a{sv}",
                                         1, "force", "b", 1),
                        0);
        read_all(answer);
        close(answer);
        model = service_text(service, "models/tiny", "Model", "State");
        ck_assert_ptr_null(model);
        state = service_text(service, job, "Job", "State");
        ck_assert_str_eq(state, "cancelled");
        finish(service);
}
END_TEST

START_TEST(clients_take_turns)
{
        struct service *service = begin("clients:\n  requests: 32\n");
        sd_bus *greedy = service_connect(service);
        unsigned answered = 0;

        for (unsigned i = 0; i < 32; i++)
                ck_assert_int_ge(sd_bus_call_method_async(greedy, NULL, NULL, SERVICE_ROOT,
                                                 "org.qvf.Fabric1.Manager", "Complete", count_answer,
                                                 &answered, "ssa{sv}", "tiny", "on and on", 3, "max_tokens",
                                                 "u", 64u, "ignore_end", "b", 1, "shift", "b", 1),
                                0);
        sd_bus_flush(greedy);
        /* All of them are in the queue when this one comes, and it does not wait for all of them. */
        ck_assert_int_ge(service_call(service, greedy, "", "Manager", "ExplainPolicy", NULL, ""), 0);
        ck_assert_int_ge(service_call(service, service->bus, "", "Manager", "Complete", NULL, "ssa{sv}",
                                         "tiny", "me too", 1, "max_tokens", "u", 4u),
                        0);
        while (sd_bus_process(greedy, NULL) > 0)
                ;
        ck_assert_uint_lt(answered, 32);
        sd_bus_close_unref(greedy);
        finish(service);
}
END_TEST

QVF_SUITE("sessions", 120, an_answer_streams_and_ends, closing_the_pipe_and_cancel_end_an_answer,
                a_client_that_leaves_takes_its_sessions_along, what_can_not_be_asked,
                a_model_that_nobody_asks_is_unloaded, a_model_that_is_removed_by_force_takes_all_along,
                clients_take_turns, a_bad_configuration_is_not_taken)
