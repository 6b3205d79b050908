/* SPDX-License-Identifier: Apache-2.0 */
/* What a training run took: time by phase, memory, energy. */
#ifndef QVF_BENCH_TRAIN_SUMMARY_H
#define QVF_BENCH_TRAIN_SUMMARY_H

#include "bench/report.h"
#include "common/energy.h"
#include "engine/training/job.h"

struct bench_train_summary {
        const struct qvf_train_metrics *metrics;
        uint64_t steps; /* of this run */
        double step_seconds, computed_tokens, loss_tokens;
        double forward_seconds_per_row;
        uint64_t planned_bytes;
        const struct qvf_energy *energy;
        struct qvf_energy_reading used;
};

void bench_train_summarise(const struct bench_train_summary *summary, struct json_object *report);

#endif
