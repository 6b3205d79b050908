/* SPDX-License-Identifier: Apache-2.0 */
/* How the next token is chosen. The steps are taken in this order, each on what the one before has left:
 *   1. penalties for tokens among the last `penalty_window` ones: a positive logit is divided by
 * repetition_penalty, others are multiplied by it; then presence_penalty + count · frequency_penalty is
 * taken off
 *   2. bias: added to the logit; -inf forbids the token
 *   3. top_k: the k largest
 *   4. typical_p: those whose surprise lies nearest to the entropy, until their probability sums to p
 *   5. top_p: the most probable, until their probability sums to p
 *   6. min_p: those at least min_p times as probable as the best
 *   7. temperature: logits are divided by it, then one is drawn
 * Temperature 0 takes the best one after step 2 (of equal ones the smallest id) and draws nothing. */
#ifndef QVF_ENGINE_SAMPLING_OPTIONS_H
#define QVF_ENGINE_SAMPLING_OPTIONS_H

#include <stdint.h>

#include "common/error.h"

#define QVF_SAMPLING_WINDOW_MAX 32768u /* tokens that penalties look back on */
#define QVF_SAMPLING_BIAS_MAX 1024u
#define QVF_SAMPLING_BEST_MAX 64u

struct qvf_logit_bias {
        int32_t id;
        float bias;
};

struct qvf_sampling {
        float temperature;        /* 0: greedy */
        uint32_t top_k;           /* 0: off */
        float top_p;              /* 1: off; 0: only the best */
        float min_p;              /* 0: off; 1: only the best */
        float typical_p;          /* 1: off */
        float repetition_penalty; /* 1: off */
        float presence_penalty;   /* 0: off */
        float frequency_penalty;  /* 0: off */
        uint32_t penalty_window;  /* 0: no penalties */
        uint32_t n_bias;
        const struct qvf_logit_bias *bias; /* qvf_sampler_new makes a copy */
        uint64_t seed;                     /* same seed, same logits: same tokens */
        uint32_t n_best;                   /* log-probabilities wanted with each token */
};

/* Temperature 0.8, top_k 40, top_p 0.95, min_p 0.05, a window of 64, everything else off, seed 0. */
extern const struct qvf_sampling qvf_sampling_default;

/* -EINVAL with the name of the field that is out of its range. n_vocab 0: not known yet, ids are not
 * checked. */
int qvf_sampling_check(const struct qvf_sampling *sampling, uint32_t n_vocab, struct qvf_error *error);

#endif
