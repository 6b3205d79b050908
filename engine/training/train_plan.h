/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses how a training run uses memory: the fastest plan that stays below a limit. */
#ifndef QVF_ENGINE_TRAINING_TRAIN_PLAN_H
#define QVF_ENGINE_TRAINING_TRAIN_PLAN_H

#include "common/text.h"
#include "engine/training/trainer.h"

struct qvf_train_wish {
        uint32_t context_length;  /* tokens of a packed sequence */
        uint32_t batch_sequences; /* sequences of one optimizer step */
        uint32_t outputs_most;    /* rows with loss that any one sequence has; 0: context_length */
        uint64_t memory_limit;    /* bytes of the whole process; 0: no limit */
        uint64_t process_bytes;   /* what the process holds already beside the model */
        bool small_state_too;     /* where nothing fits, the optimizer's state may be of 8 bits */
};

struct qvf_train_choice {
        struct qvf_trainer_plan plan;
        struct qvf_trainer_memory memory;
        enum qvf_optimizer_state state; /* that of the options, or QVF_STATE_8BIT */
        uint32_t micro_sequences; /* sequences of one run; batch_sequences is a multiple, or the last is shorter */
        uint64_t peak_bytes;    /* of the whole process */
        struct qvf_text reason; /* in words, for people; the caller frees it with qvf_text_exit() */
};

/* -ENOMEM: nothing fits; the error tells the smallest peak and what would make it smaller. */
int qvf_train_plan(const struct qvf_model *model, const struct qvf_lora_options *lora,
                const struct qvf_train_wish *wish, struct qvf_train_choice *ret_choice,
                struct qvf_error *error);

#endif
