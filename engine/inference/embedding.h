/* SPDX-License-Identifier: Apache-2.0 */
/* A vector for a text: the model's hidden states behind the last norm, of the last token or on average. */
#ifndef QVF_ENGINE_INFERENCE_EMBEDDING_H
#define QVF_ENGINE_INFERENCE_EMBEDDING_H

#include "engine/inference/context.h"

enum qvf_pooling { QVF_POOLING_MEAN, QVF_POOLING_LAST };

/* Runs the tokens as a sequence of their own. The context must have been made with `hidden`; ret_vector takes the
 * model's dim numbers. `unit`: scaled to length 1. */
int qvf_embed(struct qvf_context *context, const int32_t *tokens, uint32_t n_tokens,
                enum qvf_pooling pooling, bool unit, float *ret_vector, struct qvf_error *error);

#endif
