/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker says of the job that it runs, and how that ends. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/device.h"
#include "daemon/failure.h"
#include "daemon/journal.h"
#include "daemon/model.h"
#include "daemon/qvfd.h"
#include "daemon/train.h"
#include "daemon/train_failure.h"

enum { WAITS_MOST = 10 };            /* for memory or disk, in a row */
enum { CRASHES_IN_PLACE_MOST = 12 }; /* without a step in between: 3 for each backend that there can be */

static struct qvfd_job *job_of(struct qvfd_worker *worker, const char *id)
{
        struct qvfd_job *job = worker->service->active_job;

        return job && job->worker == worker && strcmp(job->object.name, id) == 0 ? job : NULL;
}

static void take_values(struct qvfd_job *job, struct json_object *values)
{
        struct qvfd_worker *worker = job->worker;
        uint64_t step = qvfd_json_u64(values, "step"), tokens = qvfd_json_u64(values, "tokens");

        if (step > job->step) {
                job->crashes = 0; /* it goes on: crashes in place are counted anew */
                job->n_waits = 0;
        }
        job->object.service->statistics.tokens_trained += tokens > job->tokens ? tokens - job->tokens : 0;
        job->step = step;
        job->tokens = tokens;
        if (qvfd_json_u64(values, "total_steps"))
                job->total_steps = qvfd_json_u64(values, "total_steps");
        job->checkpoint_step = qvfd_json_u64(values, "checkpoint_step");
        job->epoch = qvfd_json_number(values, "epoch", job->epoch);
        job->loss = qvfd_json_number(values, "loss", job->loss);
        job->accuracy = qvfd_json_number(values, "accuracy", job->accuracy);
        job->learning_rate = qvfd_json_number(values, "learning_rate", job->learning_rate);
        job->gradient_norm = qvfd_json_number(values, "gradient_norm", job->gradient_norm);
        job->tokens_per_second = qvfd_json_number(values, "tokens_per_second", job->tokens_per_second);
        job->evaluation_loss = qvfd_json_number(values, "evaluation_loss", job->evaluation_loss);
        job->best_evaluation_loss =
                        qvfd_json_number(values, "best_evaluation_loss", job->best_evaluation_loss);
        job->seconds_run = job->seconds_before + qvfd_json_number(values, "seconds", 0);
        if (worker->resident_peak_bytes > job->memory_peak)
                job->memory_peak = worker->resident_peak_bytes;
        job->seconds_left = step > job->first_step && job->total_steps >= step
                                            ? (job->seconds_run - job->seconds_before) /
                                                              (double)(step - job->first_step) *
                                                              (double)(job->total_steps - step)
                                            : -1;
}

static void tell_progress(struct qvfd_job *job)
{
        QVFD_CHANGED(job, "Step", "TotalSteps", "Epoch", "Loss", "Accuracy", "EvaluationLoss",
                        "BestEvaluationLoss", "LearningRate", "GradientNorm", "Tokens", "TokensPerSecond",
                        "SecondsRun", "SecondsLeft", "EnergyJoules", "MemoryPeak", "CheckpointStep");
}

void qvfd_train_progress(struct qvfd_worker *worker, const char *id, struct json_object *values)
{
        struct qvfd_job *job = job_of(worker, id);

        if (!job)
                return;
        take_values(job, values);
        tell_progress(job);
}

bool qvfd_train_warning(struct qvfd_worker *worker, const char *text)
{
        struct qvfd_job *job = worker->service->active_job;

        if (!job || job->worker != worker)
                return false;
        qvfd_job_log(job, "warning: %s", text);
        qvfd_notice(worker->service, "warning", &job->object, "%s", text);
        return true;
}

static void wait_or_fail(struct qvfd_job *job, const char *code, const char *message)
{
        double seconds = 60;

        if (++job->n_waits > WAITS_MOST &&
                        strcmp(code, "disk") != 0) { /* a full disk loses no job, however long */
                qvfd_job_end(job, QVFD_FAILED, code, message);
                return;
        }
        for (unsigned i = 1; i < job->n_waits && seconds < 1800; i++)
                seconds *= 2;
        qvfd_job_wait(job, seconds, code, message);
        qvfd_notice(job->object.service, "warning", &job->object, "waits: %s", message);
}

