/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses tokens for one sequence: the options, the tokens that the penalties look back on, and the random
 * state. */
#ifndef QVF_ENGINE_SAMPLING_SAMPLER_H
#define QVF_ENGINE_SAMPLING_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "engine/sampling/options.h"
#include "qvf/ops.h"

struct qvf_sampler;

struct qvf_token_probability {
        int32_t id;            /* -1 where the vocabulary has no more tokens */
        float log_probability; /* natural logarithm */
};

/* Checks the options first. */
int qvf_sampler_new(const struct qvf_sampling *sampling, struct qvf_error *error,
                struct qvf_sampler **ret_sampler);
struct qvf_sampler *qvf_sampler_free(struct qvf_sampler *sampler);
QVF_DEFINE_CLEANUP(struct qvf_sampler *, qvf_sampler_free)

/* A token is now part of the text: one of the prompt, or the one that was chosen. */
void qvf_sampler_accept(struct qvf_sampler *sampler, int32_t id);

/* Chooses the next token and leaves the logits as they are. The n most probable tokens, best first, go to
 * ret_best (NULL with n = 0); their log-probabilities are the model's own: softmax of the logits before any
 * step. -EDOM: no token can be chosen (all logits NaN or -inf, or all forbidden). */
int qvf_sampler_next(struct qvf_sampler *sampler, const float *logits, uint32_t n_vocab, int32_t *ret_id,
                struct qvf_token_probability *ret_best, uint32_t n);
/* Whether the next tokens can be chosen by TOP_K of `ret_k` and DRAW (ops.h), on whatever device: nothing looks at other
 * tokens, and no log-probabilities are wanted. They are then the same as those of qvf_sampler_next(). */
bool qvf_sampler_draws(const struct qvf_sampler *sampler, uint32_t *ret_k);
/* What DRAW needs for the token that is `ahead` tokens behind the next one. */
void qvf_sampler_how(const struct qvf_sampler *sampler, uint32_t ahead, float ret_how[QVF_DRAW_COLUMNS]);
/* So many tokens were chosen that way. */
void qvf_sampler_drawn(struct qvf_sampler *sampler, uint32_t count);

/* Of the token that was chosen last, likewise; NaN unless that call had n > 0. */
float qvf_sampler_log_probability(const struct qvf_sampler *sampler);

/* The n most probable tokens of a row of logits, and the log-probability of one more (id -1: none). */
int qvf_logits_log_probabilities(const float *logits, uint32_t n_vocab,
                struct qvf_token_probability *ret_best, uint32_t n, int32_t id, float *ret_log_probability);

#endif
