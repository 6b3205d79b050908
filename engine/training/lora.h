/* SPDX-License-Identifier: Apache-2.0 */
/* A LoRA adapter that is being trained: its numbers, their gradients and the optimizer's state, each one flat run on
 * the device, all in the same order. */
#ifndef QVF_ENGINE_TRAINING_LORA_H
#define QVF_ENGINE_TRAINING_LORA_H

#include "engine/model/adapter.h"

enum qvf_optimizer_state { QVF_STATE_F32, QVF_STATE_8BIT };

struct qvf_lora_options {
        uint32_t rank[QVF_MODULES]; /* 0: this kind of matrix is left alone */
        float alpha;
        bool rank_stabilised; /* scale = alpha / sqrt(rank), else alpha / rank */
        float dropout;        /* of the input of A */
        uint64_t seed;
        enum qvf_optimizer_state state;
};

struct qvf_lora_pair {
        struct qvf_value a, b, a_gradient, b_gradient;
        uint32_t rank; /* 0: not adapted */
        float scale;
};

struct qvf_lora {
        const struct qvf_model *model;
        struct qvf_lora_options options;
        struct qvf_lora_pair *pairs; /* [layer * QVF_MODULES + module] */
        uint64_t n_parameters;
        struct qvf_value parameters, gradients, m, v; /* flat */
        struct qvf_value m_scale, v_scale;            /* rows 0 with f32 state */
        struct qvf_value norm;                        /* [1,1]: the gradients' squared norm */
        struct qvf_buffer *buffers[7];
        uint64_t bytes; /* of all of them */
};

/* Checks the options (-EINVAL names the field). */
int qvf_lora_new(const struct qvf_model *model, const struct qvf_lora_options *options,
                struct qvf_lora **ret_lora, struct qvf_error *error);
struct qvf_lora *qvf_lora_free(struct qvf_lora *lora);
QVF_DEFINE_CLEANUP(struct qvf_lora *, qvf_lora_free)

/* Bytes that qvf_lora_new() would take on the device. */
int qvf_lora_bytes(const struct qvf_model *model, const struct qvf_lora_options *options,
                uint64_t *ret_bytes, struct qvf_error *error);

/* The same without memory: values with shapes but no buffers, for planning. The caller frees ret_lora->pairs. */
int qvf_lora_describe(const struct qvf_model *model, const struct qvf_lora_options *options,
                struct qvf_lora *ret_lora, struct qvf_error *error);

/* A gets numbers from the seed, uniform in ±1/sqrt(inputs), each matrix a stream of its own; B is zero. */
int qvf_lora_init(struct qvf_lora *lora, struct qvf_error *error);
/* Takes the numbers of an adapter; ranks and modules must be those of the options. */
int qvf_lora_load(struct qvf_lora *lora, const struct qvf_gguf *gguf, struct qvf_error *error);
struct qvf_adapter_file;
int qvf_lora_load_file(struct qvf_lora *lora, const struct qvf_adapter_file *file, struct qvf_error *error);
/* A copy of an adapter's numbers, scaled by `scale`: what evaluation and further training start from. Its matrices must
 * have one rank per kind. */
int qvf_lora_from_adapter(const struct qvf_adapter *adapter, float scale, struct qvf_lora **ret_lora,
                struct qvf_error *error);

/* The same numbers as an adapter for inference: it sees every step at once, and must go before the lora. */
int qvf_lora_adapter(struct qvf_lora *lora, struct qvf_adapter **ret_adapter, struct qvf_error *error);

#endif