void qvfd_train_failed(struct qvfd_job *job, const char *error, const char *message)
{
        const char *name = qvfd_error_short(error);

        qvfd_job_log(job, "could not go on: %s (%s)", message ? message : "", name);
        qvfd_train_detach(job);
        if (job->cancelling)
                qvfd_job_end(job, QVFD_CANCELLED, "user", "cancelled");
        else if (strcmp(name, "DiskFull") == 0)
                wait_or_fail(job, "disk", message);
        else if (strcmp(name, "OutOfMemory") == 0)
                wait_or_fail(job, "memory", message);
        else if (strcmp(name, "Busy") == 0 || strcmp(name, "BadState") == 0)
                wait_or_fail(job, "retry", message);
        else
                qvfd_job_end(job, QVFD_FAILED, strcmp(name, "Internal") == 0 ? "internal" : "data", message);
}

static void cancel(struct qvfd_job *job)
{
        qvfd_train_detach(job);
        if (job->keep)
                qvfd_job_keep_best(job);
        qvfd_job_end(job, QVFD_CANCELLED, "user", "cancelled");
}

void qvfd_train_ended(struct qvfd_worker *worker, const char *id, const char *verdict, const char *message,
                struct json_object *values)
{
        struct qvfd_job *job = job_of(worker, id);
        char error[96];

        if (!job)
                return;
        take_values(job, values);
        tell_progress(job);
        job->stopped_early = qvfd_json_bool(values, "stopped_early");
        if (strcmp(verdict, "failed") == 0) {
                snprintf(error, sizeof(error), "x.%.60s", qvfd_json_string(values, "error"));
                qvfd_train_failed(job, error, message);
        } else if (strcmp(verdict, "finished") == 0) {
                qvfd_train_detach(job);
                qvfd_job_adopt(job);
        } else if (job->cancelling) {
                cancel(job);
        } else {
                qvfd_job_log(job, "stopped after step %llu", (unsigned long long)job->step);
                qvfd_train_detach(job);
                qvfd_job_save(job, NULL);
                qvfd_job_update(job);
        }
}

/* The next device, or the same one again after a while: longer each time. */
void qvfd_train_worker_ended(struct qvfd_worker *worker, enum qvfd_end end)
{
        struct qvfd *service = worker->service;
        const struct qvf_workers_config *config = &service->config.workers;
        struct qvfd_job *job = service->active_job;
        double seconds = config->retry_after_s;

        if (!job || (job->worker != worker &&
                                    !(job->phase == QVFD_PHASE_LOADING && qvfd_train_uses(worker))))
                return;
        qvfd_job_log(job, "%s", worker->message);
        qvfd_train_detach(job);
        if (job->cancelling) {
                cancel(job);
                return;
        }
        if (end == QVFD_END_ASKED) {
                qvfd_job_save(job, NULL);
                qvfd_job_update(job);
                return;
        }
        if (end == QVFD_END_MEMORY) {
                wait_or_fail(job, "memory", worker->message);
                return;
        }
        job->crashes++;
        QVFD_CHANGED(job, "Crashes");
        if (job->crashes > CRASHES_IN_PLACE_MOST || end == QVFD_END_UNUSABLE) {
                qvfd_job_end(job, QVFD_FAILED, qvfd_end_codes[end], worker->message);
                return;
        }
        for (uint32_t i = 1; i < job->crashes && seconds < config->retry_most_s; i++)
                seconds *= 2;
        qvfd_job_wait(job, seconds < config->retry_most_s ? seconds : config->retry_most_s, "retry",
                        worker->message);
        qvfd_notice(service, "warning", &job->object, "%s: it goes on from step %llu", worker->message,
                        (unsigned long long)job->checkpoint_step);
}

void qvfd_train_load_failed(struct qvfd_model *model, const char *error, const char *message)
{
        struct qvfd_job *job = model->object.service->active_job;

        if (job && job->phase == QVFD_PHASE_LOADING && strcmp(job->model, model->object.name) == 0)
                qvfd_train_failed(job, error, message);
}

void qvfd_job_emit_ended(struct qvfd_job *job, const char *state, const char *reason)
{
        struct qvfd *service = job->object.service;

        qvfd_journal(QVF_LOG_INFO, &job->object, "%s%s%s", state, reason[0] ? ": " : "", reason);
        qvfd_emit(service, &job->object, "Ended", "ss", state, reason);
}
