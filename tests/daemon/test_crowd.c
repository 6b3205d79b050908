/* SPDX-License-Identifier: Apache-2.0 */
/* Many clients at once while a job trains: each call is answered, or refused by a limit that is named. How long answers
 * take is printed, and never a reason to fail. QVF_CROWD_S: for how many seconds (3); QVF_CROWD_MODEL: who answers;
 * QVF_CROWD_HOLDS: how many times training is held, one client at a time (10). */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/daemon/service.h"
#include "tests/support/suite.h"

#define MODEL "models/tiny-silu.TQ2_0.gguf"
#define CLIENTS 64u
#define TIMES_MOST 100000u

struct crowd {
        unsigned answered, refused, failed;
        double *first_ms; /* [TIMES_MOST] */
        bool over;
        char message[512]; /* of the first that failed */
};

struct client {
        struct crowd *crowd;
        sd_bus *bus;
        bool waits;
};

static double now_s(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static unsigned wish(const char *name, unsigned otherwise)
{
        const char *text = getenv(name);

        return text && atoi(text) > 0 ? (unsigned)atoi(text) : otherwise;
}

static int compare(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return x < y ? -1 : x > y;
}

static void print(const char *what, double *values, unsigned count)
{
        if (count == 0)
                return;
        qsort(values, count, sizeof(*values), compare);
        printf("%s, %u times: p50 %.1f ms, p99 %.1f ms, most %.1f ms\n", what, count, values[count / 2],
                        values[(count - 1) * 99 / 100], values[count - 1]);
}

/* A double of an a{sv} that comes next; 0: not there. */
static double number(sd_bus_message *message, const char *wanted)
{
        const char *key;
        double value = 0;

        if (sd_bus_message_enter_container(message, 'a', "{sv}") <= 0)
                return 0;
        while (sd_bus_message_enter_container(message, 'e', "sv") > 0) {
                sd_bus_message_read(message, "s", &key);
                if (strcmp(key, wanted) == 0)
                        sd_bus_message_read(message, "v", "d", &value);
                else
                        sd_bus_message_skip(message, "v");
                sd_bus_message_exit_container(message);
        }
        sd_bus_message_exit_container(message);
        return value;
}

static void ask(struct client *client);

static int on_answer(sd_bus_message *reply, void *client_, sd_bus_error *unused)
{
        struct client *client = client_;
        struct crowd *crowd = client->crowd;
        const sd_bus_error *error = sd_bus_message_get_error(reply);

        (void)unused;
        client->waits = false;
        if (!error) {
                sd_bus_message_skip(reply, "s");
                crowd->first_ms[crowd->answered++ % TIMES_MOST] = number(reply, "first_token_ms");
        } else if (strcmp(error->name, "org.qvf.Fabric1.Error.LimitReached") == 0 && error->message[0]) {
                crowd->refused++;
        } else if (crowd->failed++ == 0) {
                snprintf(crowd->message, sizeof(crowd->message), "%s: %s", error->name, error->message);
        }
        if (!crowd->over)
                ask(client);
        return 0;
}

static void ask(struct client *client)
{
        sd_bus_message *call = NULL;

        ck_assert_int_ge(sd_bus_message_new_method_call(client->bus, &call, NULL, SERVICE_ROOT,
                                         "org.qvf.Fabric1.Manager", "Complete"),
                        0);
        ck_assert_int_ge(sd_bus_message_append(call, "ssa{sv}", "tiny", "the quick brown", 2, "max_tokens",
                                         "u", 16u, "ignore_end", "b", 1),
                        0);
        ck_assert_int_ge(sd_bus_call_async(client->bus, NULL, call, on_answer, client,
                                         120 * UINT64_C(1000000)),
                        0);
        sd_bus_message_unref(call);
        client->waits = true;
}

static void serve(struct client *clients, struct crowd *crowd, double seconds)
{
        double end = now_s() + seconds, limit = end + 60;
        bool waiting = true;

        while (waiting && now_s() < limit) {
                struct pollfd fds[CLIENTS];

                crowd->over = now_s() >= end;
                waiting = !crowd->over;
                for (unsigned i = 0; i < CLIENTS; i++) {
                        while (sd_bus_process(clients[i].bus, NULL) > 0)
                                ;
                        fds[i] = (struct pollfd){ .fd = sd_bus_get_fd(clients[i].bus),
                                .events = (short)sd_bus_get_events(clients[i].bus) };
                        waiting = waiting || clients[i].waits;
                }
                poll(fds, CLIENTS, 20);
        }
        ck_assert_msg(!waiting, "somebody got no answer at all");
}

static uint64_t resident_kib(const struct service *service)
{
        char path[64], line[256];
        unsigned long long kib = 0;
        _cleanup_fclose_ FILE *file = NULL;

        snprintf(path, sizeof(path), "/proc/%d/status", service->pid);
        file = fopen(path, "re");
        while (file && fgets(line, sizeof(line), file))
                if (sscanf(line, "VmRSS: %llu", &kib) == 1)
                        break;
        return kib;
}

/* Tokens with loss that the job sees in a second. */
static double training_rate(struct service *service, const char *job, uint64_t *tokens, double *since)
{
        uint64_t before = *tokens;
        double start = *since;

        *tokens = service_count(service, job, "Job", "Tokens");
        *since = now_s();
        return start > 0 ? (double)(*tokens - before) / (*since - start) : 0;
}

static struct service *begin(void)
{
        const char *model = getenv("QVF_CROWD_MODEL");
        struct service *service = service_new(NULL);

        service_start(service);
        service_add_model(service, "tiny", model ? model : MODEL);
        return service;
}

START_TEST(all_are_answered_or_refused_by_a_limit)
{
        static double first_ms[TIMES_MOST];
        struct crowd crowd = { .first_ms = first_ms };
        struct client clients[CLIENTS] = { { NULL } };
        struct service *service = begin();
        _cleanup_free_ char *job = service_train(service, "tiny", "fox", 10000000);
        unsigned seconds = wish("QVF_CROWD_S", 3);
        double since = 0, alone, crowded;
        uint64_t tokens = 0, warm, after;

        ck_assert(service_wait(service, job, "Job", "State", "running"));
        for (unsigned i = 0; i < CLIENTS; i++) {
                clients[i] = (struct client){ .crowd = &crowd, .bus = service_connect(service) };
                ck_assert_ptr_nonnull(clients[i].bus);
        }
        sleep(1);
        training_rate(service, job, &tokens, &since);
        sleep(seconds > 10 ? 10 : seconds);
        alone = training_rate(service, job, &tokens, &since);
        for (unsigned i = 0; i < CLIENTS; i++)
                ask(&clients[i]);
        serve(clients, &crowd, seconds / 3.0);
        warm = resident_kib(service);
        training_rate(service, job, &tokens, &since);
        for (unsigned i = 0; i < CLIENTS; i++)
                ask(&clients[i]);
        serve(clients, &crowd, seconds * 2 / 3.0);
        crowded = training_rate(service, job, &tokens, &since);
        after = resident_kib(service);
        printf("%u clients for %u s: %u answered, %u refused, %u failed\n", CLIENTS, seconds, crowd.answered,
                        crowd.refused, crowd.failed);
        print("first token", first_ms, crowd.answered < TIMES_MOST ? crowd.answered : TIMES_MOST);
        printf("training: %.0f tokens/s alone, %.0f beside the crowd; qvfd: %llu KiB, %llu KiB at the end\n",
                        alone, crowded, (unsigned long long)warm, (unsigned long long)after);
        ck_assert_msg(crowd.failed == 0, "%s", crowd.message);
        ck_assert_uint_gt(crowd.answered, 0);
#ifndef __SANITIZE_ADDRESS__ /* it keeps what was freed for a while */
        ck_assert_msg(after < warm + 1024, "qvfd grew from %llu to %llu KiB", (unsigned long long)warm,
                        (unsigned long long)after);
#endif
        for (unsigned i = 0; i < CLIENTS; i++)
                sd_bus_close_unref(clients[i].bus);
        service_stop(service);
        service_free(service);
}
END_TEST

/* From the call for a hold until the job says that it stands. */
START_TEST(holds_at_random_instants)
{
        struct service *service = begin();
        _cleanup_free_ char *job = service_train(service, "tiny", "fox", 10000000);
        unsigned count = wish("QVF_CROWD_HOLDS", 10);
        sd_bus_message *reply = NULL;

        srandom(1);
        for (unsigned i = 0; i < count; i++) {
                uint64_t id;

                ck_assert(service_wait(service, job, "Job", "State", "running"));
                usleep((useconds_t)(random() % 300000));
                ck_assert_int_ge(service_call(service, service->bus, "", "Manager", "Hold", &reply, "sst",
                                                 "training", "a test", (uint64_t)0),
                                0);
                ck_assert_int_gt(sd_bus_message_read(reply, "t", &id), 0);
                reply = sd_bus_message_unref(reply);
                ck_assert(service_wait(service, job, "Job", "State", "waiting"));
                ck_assert_int_ge(
                                service_call(service, service->bus, "", "Manager", "Release", NULL, "t", id),
                                0);
        }
        ck_assert_int_ge(service_call(service, service->bus, "", "Manager", "GetStatistics", &reply, ""), 0);
        printf("%u holds: training stood after p50 %.1f ms, ", count, number(reply, "pause_ms_p50"));
        sd_bus_message_rewind(reply, 1);
        printf("p99 %.1f ms\n", number(reply, "pause_ms_p99"));
        sd_bus_message_unref(reply);
        service_stop(service);
        service_free(service);
}
END_TEST

QVF_SUITE("daemon: a crowd", 280, all_are_answered_or_refused_by_a_limit, holds_at_random_instants)
