/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/train.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/adapter.h"
#include "daemon/cgroup.h"
#include "daemon/device.h"
#include "daemon/failure.h"
#include "daemon/model.h"
#include "daemon/qvfd.h"
#include "daemon/train_failure.h"
#include "daemon/values.h"

bool qvfd_train_uses(const struct qvfd_worker *worker)
{
        const struct qvfd_job *job = worker->service->active_job;

        return job && worker->model && strcmp(job->model, worker->model->object.name) == 0;
}

static double duty_cycle(const struct qvfd *service)
{
        double percent = service->watch.verdict.activity[QVF_TRAINING].duty_cycle_percent;

        return percent > 0 && percent < 100 ? percent / 100 : 1;
}

/* The smaller of what the job asks for and what the policy allows; 0: no limit. */
static uint64_t memory_of(const struct qvfd_job *job)
{
        double allowed = job->object.service->watch.verdict.activity[QVF_TRAINING].memory_limit_bytes;
        uint64_t wanted = qvfd_json_u64(job->options, "memory");

        if (!isfinite(allowed) || allowed <= 0)
                return wanted;
        return wanted == 0 || wanted > (uint64_t)allowed ? (uint64_t)allowed : wanted;
}

static void detach(struct qvfd_job *job)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        if (job->worker)
                job->worker->idle_since_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
        job->phase = QVFD_PHASE_NONE;
        job->worker = NULL;
        job->worker_paused = false;
        if (job->object.service->active_job == job) {
                job->object.service->active_job = NULL;
                qvfd_object_changed(
                                &job->object.service->object, (const char *const[]){ "ActiveJob", NULL });
        }
        qvfd_pass_soon(job->object.service);
}

void qvfd_train_detach(struct qvfd_job *job)
{
        detach(job);
}

static void on_started(
                void *context, struct qvfd_worker *worker, sd_bus_message *reply, const sd_bus_error *error)
{
        struct qvfd *service = worker->service;
        struct qvfd_job *job = service->active_job;
        _cleanup_json_ struct json_object *info = NULL;

        (void)context;
        if (!job || job->worker != worker || job->phase == QVFD_PHASE_NONE)
                return;
        if (!reply || qvfd_values_from_worker(reply, &info) < 0) {
                if (error && sd_bus_error_has_name(error, QVFD_BUS_NAME ".Error.WorkerFailed"))
                        return; /* its end tells more */
                qvfd_train_failed(job, error ? error->name : NULL, error ? error->message : "no answer");
                return;
        }
        job->total_steps = qvfd_json_u64(info, "total_steps");
        job->memory_planned = qvfd_json_u64(info, "memory");
        job->first_step = job->step = job->checkpoint_step = qvfd_json_u64(info, "resumed_from");
        job->seconds_before = job->seconds_run;
        if (job->phase == QVFD_PHASE_STARTING)
                job->phase = QVFD_PHASE_RUNNING;
        qvfd_cgroup_limit(worker->cgroup, memory_of(job));
        qvfd_job_log(job, "runs on %s: %s; %llu documents, %llu steps, from step %llu",
                        worker->device->object.name, qvfd_json_string(info, "plan"),
                        (unsigned long long)qvfd_json_u64(info, "documents"),
                        (unsigned long long)job->total_steps, (unsigned long long)job->first_step);
        QVFD_CHANGED(job, "TotalSteps", "Step", "MemoryPlanned", "Device", "CheckpointStep", "Started");
        qvfd_job_save(job, NULL);
        qvfd_job_update(job);
        if (job->phase == QVFD_PHASE_STOPPING) /* asked to stop while it started */
                qvfd_train_stop(job);
        qvfd_pass_soon(service);
}

/* What a repeated job goes on from, or what its options name. */
static const char *initial_adapter(struct qvfd_job *job)
{
        struct json_object *go_on = NULL;

        if (job->runs > 0 && (!json_object_object_get_ex(job->options, "continue", &go_on) ||
                                             json_object_get_boolean(go_on)))
                return qvfd_adapter_find(job->object.service, job->adapter) ? job->adapter : "";
        return qvfd_json_string(job->options, "init");
}

struct files {
        int data, held_out, run, init;
};

