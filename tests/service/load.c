/* SPDX-License-Identifier: Apache-2.0 */
/* usage: load ADDRESS MODEL DATA CLIENTS SECONDS
 * Many clients ask for completions at once while a job trains. Prints how many were answered, refused (by which error)
 * and failed, the latency of the first piece of text, how much slower training was than alone, and the memory of the
 * daemon. Fails when a request neither was answered nor refused by a limit. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "qvf/qvf.h"

enum { CLIENTS_MOST = 256, NAMES_MOST = 16, TOKENS = 16 };

struct load;

struct asker { /* one client with one session */
        struct load *load;
        struct qvf_client *client;
        struct qvf_session *session;
        double asked_at; /* 0: nothing is under way */
        bool has_text;
};

struct load {
        struct asker askers[CLIENTS_MOST];
        unsigned clients;
        double end;
        double *latencies_ms;
        size_t answered, room, refused, failed;
        struct {
                char name[60];
                size_t count;
        } names[NAMES_MOST];
        char first_failure[960];
};

static double now_s(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void count_failure(struct load *load, const struct qvf_failure *failure)
{
        if (failure->code == QVF_LIMIT || failure->code == QVF_FORBIDDEN) {
                load->refused++;
        } else {
                load->failed++;
                if (!load->first_failure[0])
                        snprintf(load->first_failure, sizeof(load->first_failure), "%s", failure->message);
        }
        for (size_t i = 0; i < NAMES_MOST; i++) {
                if (load->names[i].count && strcmp(load->names[i].name, failure->name) != 0)
                        continue;
                snprintf(load->names[i].name, sizeof(load->names[i].name), "%s", failure->name);
                load->names[i].count++;
                return;
        }
}

static void add_latency(struct load *load, double milliseconds)
{
        if (load->answered == load->room) {
                size_t room = load->room ? 2 * load->room : 1024;
                double *latencies = reallocarray(load->latencies_ms, room, sizeof(*latencies));

                if (!latencies)
                        return;
                load->latencies_ms = latencies;
                load->room = room;
        }
        load->latencies_ms[load->answered++] = milliseconds;
}

static void on_text(void *context, const char *text, size_t length)
{
        struct asker *asker = context;

        (void)text;
        (void)length;
        if (!asker->has_text)
                add_latency(asker->load, 1000 * (now_s() - asker->asked_at));
        asker->has_text = true;
}

static void on_end(void *context, const char *reason, const struct qvf_value *stats,
                const struct qvf_failure *failure)
{
        struct asker *asker = context;

        (void)reason;
        (void)stats;
        if (failure)
                count_failure(asker->load, failure);
        else if (!asker->has_text)
                on_text(context, "", 0); /* an answer without text is one */
        asker->asked_at = 0;
}

static void ask(struct asker *asker, const struct qvf_options *options)
{
        static const char *const prompts[] = { "What is grep?", "How do I list files?", "What is tar?",
                "How do I copy a folder?", "What is chmod?" };
        const struct qvf_stream stream = { sizeof(stream), on_text, on_end, asker };
        struct qvf_failure failure;

        asker->asked_at = now_s();
        asker->has_text = false;
        if (qvf_session_infer(asker->session, prompts[rand() % 5], options, &stream, NULL, &failure) < 0) {
                count_failure(asker->load, &failure);
                asker->asked_at = 0;
        }
}

static bool connect_all(
                struct load *load, const char *address, const char *model, struct qvf_failure *failure)
{
        for (unsigned i = 0; i < load->clients; i++) {
                struct asker *asker = &load->askers[i];

                asker->load = load;
                if (qvf_connect(address, &asker->client, failure) < 0 ||
                                qvf_session_open(asker->client, model, NULL, &asker->session, failure) < 0)
                        return false;
        }
        return true;
}

/* Until the time is over nobody waits between an answer and the next question; then what is under way is waited for. */
static void run_load(struct load *load, const struct qvf_options *options)
{
        struct pollfd ready[CLIENTS_MOST];
        unsigned busy;

        do {
                bool ended = now_s() >= load->end;

                busy = 0;
                for (unsigned i = 0; i < load->clients; i++) {
                        struct asker *asker = &load->askers[i];

                        if (asker->asked_at == 0 && !ended)
                                ask(asker, options);
                        busy += asker->asked_at > 0;
                        ready[i] = (struct pollfd){ .fd = qvf_get_fd(asker->client), .events = POLLIN };
                }
                if (poll(ready, load->clients, 100) < 0 && errno != EINTR)
                        return;
                for (unsigned i = 0; i < load->clients; i++)
                        if (ready[i].revents)
                                qvf_dispatch(load->askers[i].client, 0, NULL);
        } while (busy > 0 || now_s() < load->end);
}

static double steps_of(struct qvf_client *client, const char *job)
{
        struct qvf_value *properties = NULL;
        double steps = -1;

        if (qvf_get(client, "jobs", job, &properties, NULL) == 0)
                steps = qvf_value_number(qvf_value_get(properties, "Step"));
        qvf_value_free(properties);
        return steps;
}

static double resident_mib(struct qvf_client *client)
{
        struct qvf_value *reply = NULL;
        double bytes = 0;

        if (qvf_call(client, "manager", "", "GetStatistics", &reply, NULL, "") == 0)
                bytes = qvf_value_number(qvf_value_get(qvf_value_at(reply, 0), "resident_bytes"));
        qvf_value_free(reply);
        return bytes / 1048576;
}

/* A job that outlasts the test, running; its id is the caller's. */
static char *start_job(struct qvf_client *client, const char *model, const char *data)
{
        struct qvf_options *options = qvf_options_new();
        struct qvf_failure failure = { 0 };
        int fd = open(data, O_RDONLY | O_CLOEXEC);
        char *job = NULL;

        qvf_options_set_integer(options, "epochs", 100000);
        qvf_options_set_integer(options, "context", 128);
        qvf_options_set_integer(options, "checkpoint_every", 1000);
        if (fd < 0 || qvf_train(client, model, fd, options, &job, &failure) < 0)
                fprintf(stderr, "no job: %s\n", fd < 0 ? strerror(errno) : failure.message);
        for (int i = 0; job && i < 600 && steps_of(client, job) < 1; i++)
                poll(NULL, 0, 100);
        qvf_options_free(options);
        if (fd >= 0)
                close(fd);
        return job;
}

static int by_size(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static double quantile(const struct load *load, double part)
{
        return load->answered ? load->latencies_ms[(size_t)(part * (double)(load->answered - 1))] : 0;
}

static void report(
                struct load *load, double seconds, double alone, double loaded, const double memory_mib[3])
{
        if (load->answered > 0)
                qsort(load->latencies_ms, load->answered, sizeof(load->latencies_ms[0]), by_size);
        printf("%u clients for %.0f s: %zu answered (%.1f a second), %zu refused, %zu failed\n",
                        load->clients, seconds, load->answered, (double)load->answered / seconds,
                        load->refused, load->failed);
        for (size_t i = 0; i < NAMES_MOST && load->names[i].count; i++)
                printf("  %s: %zu\n", load->names[i].name, load->names[i].count);
        printf("first text after: p50 %.0f ms, p99 %.0f ms, most %.0f ms\n", quantile(load, 0.5),
                        quantile(load, 0.99), quantile(load, 1));
        printf("training: %.2f steps a second alone, %.2f under load (%.0f %% lost)\n", alone, loaded,
                        alone > 0 ? 100 * (1 - loaded / alone) : 0);
        printf("qvfd: %.1f MiB before, %.1f after half of it, %.1f at the end\n", memory_mib[0],
                        memory_mib[1], memory_mib[2]);
        if (load->first_failure[0])
                printf("first failure: %s\n", load->first_failure);
}

static int run(struct load *load, struct qvf_client *client, const char *model, const char *data,
                double seconds)
{
        struct qvf_options *options = qvf_options_new();
        _cleanup_free_ char *job = start_job(client, model, data);
        double alone, loaded, steps, from, memory_mib[3];

        if (!job)
                return 1;
        steps = steps_of(client, job);
        from = now_s();
        poll(NULL, 0, (int)(seconds * 500));
        alone = (steps_of(client, job) - steps) / (now_s() - from);
        memory_mib[0] = resident_mib(client);
        qvf_options_set_integer(options, "max_tokens", TOKENS);
        steps = steps_of(client, job);
        from = now_s();
        for (int half = 0; half < 2; half++) {
                load->end = from + seconds * (half + 1) / 2;
                run_load(load, options);
                memory_mib[half + 1] = resident_mib(client);
        }
        seconds = now_s() - from;
        loaded = (steps_of(client, job) - steps) / seconds;
        report(load, seconds, alone, loaded, memory_mib);
        qvf_call(client, "jobs", job, "Cancel", NULL, NULL, "b", 0);
        qvf_options_free(options);
        return load->failed > 0 || load->answered == 0;
}

int main(int argc, char **argv)
{
        static struct load load;
        struct qvf_client *client = NULL;
        struct qvf_failure failure = { 0 };
        double seconds = argc == 6 ? strtod(argv[5], NULL) : 0;
        int r = 1;

        load.clients = argc == 6 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
        if (load.clients < 1 || load.clients > CLIENTS_MOST || !(seconds > 0 && seconds < 86400)) {
                fprintf(stderr, "usage: load ADDRESS MODEL DATA CLIENTS SECONDS\n");
                return 2;
        }
        if (qvf_connect(argv[1], &client, &failure) == 0 && connect_all(&load, argv[1], argv[2], &failure))
                r = run(&load, client, argv[2], argv[3], seconds);
        else
                fprintf(stderr, "%s\n", failure.message);
        for (unsigned i = 0; i < load.clients; i++) {
                qvf_session_free(load.askers[i].session);
                qvf_disconnect(load.askers[i].client);
        }
        qvf_disconnect(client);
        free(load.latencies_ms);
        return r;
}
