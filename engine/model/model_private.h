/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of qvf_model_new(), one file each. */
#ifndef QVF_ENGINE_MODEL_MODEL_PRIVATE_H
#define QVF_ENGINE_MODEL_MODEL_PRIVATE_H

#include "engine/model/model.h"

/* `cache_folder` as in struct qvf_model_options. */
int qvf_model_load_weights(struct qvf_model *model, int cache_folder, struct qvf_error *error);
int qvf_model_load_tokenizer(struct qvf_model *model, struct qvf_error *error);

struct qvf_linear_source { /* a matrix in the file, and the norm before it, whose weights are in the order of its columns */
        const struct qvf_model_weight *weight;
        const struct qvf_gguf_tensor *norm; /* or NULL */
};
void qvf_linear_sources(
                const struct qvf_model_layer *layer, struct qvf_linear_source ret_sources[QVF_MODULES]);

/* One machine wrote all of a file: its order of I2_S is asked of matrix after matrix until it is clear, and said in the
 * log. Does nothing where the order is given or no matrix is of I2_S. */
int qvf_model_decide_i2s_order(
                const struct qvf_model_info *info, enum qvf_i2s_order *order, struct qvf_error *error);

/* The model frees the buffer from now on, also when this fails. */
int qvf_model_keep_buffer(struct qvf_model *model, struct qvf_buffer *buffer);
void qvf_model_drop_buffer(struct qvf_model *model, struct qvf_buffer *buffer);
/* Puts the bytes into a buffer of their own, and the value there. */
int qvf_model_place_copy(struct qvf_model *model, const char *name, const void *bytes, uint64_t length,
                struct qvf_value *value, struct qvf_error *error);
/* The tensor's bytes in the mapped file were read for the last time: its pages need not stay with this process. */
void qvf_model_leave_pages(const struct qvf_gguf_tensor *tensor);

#endif
