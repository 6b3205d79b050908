/* SPDX-License-Identifier: Apache-2.0 */
/* Training jobs: what is known of them, and their folder jobs/ID/: job.json, log, data, held-out, and run-N/ for each run
 * (checkpoints, metrics.jsonl, best.gguf, last.gguf). What job.json says is true; whatever else lies there follows it. */
#ifndef QVF_DAEMON_JOB_H
#define QVF_DAEMON_JOB_H

#include <json-c/json.h>

#include "common/error.h"
#include "daemon/object.h"
#include "daemon/worker.h"

/* What is done with a worker for it. */
enum qvfd_phase {
        QVFD_PHASE_NONE,
        QVFD_PHASE_LOADING,
        QVFD_PHASE_STARTING,
        QVFD_PHASE_RUNNING,
        QVFD_PHASE_STOPPING
};

/* What is on record. Whether a job that is open waits or runs is seen from the rest. */
enum qvfd_fate { QVFD_OPEN, QVFD_FINISHED, QVFD_FAILED, QVFD_CANCELLED };

struct qvfd_job {
        struct qvfd_object object;
        char *title, *model, *adapter, *after, *repeat;
        struct json_object *options; /* what Train was given, less the descriptors */
        uint32_t owner;
        int32_t priority;
        enum qvfd_fate fate;
        bool paused;     /* by a user */
        bool after_done; /* the job before it has finished */
        bool has_held_out, data_gone;
        uint64_t not_before_us, created_us, started_us, finished_us; /* wall clock */
        uint32_t runs, crashes, n_waits; /* n_waits: times in a row that it had to wait for memory or disk */
        char *device, *last_error;

        const char *state, *reason_code; /* of the interface; not freed */
        char *reason;
        const char *wait_code; /* why not_before_us is in the future: "retry", "disk", "memory", "time" */
        char *wait_reason;

        enum qvfd_phase phase;
        struct qvfd_worker *worker; /* from QVFD_PHASE_STARTING on */
        bool worker_paused, cancelling, keep;
        uint64_t paused_since_us;

        uint64_t step, total_steps, tokens, checkpoint_step, memory_planned, memory_peak;
        uint64_t first_step; /* of this worker's part of the run */
        double epoch, loss, accuracy, evaluation_loss, best_evaluation_loss, learning_rate, gradient_norm,
                        tokens_per_second, seconds_run, seconds_before, seconds_left, energy_joules;
        bool stopped_early;
};

void qvfd_jobs_load(struct qvfd *service);
void qvfd_jobs_free(struct qvfd *service);
struct qvfd_job *qvfd_job_find(struct qvfd *service, const char *id);
bool qvfd_job_has_ended(const struct qvfd_job *job);
bool qvfd_job_is_ready(const struct qvfd_job *job); /* nothing of its own keeps it from running now */

/* A job without a folder yet; `id` is free. */
int qvfd_job_new(struct qvfd *service, const char *id, struct qvfd_job **ret_job);
void qvfd_job_free(struct qvfd_job *job);
/* Writes job.json. */
int qvfd_job_save(struct qvfd_job *job, struct qvf_error *error);
/* An id that no job has had. */
int qvfd_job_next_id(struct qvfd *service, char ret_id[24], struct qvf_error *error);
int qvfd_job_open_folder(const struct qvfd_job *job); /* jobs/ID, or a negative errno */
/* The folder of the run that is due, made where it is missing. */
int qvfd_job_open_run(const struct qvfd_job *job);
void qvfd_job_log(struct qvfd_job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Deletes what an ended job needs no more: its data, checkpoints and adapters. */
void qvfd_job_tidy(struct qvfd_job *job);
/* Deletes it with all its files. */
void qvfd_job_remove(struct qvfd_job *job);
/* When a repeated job is due again after `now_us` (wall clock); 0: the text says nothing of the kind. */
uint64_t qvfd_repeat_next(const char *repeat, uint64_t now_us);

/* Sets state, reason code and reason from all the rest, and tells when they changed. */
void qvfd_job_update(struct qvfd_job *job);
void qvfd_job_set_text(char **text, const char *value);
/* It waits until then. */
void qvfd_job_wait(struct qvfd_job *job, double seconds, const char *code, const char *reason);
/* Ends it: on record first, then for everybody to see. */
void qvfd_job_end(struct qvfd_job *job, enum qvfd_fate fate, const char *code, const char *reason);
/* The run is over and its adapter lies in its folder: stores it, then the record. Also after a restart. */
void qvfd_job_adopt(struct qvfd_job *job);
/* Whether the files of the run that is due say that it is over. */
/* Stores the best adapter so far of a job that is cancelled. */
void qvfd_job_keep_best(struct qvfd_job *job);
bool qvfd_job_run_is_over(const struct qvfd_job *job);

/* Looks at the queue: starts, pauses, resumes, stops. */
void qvfd_jobs_pass(struct qvfd *service);
void qvfd_jobs_counts(struct qvfd *service, unsigned *ret_open, unsigned *ret_of_owner, uint32_t owner);

#endif
