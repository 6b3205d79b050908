/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/train_summary.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define MIB 1048576.0

static uint64_t peak_bytes(void)
{
        unsigned long long kib = 0;
        char line[256];
        _cleanup_fclose_ FILE *file = fopen("/proc/self/status", "re");

        while (file && fgets(line, sizeof(line), file))
                if (sscanf(line, "VmHWM: %llu", &kib) == 1)
                        break;
        return (uint64_t)kib << 10;
}

static void tell_phases(const struct bench_train_summary *summary, struct json_object *report)
{
        static const char *const keys[QVF_PHASES] = { "data", "forward_and_backward", "update", "evaluation",
                "files" };
        static const char *const words[QVF_PHASES] = { "data", "forward and backward", "update",
                "evaluation", "files" };
        const double *seconds = summary->metrics->phase_seconds;
        double steps = summary->steps > 0 ? (double)summary->steps : 1;
        double forward = summary->forward_seconds_per_row * summary->computed_tokens / steps;
        struct json_object *phases = bench_report_object(report, "seconds_per_step");

        for (int i = 0; i < QVF_PHASES; i++)
                bench_report_number(phases, keys[i], seconds[i] / steps);
        bench_report_number(phases, "of_it_forward", forward);
        if (report)
                return;
        printf("time per step:");
        for (int i = 0; i < QVF_PHASES; i++) {
                printf("%s %s %.2f ms", i ? "," : "", words[i], 1e3 * seconds[i] / steps);
                if (i == QVF_PHASE_GRADIENTS)
                        printf(" (forward %.2f)", 1e3 * forward);
        }
        putchar('\n');
}

static void tell_energy(const struct bench_train_summary *summary, struct json_object *report)
{
        const char *kind = qvf_energy_kind_name(qvf_energy_kind(summary->energy));
        bool known = summary->used.seconds > 0;
        double joules = known ? summary->used.joules : NAN;

        bench_report_string(report, "energy_meter", kind);
        bench_report_number(report, "joules", joules);
        bench_report_number(report, "joules_seconds", summary->used.seconds);
        if (report)
                return;
        if (qvf_energy_kind(summary->energy) == QVF_ENERGY_UNMETERED)
                printf("energy: unmetered (no meter of this machine can be read)\n");
        else if (!known)
                printf("energy: unmetered (%s %s gave no value)\n", kind,
                                qvf_energy_meters(summary->energy));
        else
                printf("energy: %.1f J in %.1f s, %.1f mJ a computed token (%s: %s)\n", joules,
                                summary->used.seconds,
                                summary->computed_tokens > 0 ? 1e3 * joules / summary->computed_tokens : 0,
                                kind, qvf_energy_meters(summary->energy));
}

void bench_train_summarise(const struct bench_train_summary *summary, struct json_object *report)
{
        const struct qvf_train_metrics *m = summary->metrics;
        double seconds = summary->step_seconds > 0 ? summary->step_seconds : 1;
        uint64_t peak = peak_bytes();

        bench_report_count(report, "steps", m->step);
        bench_report_number(report, "loss", m->loss);
        bench_report_number(report, "seconds", summary->step_seconds);
        bench_report_number(report, "loss_tokens_per_second", summary->loss_tokens / seconds);
        bench_report_number(report, "computed_tokens_per_second", summary->computed_tokens / seconds);
        bench_report_count(report, "peak_bytes", peak);
        bench_report_count(report, "skipped_steps", m->n_skipped);
        if (isfinite(m->evaluation_loss))
                bench_report_number(report, "held_out_loss", m->evaluation_loss);
        if (!report)
                printf("%" PRIu64
                       " steps in %.1f s: %.0f computed tokens/s, %.0f with loss; peak %.1f MiB, planned "
                       "%.1f MiB\n",
                                m->step, summary->step_seconds, summary->computed_tokens / seconds,
                                summary->loss_tokens / seconds, (double)peak / MIB,
                                (double)summary->planned_bytes / MIB);
        tell_phases(summary, report);
        tell_energy(summary, report);
}
