/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "daemon/hold.h"
#include "daemon/job.h"
#include "daemon/journal.h"
#include "daemon/policy/policy_state.h"
#include "daemon/qvfd.h"
#include "daemon/request.h"

#define SECOND UINT64_C(1000000)
#define WAITING_US (10 * SECOND) /* somebody waits for the policy, but nothing runs */
#define QUIET_US (60 * SECOND)   /* nothing to decide: the averages of power go on */
#define SAVE_US (60 * SECOND)

bool qvfd_allowed(const struct qvfd *service, enum qvf_activity activity)
{
        return service->watch.verdict.activity[activity].allowed;
}

const char *qvfd_allowed_reason(const struct qvfd *service, enum qvf_activity activity)
{
        return service->watch.verdict.activity[activity].reason;
}

static bool trains(const struct qvfd *service)
{
        const struct qvfd_job *job = service->active_job;

        return job && job->phase == QVFD_PHASE_RUNNING && !job->worker_paused;
}

static void fill_own_part(struct qvfd *service)
{
        struct qvf_snapshot *snapshot = &service->watch.snapshot;

        snapshot->running[QVF_TRAINING] = trains(service);
        snapshot->running[QVF_INFERENCE] = qvfd_requests_run(service);
        snapshot->suspending = service->watch.suspending;
        snapshot->holds[QVF_TRAINING] = snapshot->holds[QVF_INFERENCE] = 0;
        snapshot->hold_text[0] = 0;
        for (const struct qvfd_hold *hold = service->holds; hold; hold = hold->next) {
                snapshot->holds[QVF_TRAINING]++;
                snapshot->holds[QVF_INFERENCE] += hold->all ? 1 : 0;
                snprintf(snapshot->hold_text, sizeof(snapshot->hold_text), "%s: %.60s",
                                hold->client->sender ? hold->client->sender : "a client", hold->reason);
        }
}

static void read_sensors(struct qvfd *service, uint64_t now)
{
        struct qvfd_watch *watch = &service->watch;
        pid_t pids[64];
        unsigned n = 0;

        for (const struct qvfd_worker *w = service->workers; w && n < 64; w = w->next)
                if (w->child.pid > 0)
                        pids[n++] = w->child.pid;
        qvf_sensors_set_own(watch->sensors, pids, n);
        qvf_sensors_read(watch->sensors, now, &watch->snapshot);
        watch->sampled_us = now;
}

/* What training has used since the last look goes to the job that ran. */
static void charge_job(struct qvfd *service, double before_j)
{
        double spent = service->watch.state.activity[QVF_TRAINING].energy_total_j - before_j;
        struct qvfd_job *job = service->active_job;

        if (!job || !service->watch.snapshot.energy_j.known)
                return;
        if (job->energy_joules < 0)
                job->energy_joules = 0;
        if (spent > 0)
                job->energy_joules += spent;
}

static void tell(struct qvfd *service, const bool was_allowed[QVF_ACTIVITIES],
                char reasons[QVF_ACTIVITIES][192])
{
        static const char *const properties[QVF_ACTIVITIES][3] = { { "TrainingAllowed", "TrainingReason",
                                                                                   NULL },
                { "InferenceAllowed", "InferenceReason", NULL } };
        bool any = false;

        for (int a = 0; a < QVF_ACTIVITIES; a++) {
                const struct qvf_activity_verdict *verdict = &service->watch.verdict.activity[a];

                if (verdict->allowed != was_allowed[a]) {
                        any = true;
                        qvfd_journal_verdict(qvf_activity_names[a], verdict->allowed,
                                        verdict->first_broken < QVF_CONSTRAINTS
                                                        ? qvf_constraint_name(verdict->first_broken)
                                                        : "",
                                        verdict->reason);
                }
                if (verdict->allowed != was_allowed[a] || strcmp(verdict->reason, reasons[a]) != 0)
                        qvfd_object_changed(&service->object, properties[a]);
        }
        if (any)
                qvfd_pass_soon(service);
}

static void save(struct qvfd *service, uint64_t now)
{
        struct qvf_error error = { 0 };

        if (qvf_policy_state_save(&service->watch.state, service->store.root, &error) < 0)
                qvf_log(QVF_LOG_WARNING, "%s", error.text);
        service->watch.saved_us = now;
}

void qvfd_watch_decide(struct qvfd *service, bool sample)
{
        struct qvfd_watch *watch = &service->watch;
        uint64_t now = qvfd_now_us();
        double before_j = watch->state.activity[QVF_TRAINING].energy_total_j;
        bool was_allowed[QVF_ACTIVITIES];
        char reasons[QVF_ACTIVITIES][192];

        if (!watch->sensors)
                return;
        for (int a = 0; a < QVF_ACTIVITIES; a++) {
                was_allowed[a] = watch->verdict.activity[a].allowed;
                strcpy(reasons[a], watch->verdict.activity[a].reason);
        }
        if (sample && (watch->sampled_us == 0 || (double)(now - watch->sampled_us) >=
                                                                 service->config.sample_every_s * 0.5e6))
                read_sensors(service, now);
        fill_own_part(service);
        qvf_policy_decide(&service->config.policy, &watch->snapshot, &watch->state, now, &watch->verdict);
        charge_job(service, before_j);
        if (now - watch->saved_us > SAVE_US && watch->snapshot.running[QVF_TRAINING])
                save(service, now);
        tell(service, was_allowed, reasons);
}

static uint64_t period(struct qvfd *service)
{
        uint64_t sample = (uint64_t)(service->config.sample_every_s * 1e6), wait = QUIET_US;

        if (service->active_job || service->requests)
                return sample;
        QVFD_EACH(struct qvfd_job, job, service, QVFD_JOB)
        if (qvfd_job_is_ready(job))
                wait = sample > WAITING_US ? sample : WAITING_US;
        return wait;
}

void qvfd_watch_arm(struct qvfd *service)
{
        uint64_t now = qvfd_now_us(), again = service->watch.verdict.again_us, due;

        if (!service->watch.timer)
                return;
        due = service->watch.sampled_us + period(service);
        if (again < due && again > now)
                due = again;
        sd_event_source_set_time(service->watch.timer, due > now ? due : now);
        sd_event_source_set_enabled(service->watch.timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct qvfd *service = userdata;

        (void)source;
        (void)usec;
        qvfd_watch_decide(service, true);
        /* A long pause, a full disk: what hangs on time alone is looked at here. */
        if (service->active_job)
                qvfd_pass_soon(service);
        qvfd_watch_arm(service);
        return 0;
}

int qvfd_watch_start(struct qvfd *service, struct qvf_error *error)
{
        struct qvfd_watch *watch = &service->watch;
        int r;

        if (qvf_policy_state_load(&watch->state, service->store.root, error) < 0)
                qvf_log(QVF_LOG_WARNING, "%s", error->text);
        r = qvf_sensors_new(service->options.root, service->store.root, &watch->sensors, error);
        if (r < 0)
                return r;
        qvfd_watch_decide(service, true);
        r = sd_event_add_time(service->event, &watch->timer, CLOCK_BOOTTIME, qvfd_now_us() + SECOND,
                        SECOND / 4, on_timer, service);
        return r < 0 ? qvf_error_set(error, r, "no timer: %s", strerror(-r)) : 0;
}

void qvfd_watch_stop(struct qvfd *service)
{
        if (!service->watch.sensors)
                return;
        save(service, qvfd_now_us());
        service->watch.timer = sd_event_source_disable_unref(service->watch.timer);
        service->watch.sensors = qvf_sensors_free(service->watch.sensors);
}
