/* SPDX-License-Identifier: Apache-2.0 */
/* A whole training run: batches of packed sequences, steps, evaluation, early stop, checkpoints. It can be
 * stopped at any instant; opened again over the same folder, it goes on from the last checkpoint, bit by bit. */
#ifndef QVF_ENGINE_TRAINING_JOB_H
#define QVF_ENGINE_TRAINING_JOB_H

#include "engine/data/batch.h"
#include "engine/training/schedule.h"
#include "engine/training/trainer.h"

struct qvf_train_options {
        struct qvf_adamw_options adamw;
        struct qvf_schedule schedule; /* total_steps 0: what epochs make */
        float warmup_ratio;           /* of the total, where schedule.warmup_steps is 0 */
        float clip;                   /* 0: off */
        uint32_t epochs;
        uint64_t max_steps; /* 0: no limit but epochs */
        uint32_t batch_sequences, micro_sequences;
        struct qvf_packing_options packing; /* of the training data */
        uint32_t evaluate_every;            /* steps; 0: at the end of each epoch */
        uint32_t patience;                  /* evaluations without a gain before the run stops; 0: never */
        uint32_t checkpoint_every;          /* steps; 0: every 50 */
        uint64_t seed;
        uint64_t fingerprint; /* of data and all else that a checkpoint must agree with */
};

enum qvf_train_event { QVF_TRAIN_STEPPED, QVF_TRAIN_EVALUATED, QVF_TRAIN_FINISHED };

enum qvf_train_phase {
        QVF_PHASE_DATA,      /* choosing, packing and copying rows */
        QVF_PHASE_GRADIENTS, /* forward and backward: one program, which a device may not be asked to halt in */
        QVF_PHASE_UPDATE,
        QVF_PHASE_EVALUATION,
        QVF_PHASE_FILES, /* checkpoints, adapters, metrics */
        QVF_PHASES
};

struct qvf_train_metrics { /* of the last step */
        uint64_t step, total_steps;
        double epoch;                        /* with its fraction */
        uint64_t tokens, rows, total_tokens; /* with loss, computed; with loss in the whole run */
        double loss, learning_rate, gradient_norm, seconds;
        double accuracy;
        bool skipped;
        uint64_t n_skipped;
        double evaluation_loss, evaluation_accuracy; /* NaN until there was one */
        double best_evaluation_loss;
        uint64_t best_step;
        bool stopped_early;
        double phase_seconds[QVF_PHASES]; /* of all steps since the job was made */
};

struct qvf_train_job;

/* `folder` stays the caller's and gets checkpoints, metrics.jsonl, and the adapters best.gguf and last.gguf. The windows
 * outlive the job; `held_out` may be NULL. The lora has its initial numbers already; they are replaced where the folder holds a checkpoint. */
int qvf_train_job_new(struct qvf_lora *lora, const struct qvf_trainer_plan *plan,
                const struct qvf_train_options *options, const struct qvf_windows *windows,
                const struct qvf_windows *held_out, int folder, struct qvf_train_job **ret_job,
                struct qvf_error *error);
struct qvf_train_job *qvf_train_job_free(struct qvf_train_job *job);
QVF_DEFINE_CLEANUP(struct qvf_train_job *, qvf_train_job_free)

/* The next step or evaluation. After QVF_TRAIN_FINISHED the adapters are in the folder and the checkpoints are gone. */
int qvf_train_job_run(struct qvf_train_job *job, enum qvf_train_event *ret_event, struct qvf_error *error);
const struct qvf_train_metrics *qvf_train_job_metrics(const struct qvf_train_job *job);
/* The step that a checkpoint was found at; 0: a fresh start. */
uint64_t qvf_train_job_resumed_from(const struct qvf_train_job *job);
/* Writes a checkpoint now (before a pause, a suspend, an end by signal); also after a run that was given up
 * (-ECANCELED, see struct qvf_compute_watch), of the step before. */
int qvf_train_job_checkpoint(struct qvf_train_job *job, struct qvf_error *error);

/* Seconds that the forward pass and the loss take for one row, measured once, over the first sequences of the epoch: what
 * is left of QVF_PHASE_GRADIENTS is the way back. */
int qvf_train_job_time_forward(
                struct qvf_train_job *job, double *ret_seconds_per_row, struct qvf_error *error);

struct qvf_train_score {
        double loss, accuracy; /* on average over the tokens that count */
        uint64_t tokens;
};

/* Over all sequences of a packing. */
int qvf_train_evaluate(struct qvf_trainer *trainer, const struct qvf_packing *packing,
                uint32_t micro_sequences, struct qvf_batch *batch, struct qvf_train_score *ret_score,
                struct qvf_error *error);

#endif
