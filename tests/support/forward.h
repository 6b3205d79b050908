/* SPDX-License-Identifier: Apache-2.0 */
/* Logits of a model over a few tokens, all in one batch, with caches of F32. */
#ifndef QVF_TESTS_SUPPORT_FORWARD_H
#define QVF_TESTS_SUPPORT_FORWARD_H

#include "engine/inference/context.h"

/* [n_tokens, vocabulary], to be freed. */
float *test_forward(struct qvf_model *model, const struct qvf_adapter *adapter, const int32_t *tokens,
                uint32_t n_tokens);

#endif
