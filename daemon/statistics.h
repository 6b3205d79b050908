/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted since the start. */
#ifndef QVF_DAEMON_STATISTICS_H
#define QVF_DAEMON_STATISTICS_H

#include <stdint.h>
#include <systemd/sd-bus.h>

enum { QVFD_SAMPLES = 1024 };

struct qvfd_samples { /* the newest values of something, for percentiles */
        float value[QVFD_SAMPLES];
        unsigned at, n;
};

struct qvfd_statistics {
        uint64_t started_us;
        uint64_t requests, requests_refused, requests_failed;
        uint64_t tokens_generated, tokens_prompt, tokens_trained;
        uint64_t worker_starts, worker_crashes, worker_hangs, worker_out_of_memory;
        uint64_t jobs_finished, jobs_failed;
        struct qvfd_samples first_token_ms, pause_ms;
};

struct qvfd;

void qvfd_samples_add(struct qvfd_samples *samples, double value);
double qvfd_samples_percentile(const struct qvfd_samples *samples, double share); /* NaN: none */
/* Appends the a{sv} of GetStatistics. */
int qvfd_statistics_append(struct qvfd *service, sd_bus_message *message);

#endif
