/* SPDX-License-Identifier: Apache-2.0 */
/* org.qvf.Fabric1.Job */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "daemon/failure.h"
#include "daemon/job.h"
#include "daemon/qvfd.h"
#include "daemon/train.h"
#include "daemon/values.h"
#include "daemon/vtables.h"

static int done(struct qvfd_call *call, struct qvfd_job *job)
{
        struct qvf_error words = { 0 };
        int r = qvfd_job_save(job, &words);

        if (r < 0)
                return qvfd_fail_from(call->error, r, &words);
        qvfd_job_update(job);
        qvfd_pass_soon(call->service);
        return sd_bus_reply_method_return(call->message, "");
}

static int need_open(struct qvfd_call *call, struct qvfd_job *job)
{
        return qvfd_job_has_ended(job) ? qvfd_fail(call->error, "BadState", "the job has ended: it is %s",
                                                         job->state)
                                       : 0;
}

static int set_paused(struct qvfd_call *call, bool paused)
{
        struct qvfd_job *job = (struct qvfd_job *)call->object;
        int r = need_open(call, job);

        if (r < 0)
                return r;
        job->paused = paused;
        /* What waits to be tried again is tried now; what waits for its time waits on. */
        if (!paused && strcmp(job->wait_code, "time") != 0)
                job->not_before_us = 0;
        return done(call, job);
}

static int pause_job(struct qvfd_call *call)
{
        return set_paused(call, true);
}

static int resume(struct qvfd_call *call)
{
        return set_paused(call, false);
}

static int cancel(struct qvfd_call *call)
{
        struct qvfd_job *job = (struct qvfd_job *)call->object;
        int keep, r = sd_bus_message_read(call->message, "b", &keep);

        if (r >= 0)
                r = need_open(call, job);
        if (r < 0)
                return r;
        job->cancelling = true;
        job->keep = keep;
        qvfd_train_stop(job);
        if (job->phase == QVFD_PHASE_NONE) {
                if (keep)
                        qvfd_job_keep_best(job);
                qvfd_job_end(job, QVFD_CANCELLED, "user", "cancelled");
        }
        return sd_bus_reply_method_return(call->message, "");
}

static int retry(struct qvfd_call *call)
{
        struct qvfd_job *job = (struct qvfd_job *)call->object;

        if (job->fate != QVFD_FAILED && job->fate != QVFD_CANCELLED)
                return qvfd_fail(call->error, "BadState", "the job is %s", job->state);
        if (job->data_gone)
                return qvfd_fail(call->error, "BadState", "the job's data has been deleted");
        job->fate = QVFD_OPEN;
        job->paused = job->cancelling = false;
        job->crashes = job->n_waits = 0;
        job->not_before_us = job->finished_us = 0;
        qvfd_job_set_text(&job->last_error, "");
        return done(call, job);
}

static int remove_job(struct qvfd_call *call)
{
        struct qvfd_job *job = (struct qvfd_job *)call->object;

        if (!qvfd_job_has_ended(job))
                return qvfd_fail(call->error, "BadState", "the job has not ended: cancel it first");
        qvfd_job_remove(job);
        return sd_bus_reply_method_return(call->message, "");
}

static int set_priority(struct qvfd_call *call)
{
        struct qvfd_job *job = (struct qvfd_job *)call->object;
        int32_t priority;
        int r = sd_bus_message_read(call->message, "i", &priority);

        if (r >= 0)
                r = need_open(call, job);
        if (r < 0)
                return r;
        if (priority < -100 || priority > 100)
                return qvfd_fail(call->error, "InvalidArgument", "%d is not from -100 to 100", priority);
        job->priority = priority;
        QVFD_CHANGED(job, "Priority");
        return done(call, job);
}

static int send_file(struct qvfd_call *call, int folder, const char *name, const char *what)
{
        _cleanup_close_ int file = folder < 0 ? -1 : openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

        if (file < 0)
                return qvfd_fail(call->error, "NotFound", "there is no %s yet", what);
        return sd_bus_reply_method_return(call->message, "h", file);
}

static int open_metrics(struct qvfd_call *call)
{
        struct qvfd_job *job = (struct qvfd_job *)call->object;
        _cleanup_close_ int folder = qvfd_job_open_folder(job);
        char name[48];

        /* Of the run that is under way, or of the last one. */
        snprintf(name, sizeof(name), "run-%u/metrics.jsonl", job->runs + 1);
        if (folder >= 0 && job->runs > 0 && faccessat(folder, name, F_OK, 0) < 0)
                snprintf(name, sizeof(name), "run-%u/metrics.jsonl", job->runs);
        return send_file(call, folder, name, "metrics");
}

