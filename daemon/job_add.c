/* SPDX-License-Identifier: Apache-2.0 */
/* A job comes in: its options are checked, its data copied, and then its folder appears as a whole. */
#include "daemon/job_add.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/adapter.h"
#include "daemon/copy.h"
#include "daemon/failure.h"
#include "daemon/file_work.h"
#include "daemon/job.h"
#include "daemon/model.h"
#include "daemon/qvfd.h"

static int check_limits(struct qvfd_call *call)
{
        const struct qvf_clients_config *limits = &call->service->config.clients;
        unsigned all, own;

        qvfd_jobs_counts(call->service, &all, &own, call->client->uid);
        if (own >= limits->jobs)
                return qvfd_fail(call->error, "LimitReached",
                                "clients.jobs: this user has %u jobs that have not ended", own);
        if (all >= limits->jobs_all)
                return qvfd_fail(call->error, "LimitReached", "clients.jobs_all: %u jobs have not ended",
                                all);
        return 0;
}

/* What is more than the range of a value: names that must exist, combinations. */
static int check_options(struct qvfd_call *call, struct json_object *options, const char *model)
{
        const char *after = qvfd_json_string(options, "after"), *init = qvfd_json_string(options, "init"),
                   *adapter = qvfd_json_string(options, "adapter"),
                   *repeat = qvfd_json_string(options, "repeat");
        struct qvfd_adapter *from;

        if (adapter[0] && !qvfd_name_valid(adapter))
                return qvfd_fail(
                                call->error, "InvalidArgument", "option adapter: %.64s is no name", adapter);
        if (after[0] && !qvfd_job_find(call->service, after))
                return qvfd_fail(call->error, "NotFound", "option after: there is no job %.64s", after);
        if (repeat[0] && qvfd_repeat_next(repeat, qvfd_wall_clock_us()) == 0)
                return qvfd_fail(call->error, "InvalidArgument",
                                "option repeat: %.16s is none of hourly, daily, nightly, weekly, or an "
                                "interval like 6h, of "
                                "10min or more",
                                repeat);
        if (!init[0])
                return 0;
        from = qvfd_adapter_find(call->service, init);
        if (!from)
                return qvfd_fail(call->error, "NotFound", "option init: there is no adapter %.64s", init);
        return strcmp(from->model, model) == 0 ? 0
                                               : qvfd_fail(call->error, "InvalidArgument",
                                                                 "option init: %s belongs to the model %s",
                                                                 init, from->model);
}

