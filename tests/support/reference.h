/* SPDX-License-Identifier: Apache-2.0 */
/* A model's forward pass as it stands in books: one loop for each formula, all in double, no cache and no batches. */
#ifndef QVF_TESTS_SUPPORT_REFERENCE_H
#define QVF_TESTS_SUPPORT_REFERENCE_H

#include <stdint.h>

#include "engine/files/model_info.h"

/* Logits [n_tokens, vocabulary], to be freed. The linear weights must be of TQ1_0 or TQ2_0. */
float *reference_logits(const struct qvf_model_info *info, const int32_t *tokens, uint32_t n_tokens);

#endif
