/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of a training step: forward, loss, and the way back to the gradients of a LoRA adapter. */
#ifndef QVF_ENGINE_TRAINING_TRAIN_NETWORK_H
#define QVF_ENGINE_TRAINING_TRAIN_NETWORK_H

#include "engine/program/builder.h"
#include "engine/training/lora.h"

struct qvf_train_inputs {               /* filled by the host before a run, all I32 */
        struct qvf_value ids, position; /* [rows, 1] */
        struct qvf_value first;         /* [rows, 1]: the first row of the same document */
        struct qvf_value output_index;  /* [outputs, 1]: rows where the loss looks */
        struct qvf_value target;        /* [outputs, 1]: the token that comes next there */
};

struct qvf_train_network {
        const struct qvf_lora *lora;
        struct qvf_train_inputs inputs;
        struct qvf_value loss; /* [outputs, 1] */
        struct qvf_value best; /* [outputs, 1] I32: the most probable token; rows 0: not wanted */
        uint32_t rows, outputs;
        uint32_t loss_rows, loss_columns; /* logits that stand in memory at once */
        uint32_t recomputed_layers; /* of the first layers only the input is kept; the rest is computed again */
        uint32_t recomputed_gates; /* of the first layers what the gate reads is not kept */
        bool halves;               /* what is kept within a layer is kept as f16 */
        bool backward;             /* else only the loss (evaluation); no dropout */
};

void qvf_train_network_emit(const struct qvf_train_network *network, struct qvf_builder *builder);

/* The optimizer's step over the sum of gradients, which is zero afterwards. */
struct qvf_adamw_options {
        float beta1, beta2, epsilon, weight_decay;
};
void qvf_train_update_emit(const struct qvf_lora *lora, const struct qvf_adamw_options *options,
                struct qvf_builder *builder);
/* Only the last part of it. */
void qvf_train_discard_emit(const struct qvf_lora *lora, struct qvf_builder *builder);

#endif
