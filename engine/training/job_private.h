/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a training run share: job.c runs it, job_store.c keeps it on disk. */
#ifndef QVF_ENGINE_TRAINING_JOB_PRIVATE_H
#define QVF_ENGINE_TRAINING_JOB_PRIVATE_H

#include "engine/training/job.h"

struct train_state { /* all that a resumed run needs beside the numbers of adapter and optimizer */
        uint64_t fingerprint;
        uint64_t step; /* finished ones */
        uint64_t tokens;
        uint64_t n_skipped, evaluated_step, best_step;
        double best_loss;
        uint32_t epoch, sequence; /* what comes next */
        uint32_t skips_in_a_row, evaluations_without_gain;
};

struct qvf_train_job {
        struct qvf_lora *lora;
        struct qvf_trainer *trainer;
        struct qvf_train_options options;
        const struct qvf_windows *windows;
        struct qvf_packing *packing, *held_out; /* of the present epoch; of the evaluation, or NULL */
        uint64_t packed_epoch;
        int folder;
        uint64_t total_steps, resumed_from;
        struct train_state state;
        struct qvf_train_metrics metrics;
        struct qvf_batch batch;
        double phase_start; /* of the phase that runs, in seconds of the monotonic clock */
};

int qvf_train_job_resume(struct qvf_train_job *job, struct qvf_error *error);
int qvf_train_job_remove_checkpoints(struct qvf_train_job *job);
int qvf_train_job_write_adapter(struct qvf_train_job *job, const char *name, struct qvf_error *error);
int qvf_train_job_write_metrics(
                struct qvf_train_job *job, enum qvf_train_event event, struct qvf_error *error);

#endif
