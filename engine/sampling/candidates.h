/* SPDX-License-Identifier: Apache-2.0 */
/* The tokens that may still be chosen, and the steps that make them fewer. None of them sorts a whole
 * vocabulary: each takes the best ones off a heap and stops when it has enough. Inside, NaN never gets in,
 * and +inf has become the largest float. Of equal tokens the smaller id is the better one, so that every
 * step has one answer. */
#ifndef QVF_ENGINE_SAMPLING_CANDIDATES_H
#define QVF_ENGINE_SAMPLING_CANDIDATES_H

#include <stdint.h>

#include "engine/sampling/random.h"

struct qvf_candidate {
        float logit;
        float rank; /* what the present step orders by, largest first */
        int32_t id;
};

struct qvf_candidates {
        struct qvf_candidate *items;
        uint32_t count;
        uint32_t capacity;
};

/* Takes the k largest logits, largest first; k = 0: all of them, in no order. -ENOMEM, or -EDOM where no
 * logit is above -inf. */
int qvf_candidates_fill(
                struct qvf_candidates *candidates, const float *logits, uint32_t n_vocab, uint32_t k);
void qvf_candidates_exit(struct qvf_candidates *candidates);

/* All keep at least one. */
void qvf_candidates_keep_typical(struct qvf_candidates *candidates, float p);
void qvf_candidates_keep_top_p(struct qvf_candidates *candidates, float p);
void qvf_candidates_keep_min_p(struct qvf_candidates *candidates, float p);
/* Draws one with probability softmax(logit / temperature); temperature > 0. */
int32_t qvf_candidates_draw(
                const struct qvf_candidates *candidates, float temperature, struct qvf_random *random);

/* The smallest id of the largest logit; -EDOM where no logit is above -inf. */
int qvf_logits_best(const float *logits, uint32_t n_vocab, int32_t *ret_id);
/* log Σ exp(logit), without overflow; NaN counts as -inf, +inf as the largest float. */
double qvf_logits_log_sum(const float *logits, uint32_t n_vocab);

#endif
