/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters as GGUF, the way llama.cpp and QVAC read and write them. */
#ifndef QVF_ENGINE_ADAPTERS_GGUF_ADAPTER_H
#define QVF_ENGINE_ADAPTERS_GGUF_ADAPTER_H

#include "engine/adapters/adapter_file.h"

/* The numbers point into `gguf`, which must outlive the file. Pairs for norms are skipped, with a warning in the
 * log: llama.cpp's graph does not apply them either. */
int qvf_adapter_file_from_gguf(
                const struct qvf_gguf *gguf, struct qvf_adapter_file **ret_file, struct qvf_error *error);
int qvf_adapter_file_open_gguf(
                const char *path, struct qvf_adapter_file **ret_file, struct qvf_error *error);
int qvf_adapter_file_open_gguf_fd(
                int fd, const char *name, struct qvf_adapter_file **ret_file, struct qvf_error *error);

enum qvf_adapter_dtype {
        QVF_ADAPTER_AS_IT_IS, /* F32 and F16 stay, BF16 becomes F32 */
        QVF_ADAPTER_F32,
        QVF_ADAPTER_F16, /* rounds; -ERANGE where a number is too large for it */
};

/* A GGUF adapter has one alpha, and its scale is alpha / rank. Where the matrices' scales are no such numbers (PEFT's
 * alpha_pattern, rank stabilisation with several ranks), the alpha that most of them have is written, and B of the
 * others is multiplied by what is left, so that the product stays; ret_folded (may be NULL) counts those. */
int qvf_adapter_file_write_gguf(const struct qvf_adapter_file *file, enum qvf_adapter_dtype dtype, int fd,
                uint32_t *ret_folded, struct qvf_error *error);
int qvf_adapter_file_save_gguf(const struct qvf_adapter_file *file, enum qvf_adapter_dtype dtype,
                const char *path, uint32_t *ret_folded, struct qvf_error *error);

#endif
