/* SPDX-License-Identifier: Apache-2.0 */
/* A LoRA adapter, brought to the device of its base model. Its files: see engine/adapters. */
#ifndef QVF_ENGINE_MODEL_ADAPTER_H
#define QVF_ENGINE_MODEL_ADAPTER_H

#include "engine/model/model.h"

#define QVF_ADAPTER_RANK_MOST 4096u

struct qvf_adapter_pair {
        struct qvf_value a, b; /* [rank, inputs] and [outputs, rank]; rank 0: this matrix is not adapted */
        uint32_t rank;
        float scale; /* of B·A, before the user's */
};

struct qvf_adapter {
        const struct qvf_model *model;
        struct qvf_adapter_pair *pairs; /* [layer * QVF_MODULES + module] */
        struct qvf_buffer *buffer;
        uint64_t bytes;
        uint64_t serial; /* no two adapters of a process have the same */
        float alpha;     /* as in the file (one of them, where they differ); 0: none */
};

/* One that adapts nothing yet. */
int qvf_adapter_new_empty(const struct qvf_model *model, struct qvf_adapter **ret_adapter);
/* Checks the file against the model: architecture, names, shapes. The file is not needed afterwards. */
int qvf_adapter_new(const struct qvf_model *model, const struct qvf_gguf *gguf,
                struct qvf_adapter **ret_adapter, struct qvf_error *error);
struct qvf_adapter_file;
int qvf_adapter_new_from_file(const struct qvf_model *model, const struct qvf_adapter_file *file,
                struct qvf_adapter **ret_adapter, struct qvf_error *error);
/* A GGUF file or a PEFT folder. */
int qvf_adapter_open(const struct qvf_model *model, const char *path, struct qvf_adapter **ret_adapter,
                struct qvf_error *error);
struct qvf_adapter *qvf_adapter_free(struct qvf_adapter *adapter);
QVF_DEFINE_CLEANUP(struct qvf_adapter *, qvf_adapter_free)

#endif
