/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QVF_BENCH_VERBS_H
#define QVF_BENCH_VERBS_H

#include "bench/options.h"

extern const struct bench_verb bench_adapter;
extern const struct bench_verb bench_eval;
extern const struct bench_verb bench_generate;
extern const struct bench_verb bench_info;
extern const struct bench_verb bench_logits;
extern const struct bench_verb bench_memory;
extern const struct bench_verb bench_perplexity;
extern const struct bench_verb bench_roofline;
extern const struct bench_verb bench_selftest;
extern const struct bench_verb bench_speed;
extern const struct bench_verb bench_train;

#endif
