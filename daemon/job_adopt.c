/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a run: its adapter goes into the store, then the job's record says so, then its files go. A process that
 * dies in between finds the files as they were, and does the rest again; nothing is trained twice. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/adapter.h"
#include "daemon/adapter_work.h"
#include "daemon/job.h"
#include "daemon/model.h"
#include "daemon/qvfd.h"
#include "daemon/train.h"

/* last.gguf is written when the training is over, and the checkpoints go last of all. */
bool qvfd_job_run_is_over(const struct qvfd_job *job)
{
        int folder = qvfd_job_open_run(job);
        DIR *directory = folder < 0 ? NULL : fdopendir(folder);
        bool last = false, best = false, checkpoint = false;
        struct dirent *entry;

        if (!directory)
                return false;
        while ((entry = readdir(directory)) != NULL) {
                last |= strcmp(entry->d_name, "last.gguf") == 0;
                best |= strcmp(entry->d_name, "best.gguf") == 0;
                checkpoint |= strncmp(entry->d_name, "checkpoint", 10) == 0;
        }
        closedir(directory);
        return last && best && !checkpoint;
}

static struct json_object *describe(struct qvfd_job *job)
{
        struct json_object *record = json_object_new_object(), *modules = json_object_new_array();
        static const char *const all[] = { "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up",
                "ffn_down" };
        const char *chosen = qvfd_json_string(job->options, "modules");
        uint64_t rank = qvfd_json_u64(job->options, "rank");

        rank = rank ? rank : 8;
        for (unsigned i = 0; i < 7; i++)
                if (!chosen[0] || strcmp(chosen, "all") == 0 ||
                                (strcmp(chosen, "attention") == 0 && i < 4) || strstr(chosen, all[i]))
                        json_object_array_add(modules, json_object_new_string(all[i]));
        json_object_object_add(record, "modules", modules);
        qvfd_json_set_string(record, "model", job->model);
        qvfd_json_set_string(record, "job", job->object.name);
        qvfd_json_set_string(record, "description", job->title);
        qvfd_json_set_u64(record, "rank", rank);
        qvfd_json_set_number(record, "alpha", qvfd_json_number(job->options, "alpha", 2 * (double)rank));
        qvfd_json_set_number(record, "loss", job->loss);
        qvfd_json_set_number(record, "evaluation_loss",
                        isfinite(job->best_evaluation_loss) ? job->best_evaluation_loss
                                                            : job->evaluation_loss);
        return record;
}

/* The file stays in the run's folder too, by a second name, until the record is written. */
static int store_best(struct qvfd_job *job, struct qvf_error *error)
{
        struct qvfd *service = job->object.service;
        _cleanup_json_ struct json_object *record = describe(job);
        _cleanup_close_ int run = qvfd_job_open_run(job);
        struct qvfd_adapter *adapter = NULL;
        struct qvfd_model *model;
        uint64_t number = 0;
        char name[32];
        int r;

        if (run < 0)
                return qvf_error_set(error, run, "its folder can't be opened: %s", strerror(-run));
        if (getrandom(&number, sizeof(number), 0) < 0)
                return qvf_error_set(error, -errno, "no random number");
        snprintf(name, sizeof(name), "%016llx", (unsigned long long)number);
        if (linkat(run, "best.gguf", service->store.scratch, name, 0) < 0)
                return qvf_error_set(error, -errno, "its adapter can't be stored: %s", strerror(errno));
        r = qvfd_adapter_put(service, job->adapter, service->store.scratch, name, record, &adapter, error);
        if (r < 0) {
                unlinkat(service->store.scratch, name, 0);
                return r;
        }
        /* rename() between two names of one file does nothing: the name is still there then. */
        unlinkat(service->store.scratch, name, 0);
        model = qvfd_object_find(service, QVFD_MODEL, job->model);
        if (model && qvfd_model_ready(model))
                qvfd_adapter_describe(adapter, model->worker);
        return 0;
}

void qvfd_job_keep_best(struct qvfd_job *job)
{
        struct qvf_error error = { 0 };

        if (store_best(job, &error) < 0)
                qvfd_job_log(job, "there is no adapter to keep yet: %s", error.text);
        else
                qvfd_job_log(job, "the best adapter so far is kept as %s", job->adapter);
}

static void release_followers(struct qvfd_job *job)
{
        QVFD_EACH(struct qvfd_job, other, job->object.service, QVFD_JOB)
        if (other->fate == QVFD_OPEN && strcmp(other->after, job->object.name) == 0) {
                other->after_done = true;
                qvfd_job_save(other, NULL);
        }
}

static void run_again(struct qvfd_job *job)
{
        struct qvf_error error = { 0 };
        uint64_t now = qvfd_wall_clock_us();

        job->not_before_us = qvfd_repeat_next(job->repeat, now);
        job->finished_us = now;
        job->wait_code = "time";
        qvfd_job_set_text(&job->wait_reason, "waits for its next run");
        job->step = job->tokens = job->checkpoint_step = 0;
        job->seconds_run = job->seconds_before = 0;
        if (qvfd_job_save(job, &error) < 0) {
                job->runs--;
                qvfd_job_wait(job, 60, "disk", error.text);
                return;
        }
        qvfd_job_tidy(job);
        qvfd_job_update(job);
        QVFD_CHANGED(job, "Finished", "Runs", "NotBefore");
        qvfd_job_emit_ended(job, "finished", "the next run follows");
        qvfd_pass_soon(job->object.service);
}

/* A process that died after the last step took what it knew of it along; the metrics have it still. */
static void recall(struct qvfd_job *job)
{
        _cleanup_close_ int run = qvfd_job_open_run(job), fd = -1;
        char tail[4097], *line, *rest;
        struct stat status;
        ssize_t n;

        if (run >= 0)
                fd = openat(run, "metrics.jsonl", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &status) < 0)
                return;
        n = pread(fd, tail, sizeof(tail) - 1, status.st_size > 4096 ? status.st_size - 4096 : 0);
        if (n <= 0)
                return;
        tail[n] = 0;
        for (line = strtok_r(tail, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
                _cleanup_json_ struct json_object *values = json_tokener_parse(line);

                if (!json_object_is_type(values, json_type_object) ||
                                qvfd_json_u64(values, "step") < job->step)
                        continue;
                job->step = qvfd_json_u64(values, "step");
                job->epoch = qvfd_json_number(values, "epoch", job->epoch);
                job->loss = qvfd_json_number(values, "loss", job->loss);
                job->accuracy = qvfd_json_number(values, "accuracy", job->accuracy);
                job->evaluation_loss = qvfd_json_number(values, "evaluation_loss", job->evaluation_loss);
        }
}

void qvfd_job_adopt(struct qvfd_job *job)
{
        struct qvf_error error = { 0 };
        int r;

        recall(job);
        r = store_best(job, &error);

        if (r < 0) {
                qvfd_job_wait(job, 60, "disk", error.text);
                return;
        }
        job->seconds_left = 0;
        job->runs++;
        job->object.service->statistics.jobs_finished++;
        qvfd_job_log(job, "run %u is finished: step %llu, loss %.4f", job->runs,
                        (unsigned long long)job->step, job->loss);
        if (job->repeat[0] && !job->cancelling) {
                release_followers(job);
                run_again(job);
                return;
        }
        qvfd_job_end(job, QVFD_FINISHED, job->stopped_early ? "early-stop" : "",
                        job->stopped_early ? "stopped early: held-out loss no longer fell" : "");
        if (job->fate == QVFD_OPEN)
                job->runs--; /* it could not be written down */
        else
                release_followers(job);
}
