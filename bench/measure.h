/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a session takes in prompts and generates. */
#ifndef QVF_BENCH_MEASURE_H
#define QVF_BENCH_MEASURE_H

#include "bench/session.h"

#define BENCH_REPETITIONS_MAX 100u

/* The same ones in every run, so that two programs or two machines compute the same. *ret_tokens is the caller's. */
int bench_arbitrary_tokens(const struct bench_session *session, uint32_t n_tokens, int32_t **ret_tokens);

/* Tokens per second of each repetition. A prompt is `n_tokens` arbitrary tokens in an empty sequence, up to the logits
 * of the last one; generation is as many runs of one token each, with logits, and no choosing. */
int bench_measure_prompt(struct bench_session *session, uint32_t n_tokens, uint32_t repetitions,
                double *ret_rates, struct qvf_error *error);
int bench_measure_generation(struct bench_session *session, uint32_t n_tokens, uint32_t repetitions,
                double *ret_rates, struct qvf_error *error);

#endif