static int open_log(struct qvfd_call *call)
{
        struct qvfd_job *job = (struct qvfd_job *)call->object;
        _cleanup_close_ int folder = qvfd_job_open_folder(job);

        return send_file(call, folder, "log", "log");
}

const struct qvfd_method qvfd_job_methods[] = {
        { "Pause", "train", pause_job },
        { "Resume", "train", resume },
        { "Cancel", "train", cancel },
        { "Retry", "train", retry },
        { "Remove", "train", remove_job },
        { "SetPriority", "train", set_priority },
        { "OpenMetrics", "train", open_metrics },
        { "OpenLog", "train", open_log },
        { 0 },
};

static int get_options(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const struct qvfd_job *job = userdata;
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        (void)bus;
        (void)path;
        (void)interface;
        (void)property;
        (void)error;
        if (r >= 0)
                r = qvfd_values_append(
                                reply, QVFD_G_JOB | QVFD_G_ADAPTER | QVFD_G_RUN | QVFD_G_DATA, job->options);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

#define AT(field) offsetof(struct qvfd_job, field)
#define CONSTANT(name, type, field)                                                                         \
        SD_BUS_PROPERTY(name, type, NULL, AT(field), SD_BUS_VTABLE_PROPERTY_CONST)
#define CHANGES(name, type, field)                                                                          \
        SD_BUS_PROPERTY(name, type, NULL, AT(field), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

const sd_bus_vtable qvfd_job_vtable[] = {
        SD_BUS_VTABLE_START(0),
        QVFD_METHOD("Pause", "", "", "", ),
        QVFD_METHOD("Resume", "", "", "", ),
        QVFD_METHOD("Cancel", "b", SD_BUS_PARAM(keep), "", ),
        QVFD_METHOD("Retry", "", "", "", ),
        QVFD_METHOD("Remove", "", "", "", ),
        QVFD_METHOD("SetPriority", "i", SD_BUS_PARAM(priority), "", ),
        QVFD_METHOD("OpenMetrics", "", "", "h", SD_BUS_PARAM(file)),
        QVFD_METHOD("OpenLog", "", "", "h", SD_BUS_PARAM(file)),
        SD_BUS_SIGNAL_WITH_NAMES("Ended", "ss", SD_BUS_PARAM(state) SD_BUS_PARAM(reason), 0),
        CONSTANT("Id", "s", object.name),
        CHANGES("Name", "s", title),
        CONSTANT("Model", "s", model),
        CHANGES("Adapter", "s", adapter),
        CHANGES("State", "s", state),
        CHANGES("ReasonCode", "s", reason_code),
        CHANGES("Reason", "s", reason),
        CONSTANT("Owner", "u", owner),
        CHANGES("Priority", "i", priority),
        CHANGES("After", "s", after),
        CHANGES("Repeat", "s", repeat),
        CHANGES("NotBefore", "t", not_before_us),
        CONSTANT("Created", "t", created_us),
        CHANGES("Started", "t", started_us),
        CHANGES("Finished", "t", finished_us),
        CHANGES("Runs", "u", runs),
        SD_BUS_PROPERTY("Options", "a{sv}", get_options, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        CHANGES("Device", "s", device),
        CHANGES("Crashes", "u", crashes),
        CHANGES("LastError", "s", last_error),
        CHANGES("Step", "t", step),
        CHANGES("TotalSteps", "t", total_steps),
        CHANGES("Epoch", "d", epoch),
        CHANGES("Loss", "d", loss),
        CHANGES("Accuracy", "d", accuracy),
        CHANGES("EvaluationLoss", "d", evaluation_loss),
        CHANGES("BestEvaluationLoss", "d", best_evaluation_loss),
        CHANGES("LearningRate", "d", learning_rate),
        CHANGES("GradientNorm", "d", gradient_norm),
        CHANGES("Tokens", "t", tokens),
        CHANGES("TokensPerSecond", "d", tokens_per_second),
        CHANGES("SecondsRun", "d", seconds_run),
        CHANGES("SecondsLeft", "d", seconds_left),
        CHANGES("EnergyJoules", "d", energy_joules),
        CHANGES("MemoryPlanned", "t", memory_planned),
        CHANGES("MemoryPeak", "t", memory_peak),
        CHANGES("CheckpointStep", "t", checkpoint_step),
        SD_BUS_VTABLE_END,
};
