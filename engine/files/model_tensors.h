/* SPDX-License-Identifier: Apache-2.0 */
/* The half of model_info that finds the tensors. */
#ifndef QVF_ENGINE_FILES_MODEL_TENSORS_H
#define QVF_ENGINE_FILES_MODEL_TENSORS_H

#include "engine/files/model_info.h"

/* Needs the sizes and an allocated table of layers; fills in every tensor and the sums over them. */
int qvf_model_info_find_tensors(struct qvf_model_info *info, struct qvf_error *error);

#endif
