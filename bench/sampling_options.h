/* SPDX-License-Identifier: Apache-2.0 */
/* How the next token is chosen, as options. */
#ifndef QVF_BENCH_SAMPLING_OPTIONS_H
#define QVF_BENCH_SAMPLING_OPTIONS_H

#include "bench/options.h"
#include "engine/sampling/options.h"

struct bench_sampling_options {
        struct qvf_sampling sampling; /* all but the bias list and the seed */
        struct bench_strings bias;    /* ID:BIAS */
        struct bench_seed seed;
};

extern const struct bench_option bench_sampling_option_table[];

/* Puts the pieces together in `ret_sampling`, whose list is `bias`. 0 or BENCH_USAGE. */
int bench_sampling(const struct bench_sampling_options *options, uint32_t n_vocab,
                struct qvf_logit_bias bias[BENCH_LIST_MAX], struct qvf_sampling *ret_sampling,
                struct qvf_error *error);

#endif
