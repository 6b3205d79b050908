/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of qvf_model_new(), one file each. */
#ifndef QVF_ENGINE_MODEL_MODEL_PRIVATE_H
#define QVF_ENGINE_MODEL_MODEL_PRIVATE_H

#include "engine/model/model.h"

int qvf_model_load_weights(struct qvf_model *model, struct qvf_error *error);
int qvf_model_load_tokenizer(struct qvf_model *model, struct qvf_error *error);

#endif
