/* SPDX-License-Identifier: Apache-2.0 */
/* Runs training steps: rows of packed documents in, loss and a better adapter out. Knows nothing of files: see
 * job.h for a whole training run. */
#ifndef QVF_ENGINE_TRAINING_TRAINER_H
#define QVF_ENGINE_TRAINING_TRAINER_H

#include "engine/training/train_network.h"

struct qvf_trainer_plan {
        uint32_t rows;              /* of one run: a micro-batch of packed tokens */
        uint32_t outputs;           /* most rows of them where the loss looks */
        uint32_t recomputed_layers; /* see train_network.h */
        uint32_t loss_rows, loss_columns;
        uint32_t recomputed_gates;
        bool halves;
};

struct qvf_trainer_memory { /* bytes, known before anything runs */
        uint64_t model_mapped, model_device, adapter, arena, inputs_outputs, scratch;
};

struct qvf_train_rows { /* a micro-batch */
        uint32_t n_rows, n_outputs;
        const int32_t *ids, *position, *first; /* [n_rows] */
        const int32_t *output_index, *target;  /* [n_outputs] */
};

struct qvf_train_result {
        double loss_sum; /* of n_outputs rows */
        uint32_t n_correct;
};

struct qvf_trainer;

/* The lora outlives the trainer. */
int qvf_trainer_new(struct qvf_lora *lora, const struct qvf_trainer_plan *plan,
                const struct qvf_adamw_options *adamw, struct qvf_trainer **ret_trainer,
                struct qvf_error *error);
struct qvf_trainer *qvf_trainer_free(struct qvf_trainer *trainer);
QVF_DEFINE_CLEANUP(struct qvf_trainer *, qvf_trainer_free)

/* What such a trainer would take, without making one. */
int qvf_trainer_memory(const struct qvf_model *model, const struct qvf_lora_options *lora,
                const struct qvf_trainer_plan *plan, struct qvf_trainer_memory *ret_memory,
                struct qvf_error *error);

/* Adds the gradients of loss_scale times the summed loss. `seed` picks the dropout. */
int qvf_trainer_accumulate(struct qvf_trainer *trainer, const struct qvf_train_rows *rows, float loss_scale,
                uint64_t seed, struct qvf_train_result *ret_result, struct qvf_error *error);
/* The loss alone. */
int qvf_trainer_evaluate(struct qvf_trainer *trainer, const struct qvf_train_rows *rows,
                struct qvf_train_result *ret_result, struct qvf_error *error);
/* AdamW over the accumulated gradients, which are zero afterwards. `clip` 0: no clipping. A norm that is not finite
 * means that nothing was changed but the gradients. Steps count from 1. */
int qvf_trainer_update(struct qvf_trainer *trainer, uint32_t step, float learning_rate, float clip,
                double *ret_gradient_norm, struct qvf_error *error);
/* Forgets the accumulated gradients. */
int qvf_trainer_discard(struct qvf_trainer *trainer, struct qvf_error *error);

#endif
