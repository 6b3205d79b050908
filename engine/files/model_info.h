/* SPDX-License-Identifier: Apache-2.0 */
/* What a model file says about its model: hyper-parameters from the keys, and every tensor found, with its
 * shape checked against them. */
#ifndef QVF_ENGINE_FILES_MODEL_INFO_H
#define QVF_ENGINE_FILES_MODEL_INFO_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "engine/files/gguf.h"

#define QVF_MODEL_LAYERS_MOST 512
#define QVF_MODEL_DIM_MOST 65536
#define QVF_MODEL_FFN_MOST (4 * QVF_MODEL_DIM_MOST)
#define QVF_MODEL_HEADS_MOST 1024
#define QVF_MODEL_HEAD_DIM_MOST 1024
#define QVF_MODEL_VOCABULARY_MOST (1 << 20)
#define QVF_MODEL_CONTEXT_MOST (1 << 24)

enum qvf_architecture {
        QVF_ARCHITECTURE_BITNET,      /* SiLU, sub-norms */
        QVF_ARCHITECTURE_BITNET_B158, /* ReLU², sub-norms */
        QVF_ARCHITECTURE_BITNET_25,   /* the same under bitnet.cpp's other name */
        QVF_ARCHITECTURE_LLAMA,       /* SiLU, no sub-norms */
};

enum qvf_activation { QVF_ACTIVATION_SILU, QVF_ACTIVATION_RELU2 };

enum qvf_rope_pairing {
        QVF_ROPE_NEOX,        /* element i turns with i + rope_dims/2 */
        QVF_ROPE_INTERLEAVED, /* element 2i turns with 2i + 1 */
};

enum qvf_rope_scaling { QVF_ROPE_SCALING_NONE, QVF_ROPE_SCALING_LINEAR, QVF_ROPE_SCALING_YARN };

/* A matrix, ne = [inputs, outputs], and the multiplier of its output. */
struct qvf_model_weight {
        const struct qvf_gguf_tensor *tensor;
        float scale;    /* value of the `.scale` tensor beside it; 1 where there is none */
        bool has_scale; /* whether there is one */
};

struct qvf_model_layer {
        const struct qvf_gguf_tensor *attn_norm;
        const struct qvf_gguf_tensor *attn_sub_norm; /* NULL without sub-norms */
        const struct qvf_gguf_tensor *ffn_norm;
        const struct qvf_gguf_tensor *ffn_sub_norm; /* NULL without sub-norms */
        struct qvf_model_weight attn_q, attn_k, attn_v, attn_output;
        struct qvf_model_weight ffn_gate, ffn_up, ffn_down;
};

struct qvf_model_info {
        const struct qvf_gguf *gguf; /* the caller's; must outlive this */
        enum qvf_architecture architecture;
        const char *architecture_name; /* as in the file */
        enum qvf_activation activation;
        bool sub_norms;
        bool tied; /* the embedding is the output head */

        uint32_t n_layers;
        uint32_t dim;
        uint32_t ffn_dim;
        uint32_t n_heads;
        uint32_t n_kv_heads;
        uint32_t head_dim;
        uint32_t vocabulary_size; /* rows of the embedding */
        uint32_t context_length;  /* what it was trained for */
        float norm_epsilon;

        enum qvf_rope_pairing rope_pairing;
        enum qvf_rope_scaling rope_scaling;
        uint32_t rope_dims; /* the first elements of a head that turn; even, at most head_dim */
        float rope_base;
        float rope_factor; /* 1 without scaling */
        float rope_attn_factor;
        uint32_t rope_original_context; /* before scaling */
        float rope_yarn_extrapolation, rope_yarn_beta_fast, rope_yarn_beta_slow;

        const struct qvf_gguf_tensor *token_embd;  /* [dim, vocabulary] */
        const struct qvf_gguf_tensor *output_norm; /* [dim] */
        struct qvf_model_weight output;            /* [dim, vocabulary]; .tensor NULL where tied */
        const struct qvf_gguf_tensor *rope_freqs; /* [rope_dims / 2]: divisors of the frequencies; or NULL */
        struct qvf_model_layer *layers;

        enum qvf_dtype linear_dtype; /* of most linear weights (by count) */
        bool linear_mixed;           /* not all are of linear_dtype */
        bool has_scales;             /* any `.scale` tensor */
        uint64_t n_parameters;       /* elements of all tensors of the model */
        uint64_t n_linear_parameters;
        uint64_t linear_bytes, embedding_bytes, output_bytes; /* in the file; output 0 where tied */
        uint32_t n_unused_tensors;                            /* in the file, but no part of the model */
        const char *unused_tensor;                            /* the first of them, or NULL */
};

int qvf_model_info_new(
                const struct qvf_gguf *gguf, struct qvf_model_info **ret_info, struct qvf_error *error);
struct qvf_model_info *qvf_model_info_free(struct qvf_model_info *info);
QVF_DEFINE_CLEANUP(struct qvf_model_info *, qvf_model_info_free)

/* Angle of pair i at position p: p * ret_inverse[i], for rope_dims / 2 pairs. *ret_magnitude multiplies the
 * sine and cosine (1 but for yarn). */
int qvf_rope_frequencies(const struct qvf_model_info *info, float *ret_inverse, float *ret_magnitude);

#endif
