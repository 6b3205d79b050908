/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters as folders of Hugging Face's PEFT: adapter_model.safetensors and adapter_config.json. */
#ifndef QVF_ENGINE_ADAPTERS_PEFT_H
#define QVF_ENGINE_ADAPTERS_PEFT_H

#include "engine/adapters/adapter_file.h"
#include "common/text.h"

#define QVF_PEFT_WEIGHTS "adapter_model.safetensors"
#define QVF_PEFT_CONFIG "adapter_config.json"

/* What must be known of the base model to tell its GGUF file from its Hugging Face module. Where RoPE turns
 * neighbours (llama), the rows of q and k stand in another order: in each head of d rows, row 2i + t of the GGUF file
 * is row t·d/2 + i of the module. */
struct qvf_peft_base {
        char architecture[65];
        uint32_t n_layers; /* 0: not known */
        bool permuted;
        uint32_t n_heads, n_kv_heads, head_dim; /* 0 where not permuted and not known */
        const char *name;                       /* for people, or NULL */
};

void qvf_peft_base_from_model(const struct qvf_model_info *info, struct qvf_peft_base *ret_base);
/* By the name of the architecture alone: -EINVAL for those whose rows are permuted. */
int qvf_peft_base_from_name(
                const char *architecture, struct qvf_peft_base *ret_base, struct qvf_error *error);

int qvf_peft_open(const char *folder, const struct qvf_peft_base *base, struct qvf_adapter_file **ret_file,
                struct qvf_error *error);
/* The descriptors stay the caller's. */
int qvf_peft_open_fds(int weights_fd, int config_fd, const struct qvf_peft_base *base,
                struct qvf_adapter_file **ret_file, struct qvf_error *error);

/* Each file is put in place as a whole, the weights first; the folder is made where it is not there. */
int qvf_peft_save(const struct qvf_adapter_file *file, const struct qvf_peft_base *base, const char *folder,
                struct qvf_error *error);
int qvf_peft_write_weights(const struct qvf_adapter_file *file, const struct qvf_peft_base *base, int fd,
                struct qvf_error *error);

/* Turns the rows of a q or k from one order to the other, in place. -EINVAL where they are no whole heads. */
int qvf_peft_permute(struct qvf_adapter_numbers *b, uint32_t n_heads, bool to_gguf);

#endif
