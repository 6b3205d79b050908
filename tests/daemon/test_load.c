/* SPDX-License-Identifier: Apache-2.0 */
/* 64 clients ask at once while a job trains: each one is answered, or refused by a limit that has a name; the service's
 * memory stays as it is, and training goes on. QVF_LOAD_SECONDS (3) and the printed figures are for who measures. */
#include <stdio.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/daemon/service.h"
#include "tests/support/suite.h"

#define MODEL "models/tiny-silu.TQ2_0.gguf"
enum { CLIENTS = 64, SAMPLES = 65536 };

struct load {
        sd_event *event;
        sd_bus *bus[CLIENTS];
        unsigned answered, refused, of_client[CLIENTS], n_samples;
        float first_ms[SAMPLES];
        bool over;
        char wrong[256];
};

struct asker {
        struct load *load;
        unsigned client;
};

static void ask(struct asker *asker);

static int on_pause_over(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        ask(userdata);
        return 0;
}

static double number_of(sd_bus_message *reply, const char *wanted)
{
        double value = 0;

        if (sd_bus_message_enter_container(reply, 'a', "{sv}") < 0)
                return 0;
        while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
                const char *key = "";

                sd_bus_message_read(reply, "s", &key);
                if (strcmp(key, wanted) == 0)
                        sd_bus_message_read(reply, "v", "d", &value);
                else
                        sd_bus_message_skip(reply, "v");
                sd_bus_message_exit_container(reply);
        }
        return value;
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        struct asker *asker = userdata;
        struct load *load = asker->load;
        const sd_bus_error *error = sd_bus_message_get_error(reply);
        const char *text;

        (void)ret_error;
        if (!error) {
                load->answered++;
                load->of_client[asker->client]++;
                if (sd_bus_message_read(reply, "s", &text) > 0 && load->n_samples < SAMPLES)
                        load->first_ms[load->n_samples++] = (float)number_of(reply, "first_token_ms");
        } else if (sd_bus_error_has_name(error, "org.qvf.Fabric1.Error.LimitReached")) {
                load->refused++;
        } else {
                snprintf(load->wrong, sizeof(load->wrong), "%s: %s", error->name, error->message);
        }
        if (load->over || load->wrong[0])
                return 0;
        if (error) /* as a client with manners does */
                sd_event_add_time_relative(
                                load->event, NULL, CLOCK_MONOTONIC, 200000, 0, on_pause_over, asker);
        else
                ask(asker);
        return 0;
}

static void ask(struct asker *asker)
{
        int r = sd_bus_call_method_async(asker->load->bus[asker->client], NULL, NULL, SERVICE_ROOT,
                        "org.qvf.Fabric1.Manager", "Complete", on_answer, asker, "ssa{sv}", "tiny",
                        "the quick brown fox", 1, "max_tokens", "u", 16u);

        ck_assert_int_ge(r, 0);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct load *load = userdata;

        (void)source;
        (void)usec;
        load->over = true;
        return sd_event_exit(load->event, 0);
}

static int by_value(const void *a, const void *b)
{
        float x = *(const float *)a, y = *(const float *)b;

        return (x > y) - (x < y);
}

static uint64_t resident_kib(const struct service *service)
{
        char path[64], line[256];
        unsigned long long kib = 0;
        _cleanup_fclose_ FILE *file = NULL;

        snprintf(path, sizeof(path), "/proc/%d/status", (int)service->pid);
        file = fopen(path, "r");
        while (file && fgets(line, sizeof(line), file))
                if (sscanf(line, "VmRSS: %llu", &kib) == 1)
                        break;
        return kib;
}

static double steps_per_second(struct service *service, const char *job, unsigned seconds)
{
        uint64_t before = service_count(service, job, "Job", "Step");

        sleep(seconds);
        return (double)(service_count(service, job, "Job", "Step") - before) / seconds;
}

static void run(struct service *service, struct load *load, unsigned seconds)
{
        static struct asker askers[CLIENTS];

        ck_assert_int_ge(sd_event_new(&load->event), 0);
        for (unsigned i = 0; i < CLIENTS; i++) {
                load->bus[i] = service_connect(service);
                ck_assert(load->bus[i] != NULL);
                sd_bus_attach_event(load->bus[i], load->event, 0);
                askers[i] = (struct asker){ load, i };
                ask(&askers[i]);
        }
        sd_event_add_time_relative(
                        load->event, NULL, CLOCK_MONOTONIC, seconds * UINT64_C(1000000), 0, on_time, load);
        sd_event_loop(load->event);
        for (unsigned i = 0; i < CLIENTS; i++) {
                sd_bus_detach_event(load->bus[i]);
                sd_bus_close_unref(load->bus[i]);
        }
        sd_event_unref(load->event);
}

START_TEST(many_clients_at_once)
{
        static struct load load;
        const char *given = getenv("QVF_LOAD_SECONDS");
        unsigned seconds = given ? (unsigned)atoi(given) : 3, least = UINT32_MAX;
        struct service *service = service_new("clients:\n  requests_all: 48\n");
        _cleanup_free_ char *job = NULL;
        double alone, shared;
        uint64_t before, after, step;

        service_start(service);
        service_add_model(service, "tiny", MODEL);
        job = service_train(service, "tiny", "fox", 1000000);
        ck_assert(service_wait(service, job, "Job", "State", "running", 60));
        alone = steps_per_second(service, job, seconds > 10 ? 5 : 1);
        run(service, &load, 1); /* what grows at first has grown */
        before = resident_kib(service);
        memset(&load, 0, sizeof(load));
        step = service_count(service, job, "Job", "Step");
        run(service, &load, seconds);
        shared = (double)(service_count(service, job, "Job", "Step") - step) / seconds;
        after = resident_kib(service);
        ck_assert_msg(!load.wrong[0], "%s", load.wrong);
        for (unsigned i = 0; i < CLIENTS; i++)
                least = load.of_client[i] < least ? load.of_client[i] : least;
        qsort(load.first_ms, load.n_samples, sizeof(load.first_ms[0]), by_value);
        printf("%u clients, %u s: %u answered (at least %u each), %u refused; first token p50 %.1f ms, p99 "
               "%.1f ms; resident %llu "
               "KiB, then %llu; training %.1f steps/s alone, %.1f beside them\n",
                        CLIENTS, seconds, load.answered, least, load.refused,
                        load.n_samples ? (double)load.first_ms[load.n_samples / 2] : 0,
                        load.n_samples ? (double)load.first_ms[(size_t)(0.99 * load.n_samples)] : 0,
                        (unsigned long long)before, (unsigned long long)after, alone, shared);
        ck_assert_uint_gt(load.answered, 0);
#ifndef __SANITIZE_ADDRESS__ /* which keeps what was freed */
        ck_assert_uint_le(after, before + 1024);
#endif
        ck_assert(service_wait(service, job, "Job", "State", "running", 10));
        service_stop(service);
        service_free(service);
}
END_TEST

QVF_SUITE("load", 200, many_clients_at_once)
