/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/statistics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "daemon/client.h"
#include "daemon/qvfd.h"
#include "daemon/values.h"

void qvfd_samples_add(struct qvfd_samples *samples, double value)
{
        samples->value[samples->at] = (float)value;
        samples->at = (samples->at + 1) % QVFD_SAMPLES;
        if (samples->n < QVFD_SAMPLES)
                samples->n++;
}

static int by_value(const void *a, const void *b)
{
        float x = *(const float *)a, y = *(const float *)b;

        return (x > y) - (x < y);
}

double qvfd_samples_percentile(const struct qvfd_samples *samples, double share)
{
        float sorted[QVFD_SAMPLES];

        if (samples->n == 0)
                return NAN;
        memcpy(sorted, samples->value, samples->n * sizeof(sorted[0]));
        qsort(sorted, samples->n, sizeof(sorted[0]), by_value);
        return sorted[(unsigned)(share * (samples->n - 1) + 0.5)];
}

static uint64_t resident_bytes(void)
{
        _cleanup_fclose_ FILE *file = fopen("/proc/self/statm", "re");
        unsigned long total, resident = 0;

        if (file && fscanf(file, "%lu %lu", &total, &resident) != 2)
                resident = 0;
        return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double energy(const struct qvfd *service, bool today)
{
        const struct qvf_policy_state *state = &service->watch.state;
        double sum = 0;

        if (!service->watch.snapshot.energy_j.known)
                return -1;
        for (int a = 0; a < QVF_ACTIVITIES; a++)
                sum += today ? state->activity[a].energy_today_j : state->activity[a].energy_total_j;
        return sum;
}

int qvfd_statistics_append(struct qvfd *service, sd_bus_message *message)
{
        const struct qvfd_statistics *s = &service->statistics;
        const struct {
                const char *key;
                uint64_t value;
        } counts[] = { { "requests", s->requests }, { "requests_refused", s->requests_refused },
                { "requests_failed", s->requests_failed }, { "tokens_generated", s->tokens_generated },
                { "tokens_prompt", s->tokens_prompt }, { "tokens_trained", s->tokens_trained },
                { "worker_starts", s->worker_starts }, { "worker_crashes", s->worker_crashes },
                { "worker_hangs", s->worker_hangs }, { "worker_out_of_memory", s->worker_out_of_memory },
                { "jobs_finished", s->jobs_finished }, { "jobs_failed", s->jobs_failed },
                { "resident_bytes", resident_bytes() } };
        const struct {
                const char *key;
                double value;
        } numbers[] = { { "uptime_seconds", (double)(qvfd_now_us() - s->started_us) / 1e6 },
                { "first_token_ms_p50", qvfd_samples_percentile(&s->first_token_ms, 0.5) },
                { "first_token_ms_p99", qvfd_samples_percentile(&s->first_token_ms, 0.99) },
                { "pause_ms_p50", qvfd_samples_percentile(&s->pause_ms, 0.5) },
                { "pause_ms_p99", qvfd_samples_percentile(&s->pause_ms, 0.99) },
                { "energy_joules", energy(service, false) },
                { "energy_today_joules", energy(service, true) } };
        uint64_t iterations = 0;
        int r = sd_bus_message_open_container(message, 'a', "{sv}");

        for (size_t i = 0; r >= 0 && i < sizeof(counts) / sizeof(counts[0]); i++)
                r = qvfd_append_u64(message, counts[i].key, counts[i].value);
        for (size_t i = 0; r >= 0 && i < sizeof(numbers) / sizeof(numbers[0]); i++)
                r = qvfd_append_double(message, numbers[i].key, numbers[i].value);
        sd_event_get_iteration(service->event, &iterations);
        if (r >= 0)
                r = qvfd_append_u64(message, "wakeups", iterations);
        if (r >= 0)
                r = qvfd_append_u32(message, "clients", qvfd_clients_count(service));
        if (r >= 0)
                r = qvfd_append_u32(message, "sessions", qvfd_object_count(service, QVFD_SESSION));
        return r < 0 ? r : sd_bus_message_close_container(message);
}
