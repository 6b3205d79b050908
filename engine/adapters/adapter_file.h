/* SPDX-License-Identifier: Apache-2.0 */
/* A LoRA adapter as numbers in memory, apart from any device: what files are read into and written from.
 *
 * Its rows are in the order of the base model's GGUF file; where Hugging Face orders them otherwise, they are turned
 * when a PEFT folder is read or written. */
#ifndef QVF_ENGINE_ADAPTERS_ADAPTER_FILE_H
#define QVF_ENGINE_ADAPTERS_ADAPTER_FILE_H

#include "engine/files/mapped_file.h"
#include "engine/model/adapter.h"

#define QVF_ADAPTER_ALPHA_MOST 1e6f
#define QVF_ADAPTER_FILE_BYTES_MOST ((uint64_t)16 << 30)

struct qvf_adapter_numbers {    /* one of the two matrices of a pair */
        uint32_t rows, columns; /* rows 0: absent */
        enum qvf_dtype dtype;   /* F32, F16 or BF16 */
        const void *data;       /* row after row; of any alignment */
        void *owned;            /* what data points into where it is this struct's own, else NULL */
};

struct qvf_adapter_matrix {
        uint32_t rank;                   /* 0: not adapted */
        float alpha;                     /* 0: none */
        struct qvf_adapter_numbers a, b; /* [rank, inputs] and [outputs, rank] */
};

struct qvf_adapter_file {
        char *architecture;   /* of the base model: "bitnet" */
        char *name;           /* or NULL */
        bool rank_stabilised; /* scale = alpha / sqrt(rank), else alpha / rank; 1 without alpha */
        uint32_t n_layers;    /* up to the last one that is adapted */
        struct qvf_adapter_matrix *matrices; /* [layer * QVF_MODULES + module] */
        struct qvf_gguf *gguf;               /* what the numbers point into, where this struct owns it */
        struct qvf_mapped_file *mapped;      /* likewise */
};

/* One that adapts nothing yet. */
int qvf_adapter_file_new(const char *architecture, uint32_t n_layers, struct qvf_adapter_file **ret_file);
struct qvf_adapter_file *qvf_adapter_file_free(struct qvf_adapter_file *file);
QVF_DEFINE_CLEANUP(struct qvf_adapter_file *, qvf_adapter_file_free)

/* What B·A is multiplied by, before what the user asks for. */
double qvf_adapter_file_scale(const struct qvf_adapter_file *file, const struct qvf_adapter_matrix *matrix);

/* F32 numbers of this struct's own, all zero; the old ones go. */
int qvf_adapter_numbers_allocate(
                struct qvf_adapter_numbers *numbers, uint32_t rows, uint32_t columns, float **ret_values);
/* `count` of them from element `first`, as floats. */
void qvf_adapter_numbers_read(const struct qvf_adapter_numbers *numbers, uint64_t first, uint64_t count,
                float *ret_values);
uint64_t qvf_adapter_numbers_bytes(const struct qvf_adapter_numbers *numbers);
int qvf_adapter_numbers_copy(
                const struct qvf_adapter_numbers *numbers, struct qvf_adapter_numbers *ret_numbers);

/* Pairs that are whole, ranks that agree, finite numbers, at least one pair. Sets the ranks. */
int qvf_adapter_file_check(struct qvf_adapter_file *file, struct qvf_error *error);
/* Architecture, layers and shapes against a base model. */
int qvf_adapter_file_check_model(const struct qvf_adapter_file *file, const struct qvf_model_info *info,
                struct qvf_error *error);

/* Columns and rows of a base model's matrix. */
void qvf_adapter_module_shape(const struct qvf_model_info *info, enum qvf_module module,
                uint32_t *ret_inputs, uint32_t *ret_outputs);

#endif
