/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/qvfd.h"
#include "daemon/train.h"

static const char *const fate_states[] = { "", "finished", "failed", "cancelled" };

void qvfd_job_set_text(char **text, const char *value)
{
        char *copy = strdup(value ? value : "");

        free(*text);
        *text = copy;
}

int qvfd_job_new(struct qvfd *service, const char *id, struct qvfd_job **ret_job)
{
        struct qvfd_job *job = calloc(1, sizeof(*job));
        int r = job ? qvfd_object_init(&job->object, service, QVFD_JOB, id) : -ENOMEM;

        if (r < 0) {
                free(job);
                return r;
        }
        char **const texts[] = { &job->title, &job->model, &job->adapter, &job->after, &job->repeat,
                &job->device, &job->last_error, &job->reason, &job->wait_reason };
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                qvfd_job_set_text(texts[i], "");
        job->options = json_object_new_object();
        job->state = "queued";
        job->reason_code = "";
        job->wait_code = "time";
        job->epoch = 0;
        job->loss = job->accuracy = job->evaluation_loss = job->best_evaluation_loss = NAN;
        job->learning_rate = job->gradient_norm = NAN;
        job->seconds_left = job->energy_joules = -1;
        *ret_job = job;
        return 0;
}

void qvfd_job_free(struct qvfd_job *job)
{
        if (job->object.service->active_job == job)
                job->object.service->active_job = NULL;
        qvfd_object_exit(&job->object);
        free(job->title);
        free(job->model);
        free(job->adapter);
        free(job->after);
        free(job->repeat);
        free(job->device);
        free(job->last_error);
        free(job->reason);
        free(job->wait_reason);
        json_object_put(job->options);
        free(job);
}

void qvfd_jobs_free(struct qvfd *service)
{
        while (service->objects[QVFD_JOB])
                qvfd_job_free((struct qvfd_job *)service->objects[QVFD_JOB]);
}

struct qvfd_job *qvfd_job_find(struct qvfd *service, const char *id)
{
        return qvfd_object_find(service, QVFD_JOB, id);
}

bool qvfd_job_has_ended(const struct qvfd_job *job)
{
        return job->fate != QVFD_OPEN;
}

static bool waits_for_another(const struct qvfd_job *job)
{
        return job->after[0] && !job->after_done;
}

bool qvfd_job_is_ready(const struct qvfd_job *job)
{
        return job->fate == QVFD_OPEN && !job->paused && !waits_for_another(job) &&
               job->not_before_us <= qvfd_wall_clock_us();
}

struct view {
        const char *state, *code, *reason;
};

static struct view view_waiting(struct qvfd_job *job)
{
        struct qvfd *service = job->object.service;
        static const char *const held[] = { "hold", "policy" };

        if (job->paused)
                return (struct view){ "paused", "user", "paused by a user" };
        if (waits_for_another(job)) {
                struct qvfd_job *before = qvfd_job_find(service, job->after);

                return (struct view){ "waiting", "after",
                        !before                     ? "the job before it is gone"
                        : before->fate == QVFD_OPEN ? "waits for the job before it"
                                                    : "the job before it did not finish" };
        }
        if (job->not_before_us > qvfd_wall_clock_us())
                return (struct view){ "waiting", job->wait_code, job->wait_reason };
        if (!qvfd_allowed(service, QVF_TRAINING))
                return (struct view){ "waiting",
                        held[service->watch.verdict.activity[QVF_TRAINING].first_broken != QVF_C_HOLD],
                        qvfd_allowed_reason(service, QVF_TRAINING) };
        if (service->active_job && service->active_job != job)
                return (struct view){ "queued", "turn", "another job runs" };
        return (struct view){ "queued", "turn", "its turn comes" };
}

static struct view view(struct qvfd_job *job)
{
        struct view waiting;

        if (job->fate != QVFD_OPEN)
                return (struct view){ fate_states[job->fate], job->wait_code, job->wait_reason };
        if (job->phase == QVFD_PHASE_NONE)
                return view_waiting(job);
        if (job->phase == QVFD_PHASE_LOADING || job->phase == QVFD_PHASE_STARTING)
                return (struct view){ "starting", "", "the model is brought to the device" };
        if (job->phase == QVFD_PHASE_STOPPING || job->worker_paused) {
                waiting = view_waiting(job);
                /* It goes on in a moment. */
                return strcmp(waiting.state, "queued") == 0 ? (struct view){ "running", "", "" } : waiting;
        }
        return (struct view){ "running", "", "" };
}

void qvfd_job_update(struct qvfd_job *job)
{
        struct view now = view(job);
        bool state = strcmp(job->state, now.state) != 0, code = strcmp(job->reason_code, now.code) != 0,
             reason = strcmp(job->reason, now.reason) != 0;

        if (!state && !code && !reason)
                return;
        job->state = now.state;
        job->reason_code = now.code;
        if (reason)
                qvfd_job_set_text(&job->reason, now.reason);
        QVFD_CHANGED(job, "State", "ReasonCode", "Reason", "NotBefore");
        if (state || code)
                qvfd_job_log(job, "%s%s%s", job->state, job->reason[0] ? ": " : "", job->reason);
}

void qvfd_job_wait(struct qvfd_job *job, double seconds, const char *code, const char *reason)
{
        job->not_before_us = qvfd_wall_clock_us() + (uint64_t)(seconds * 1e6);
        job->wait_code = code;
        qvfd_job_set_text(&job->wait_reason, reason);
        qvfd_job_set_text(&job->last_error, reason);
        QVFD_CHANGED(job, "LastError", "NotBefore");
        qvfd_job_save(job, NULL);
        qvfd_job_update(job);
        qvfd_pass_soon(job->object.service);
}

void qvfd_job_end(struct qvfd_job *job, enum qvfd_fate fate, const char *code, const char *reason)
{
        struct qvfd *service = job->object.service;
        struct qvf_error error = { 0 };

        job->fate = fate;
        job->finished_us = qvfd_wall_clock_us();
        job->wait_code = code;
        qvfd_job_set_text(&job->wait_reason, reason);
        if (fate == QVFD_FAILED)
                qvfd_job_set_text(&job->last_error, reason);
        if (qvfd_job_save(job, &error) < 0) {
                /* It stays open until that can be written down: nothing is lost, and nothing is done twice. */
                job->fate = QVFD_OPEN;
                qvfd_job_wait(job, 60, "disk", error.text);
                return;
        }
        if (fate == QVFD_FAILED)
                service->statistics.jobs_failed++;
        qvfd_job_tidy(job);
        qvfd_job_update(job);
        QVFD_CHANGED(job, "Finished", "LastError", "Runs");
        qvfd_object_changed(&service->object, (const char *const[]){ "JobsQueued", NULL });
        qvfd_job_emit_ended(job, fate_states[fate], reason);
        qvfd_pass_soon(service);
}

void qvfd_jobs_counts(struct qvfd *service, unsigned *ret_open, unsigned *ret_of_owner, uint32_t owner)
{
        *ret_open = *ret_of_owner = 0;
        QVFD_EACH(struct qvfd_job, job, service, QVFD_JOB)
        {
                if (job->fate != QVFD_OPEN)
                        continue;
                ++*ret_open;
                if (job->owner == owner)
                        ++*ret_of_owner;
        }
}