static void close_files(struct files *files)
{
        const int fds[] = { files->data, files->held_out, files->run, files->init };

        for (unsigned i = 0; i < 4; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
}

static int open_files(struct qvfd_job *job, struct files *files, const char **ret_what)
{
        _cleanup_close_ int folder = qvfd_job_open_folder(job);
        const char *init = initial_adapter(job);
        struct qvfd_adapter *adapter;

        *files = (struct files){ -1, -1, -1, -1 };
        *ret_what = "its data is gone";
        if (folder < 0)
                return folder;
        files->data = openat(folder, "data", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (files->data < 0)
                return -errno;
        if (job->has_held_out) {
                files->held_out = openat(folder, "held-out", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
                if (files->held_out < 0)
                        return -errno;
        }
        *ret_what = "its folder can't be made";
        files->run = qvfd_job_open_run(job);
        if (files->run < 0)
                return files->run;
        if (!init[0])
                return 0;
        *ret_what = "the adapter to start from is gone";
        adapter = qvfd_adapter_find(job->object.service, init);
        if (!adapter)
                return -ENOENT;
        files->init = qvfd_adapter_open_file(adapter);
        return files->init < 0 ? files->init : 0;
}

static int append_options(sd_bus_message *message, struct qvfd_job *job, const struct files *files)
{
        uint64_t memory = memory_of(job);
        _cleanup_json_ struct json_object *options = json_object_new_object();
        int r = sd_bus_message_open_container(message, 'a', "{sv}");

        json_object_object_foreach(job->options, key, value)
        {
                if (strcmp(key, "memory") != 0)
                        json_object_object_add(options, key, json_object_get(value));
        }
        if (r >= 0)
                r = qvfd_values_append(message, QVFD_G_ADAPTER | QVFD_G_RUN | QVFD_G_DATA, options);
        if (r >= 0 && files->held_out >= 0)
                r = qvfd_append_fd(message, "held_out", files->held_out);
        if (r >= 0 && files->init >= 0)
                r = qvfd_append_fd(message, "init", files->init);
        if (r >= 0 && memory > 0)
                r = qvfd_append_u64(message, "memory", memory);
        if (r >= 0)
                r = qvfd_append_double(message, "duty_cycle", duty_cycle(job->object.service));
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static void start(struct qvfd_job *job, struct qvfd_worker *worker)
{
        sd_bus_message *message = NULL;
        struct files files;
        const char *what;
        int r = open_files(job, &files, &what);

        if (r < 0) {
                close_files(&files);
                detach(job);
                if (r == -ENOSPC || r == -EDQUOT)
                        qvfd_job_wait(job, 60, "disk", "the disk is full");
                else
                        qvfd_job_end(job, QVFD_FAILED, "data", what);
                return;
        }
        job->phase = QVFD_PHASE_STARTING;
        job->worker = worker;
        worker->was_useful = true;
        qvfd_job_set_text(&job->device, worker->device->object.name);
        if (job->started_us == 0 || job->step == 0)
                job->started_us = qvfd_wall_clock_us();
        r = qvfd_worker_message(worker, "Train", &message);
        if (r >= 0)
                r = sd_bus_message_append(message, "shh", job->object.name, files.data, files.run);
        if (r >= 0)
                r = append_options(message, job, &files);
        if (r < 0) {
                sd_bus_message_unref(message);
                message = NULL;
        }
        qvfd_worker_call(worker, message, on_started, NULL);
        close_files(&files);
        qvfd_job_update(job);
}

/* The device that a job names, where its model lies on another one: that one goes when nobody uses it. */
static bool lies_elsewhere(const struct qvfd_job *job, const struct qvfd_worker *worker)
{
        const char *device = qvfd_json_string(job->options, "device"),
                   *backend = qvfd_json_string(job->options, "backend");

        return (device[0] && strcmp(device, worker->device->object.name) != 0) ||
               (backend[0] && strcmp(backend, worker->device->backend) != 0);
}

void qvfd_train_advance(struct qvfd_job *job)
{
        struct qvfd *service = job->object.service;
        struct qvfd_model *model = qvfd_object_find(service, QVFD_MODEL, job->model);
        struct qvf_error error = { 0 };
        int r;

        if (job->phase != QVFD_PHASE_LOADING)
                return;
        if (!model) {
                detach(job);
                qvfd_job_end(job, QVFD_FAILED, "data", "its model was removed");
                return;
        }
        if (qvfd_model_ready(model)) {
                if (!lies_elsewhere(job, model->worker))
                        start(job, model->worker);
                else if (model->worker->n_requests == 0 && model->worker->n_calls == 0)
                        qvfd_worker_stop(model->worker);
                return;
        }
        r = qvfd_model_need(model, qvfd_json_string(job->options, "device"),
                        qvfd_json_string(job->options, "backend"), &error);
        if (r == 0)
                return;
        if (r == -EAGAIN) {
                uint64_t now = qvfd_now_us();

                if (model->not_before_us <= now) /* whatever is in the way ends with another look */
                        return;
                detach(job);
                qvfd_job_wait(job, (double)(model->not_before_us - now) / 1e6, "retry", model->reason);
                return;
        }
        detach(job);
        qvfd_job_wait(job, 60, r == -ENODEV ? "no-device" : r == -ENOSPC ? "disk" : "internal", error.text);
}

void qvfd_train_start(struct qvfd_job *job)
{
        struct qvfd *service = job->object.service;

        if (qvfd_job_run_is_over(job)) {
                qvfd_job_adopt(job);
                return;
        }
        service->active_job = job;
        job->phase = QVFD_PHASE_LOADING;
        job->cancelling = false;
        qvfd_object_changed(&service->object, (const char *const[]){ "ActiveJob", "JobsQueued", NULL });
        qvfd_train_advance(job);
        qvfd_job_update(job);
}

static void on_paused(
                void *context, struct qvfd_worker *worker, sd_bus_message *reply, const sd_bus_error *error)
{
        uint64_t asked_us = *(uint64_t *)context;

        (void)error;
        free(context);
        if (reply)
                qvfd_samples_add(&worker->service->statistics.pause_ms,
                                (double)(qvfd_now_us() - asked_us) / 1000);
}

void qvfd_train_pause(struct qvfd_job *job)
{
        uint64_t *asked_us;
        sd_bus_message *message = NULL;

        if (job->phase != QVFD_PHASE_RUNNING || job->worker_paused)
                return;
        asked_us = malloc(sizeof(*asked_us));
        if (!asked_us)
                return;
        *asked_us = job->paused_since_us = qvfd_now_us();
        job->worker_paused = true;
        if (qvfd_worker_message(job->worker, "PauseTraining", &message) < 0)
                message = NULL;
        qvfd_worker_call(job->worker, message, on_paused, asked_us);
        qvfd_job_update(job);
}

void qvfd_train_resume(struct qvfd_job *job)
{
        if (job->phase != QVFD_PHASE_RUNNING || !job->worker_paused)
                return;
        job->worker_paused = false;
        qvfd_worker_tell(job->worker, "ResumeTraining");
        qvfd_job_update(job);
}

static void on_stopped(
                void *context, struct qvfd_worker *worker, sd_bus_message *reply, const sd_bus_error *error)
{
        (void)context;
        (void)worker;
        (void)reply;
        (void)error; /* TrainEnded, or the worker's end, says what became of it */
}

void qvfd_train_stop(struct qvfd_job *job)
{
        enum qvfd_phase phase = job->phase;
        sd_bus_message *message = NULL;

        if (phase == QVFD_PHASE_LOADING) {
                detach(job);
                qvfd_job_update(job);
                return;
        }
        if (phase == QVFD_PHASE_NONE || (phase == QVFD_PHASE_STOPPING && job->total_steps == 0))
                return;
        job->phase = QVFD_PHASE_STOPPING;
        if (phase == QVFD_PHASE_STARTING) /* told as soon as it has begun */
                return;
        if (qvfd_worker_message(job->worker, "StopTraining", &message) >= 0 &&
                        sd_bus_message_append(message, "b", job->cancelling && !job->keep ? 0 : 1) >= 0)
                qvfd_worker_call(job->worker, sd_bus_message_ref(message), on_stopped, NULL);
        sd_bus_message_unref(message);
        qvfd_job_update(job);
}
