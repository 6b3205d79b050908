/* SPDX-License-Identifier: Apache-2.0 */
/* A base model, brought to one device: its weights as values that programs read, its tokenizer and template.
 */
#ifndef QVF_ENGINE_MODEL_MODEL_H
#define QVF_ENGINE_MODEL_MODEL_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "engine/files/model_info.h"
#include "engine/files/ternary.h"
#include "engine/model/compute.h"
#include "engine/template/chat_template.h"
#include "engine/tokenizer/tokenizer.h"

/* The matrices of a layer that LoRA may adapt. */
enum qvf_module {
        QVF_ATTN_Q,
        QVF_ATTN_K,
        QVF_ATTN_V,
        QVF_ATTN_OUTPUT,
        QVF_FFN_GATE,
        QVF_FFN_UP,
        QVF_FFN_DOWN,
        QVF_MODULES
};

const char *qvf_module_name(enum qvf_module module); /* as in tensor names: "attn_q" */

struct qvf_linear {
        struct qvf_value weight;
        uint32_t inputs, outputs;
        bool ternary; /* quantise the input and use MATMUL_TERNARY; else MATMUL */
        float scale;  /* of a dense weight's output; a ternary one has it in weight.scale */
};

struct qvf_layer {
        struct qvf_value attn_norm, attn_sub_norm, ffn_norm,
                        ffn_sub_norm; /* sub-norms: see info->sub_norms */
        struct qvf_linear linear[QVF_MODULES];
};

struct qvf_model {
        struct qvf_compute compute;
        struct qvf_gguf *gguf;
        struct qvf_model_info *info;
        struct qvf_tokenizer *tokenizer;
        struct qvf_chat_template *chat_template; /* NULL: the file has none */
        enum qvf_i2s_order i2s_order;
        struct qvf_layer *layers;
        struct qvf_value embedding, output_norm, head, rope_frequency;
        float head_scale, rope_magnitude;
        struct qvf_buffer **buffers;
        uint32_t n_buffers, buffers_capacity;
        struct qvf_weight_cache *weight_cache; /* NULL: nothing is read from one */
        uint64_t mapped_bytes; /* of the model's file and its cache file that are used as they stand */
        uint64_t device_bytes; /* what was made beside them: packed, recovered and converted weights */
};

struct qvf_model_options {
        enum qvf_i2s_order i2s_order;
        /* Folder for weights in other forms than the file's, so that they are made once; a descriptor that is the
         * caller's and may be closed afterwards. -1: they are made in every load. See weight_cache.h. */
        int cache_folder;
};
#define QVF_MODEL_OPTIONS_DEFAULT                                                                           \
        {                                                                                                   \
                .i2s_order = QVF_I2S_AUTO, .cache_folder = -1                                               \
        }

/* Takes over `gguf`, also when it fails. The compute device must outlive the model. options NULL: the defaults. */
int qvf_model_new(struct qvf_gguf *gguf, const struct qvf_compute *compute,
                const struct qvf_model_options *options, struct qvf_model **ret_model,
                struct qvf_error *error);
int qvf_model_open(const char *path, const struct qvf_compute *compute,
                const struct qvf_model_options *options, struct qvf_model **ret_model,
                struct qvf_error *error);
struct qvf_model *qvf_model_free(struct qvf_model *model);
QVF_DEFINE_CLEANUP(struct qvf_model *, qvf_model_free)

/* Gives the output head another number format, as a copy of its own; contexts that exist keep the one before. */
int qvf_model_convert_head(struct qvf_model *model, enum qvf_dtype dtype, struct qvf_error *error);

/* The chat as tokens, through the model's template or the plain one (said so in the log, once): the same tokens that
 * training on such a chat sees. Special tokens are made by the template alone: "<|eot_id|>" in a message stays text.
 * *ret_ids is the caller's to free. */
int qvf_model_chat(struct qvf_model *model, const struct qvf_chat_message *messages, size_t n_messages,
                bool add_generation_prompt, int32_t **ret_ids, size_t *ret_count, struct qvf_error *error);

#endif
