/* SPDX-License-Identifier: Apache-2.0 */
/* The training job that this process has, at most one. */
#ifndef QVF_WORKER_JOB_H
#define QVF_WORKER_JOB_H

#include "engine/training/job.h"
#include "engine/training/train_plan.h"
#include "worker/data.h"

struct worker_job {
        char *name;
        int folder;
        struct worker_data data;
        struct qvf_lora_options lora_options;
        struct qvf_train_options options;
        struct qvf_train_choice choice;
        struct qvf_lora *lora;
        struct qvf_train_job *run;
        double duty_cycle, seconds;
        uint64_t memory_before; /* the process' limit without the job */
        uint64_t resumed_us;    /* since when it computes */
        uint64_t rest_until_us; /* 0: it has not begun to rest */
        uint64_t checkpoint_step, told_us, tokens_told;
        double tokens_per_second;    /* computed ones, as of late */
        bool paused, stopping, keep; /* keep: with a checkpoint */
        struct worker_command *stop; /* to be replied to */
};

/* What a run would be: the plan within the memory that there is. */
int worker_job_plan(struct worker_engine *engine, const struct train_options *options,
                const struct worker_data *data, struct qvf_lora_options *ret_lora,
                struct qvf_train_choice *ret_choice, struct qvf_error *error);
void worker_job_options(const struct train_options *options, struct worker_job *job);
/* Frees it, and what it was given. */
struct worker_job *worker_job_free(struct worker_job *job);
QVF_DEFINE_CLEANUP(struct worker_job *, worker_job_free)

#endif