/* All of the folder under a name that nobody looks for, then the rename. */
static int make_folder(struct qvfd_work *work, const char *id, struct qvf_error *error)
{
        struct qvfd_store *store = &work->service->store;
        _cleanup_close_ int folder = -1;
        char temporary[32];
        int r;

        snprintf(temporary, sizeof(temporary), ".new-%s", id);
        qvfd_remove_all(store->jobs, temporary);
        if (mkdirat(store->jobs, temporary, 0700) < 0)
                return qvf_error_set(error, -errno, "no folder can be made: %s", strerror(errno));
        folder = openat(store->jobs, temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        r = folder < 0 ? -errno : qvfd_store_move(store->scratch, work->file[0].name, folder, "data");
        if (r == 0)
                work->file[0].name[0] = 0;
        if (r == 0 && work->file[1].name[0]) {
                r = qvfd_store_move(store->scratch, work->file[1].name, folder, "held-out");
                if (r == 0)
                        work->file[1].name[0] = 0;
        }
        return r < 0 ? qvf_error_set(error, r, "the data can't be stored: %s", strerror(-r)) : 0;
}

static void fill(struct qvfd_job *job, struct qvfd_work *work, const char *id)
{
        struct json_object *options = work->values.json;
        const char *adapter = qvfd_json_string(options, "adapter"),
                   *title = qvfd_json_string(options, "name");
        char name[100];

        snprintf(name, sizeof(name), "%.40s-%s", work->model, id);
        qvfd_job_set_text(&job->model, work->model);
        qvfd_job_set_text(&job->adapter, adapter[0] ? adapter : name);
        qvfd_job_set_text(&job->title, title[0] ? title : job->adapter);
        qvfd_job_set_text(&job->after, qvfd_json_string(options, "after"));
        qvfd_job_set_text(&job->repeat, qvfd_json_string(options, "repeat"));
        json_object_put(job->options);
        job->options = json_object_get(options);
        job->owner = work->uid;
        job->priority = (int32_t)qvfd_json_number(options, "priority", 0);
        job->paused = qvfd_json_bool(options, "paused");
        job->has_held_out = qvfd_values_fd(&work->values, "held_out") >= 0;
        job->created_us = qvfd_wall_clock_us();
        job->not_before_us = qvfd_json_u64(options, "start_at");
        qvfd_job_set_text(&job->wait_reason, "waits for its time");
        if (job->after[0]) {
                struct qvfd_job *before = qvfd_job_find(work->service, job->after);

                job->after_done = before && before->fate == QVFD_FINISHED;
        }
}

static int publish(struct qvfd_work *work, const char *id, struct qvfd_job *job, struct qvf_error *error)
{
        int jobs = work->service->store.jobs, r;
        char temporary[32];

        snprintf(temporary, sizeof(temporary), ".new-%s", id);
        /* The record is written under the final name's folder only after the rename, so it is written by a job whose
         * name is the temporary one. */
        free(job->object.name);
        job->object.name = strdup(temporary);
        r = job->object.name ? qvfd_job_save(job, error) : -ENOMEM;
        free(job->object.name);
        job->object.name = strdup(id);
        if (r < 0 || !job->object.name)
                return r < 0 ? r : -ENOMEM;
        r = qvfd_store_move(jobs, temporary, jobs, id);
        return r < 0 ? qvf_error_set(error, r, "the job can't be stored: %s", strerror(-r)) : 0;
}

static void begin(struct qvfd_work *work)
{
        struct qvfd *service = work->service;
        struct qvf_error words = { 0 };
        sd_bus_error error = SD_BUS_ERROR_NULL;
        struct qvfd_job *job = NULL;
        char id[24];
        int r = qvfd_job_next_id(service, id, &words);

        if (r == 0)
                r = make_folder(work, id, &words);
        if (r == 0)
                r = qvfd_job_new(service, id, &job);
        if (r == 0) {
                fill(job, work, id);
                r = publish(work, id, job, &words);
        }
        if (r < 0 || !job) {
                if (job)
                        qvfd_job_free(job);
                qvfd_fail_from(&error, r, &words);
                qvfd_work_fail(work, error.name, error.message);
                sd_bus_error_free(&error);
                return;
        }
        qvfd_job_log(job, "queued by user %u for the model %s", job->owner, job->model);
        qvfd_job_update(job);
        qvfd_object_announce(&job->object);
        qvfd_object_changed(&service->object, (const char *const[]){ "JobsQueued", NULL });
        qvfd_work_return_path(work, job->object.path);
        qvfd_watch_decide(service, true);
        qvfd_pass_soon(service);
}

int qvfd_job_add(struct qvfd_call *call)
{
        struct qvfd_model *model;
        struct qvfd_work *work;
        const char *name;
        int file, r = sd_bus_message_read(call->message, "sh", &name, &file);

        if (r < 0)
                return r;
        model = qvfd_model_find(call->service, name);
        if (!model)
                return qvfd_fail(call->error, "NotFound",
                                name[0] ? "there is no model %.64s" : "there is no model yet%s", name);
        r = check_limits(call);
        if (r >= 0)
                r = qvfd_work_new(call, &work);
        if (r < 0)
                return r;
        r = qvfd_values_read(call->message, QVFD_G_JOB | QVFD_G_ADAPTER | QVFD_G_RUN | QVFD_G_DATA,
                        &work->values, call->error);
        if (r >= 0)
                r = check_options(call, work->values.json, model->object.name);
        if (r >= 0)
                r = qvfd_work_add_data(work, file, call->error);
        if (r < 0) {
                qvfd_work_free(work);
                return r;
        }
        snprintf(work->model, sizeof(work->model), "%s", model->object.name);
        work->most = (uint64_t)call->service->config.store.data_size_most_bytes;
        work->begin = begin;
        return qvfd_work_start(call, work);
}
