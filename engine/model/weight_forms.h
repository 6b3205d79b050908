/* SPDX-License-Identifier: Apache-2.0 */
/* While a model is loaded: the weights that are not used as its file holds them. Each is taken from the cache file, or
 * made, brought to the device and written to a new cache file. At the end what was made is exchanged for the mapping of
 * that file where the device reads host memory. A cache that can't be read or written costs a line in the log. */
#ifndef QVF_ENGINE_MODEL_WEIGHT_FORMS_H
#define QVF_ENGINE_MODEL_WEIGHT_FORMS_H

#include "engine/model/model.h"

struct qvf_weight_forms;

/* `folder` as in struct qvf_model_options. */
int qvf_weight_forms_new(struct qvf_model *model, int folder, struct qvf_weight_forms **ret_forms,
                struct qvf_error *error);
struct qvf_weight_forms *qvf_weight_forms_free(struct qvf_weight_forms *forms);
QVF_DEFINE_CLEANUP(struct qvf_weight_forms *, qvf_weight_forms_free)

/* Returns 1 and the value with its bytes in place where the cache has the tensor, else 0. */
int qvf_weight_forms_take(struct qvf_weight_forms *forms, const struct qvf_gguf_tensor *tensor,
                struct qvf_value *value, struct qvf_error *error);
/* Puts a form that was just made in place; value says what it is, and must stay where it is until finish. */
int qvf_weight_forms_add(struct qvf_weight_forms *forms, const struct qvf_gguf_tensor *tensor,
                const void *bytes, uint64_t length, struct qvf_value *value, struct qvf_error *error);
int qvf_weight_forms_finish(struct qvf_weight_forms *forms, struct qvf_error *error);

#endif
