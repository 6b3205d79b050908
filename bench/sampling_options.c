/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/sampling_options.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/sampling/random.h"

#define AT(field) offsetof(struct bench_sampling_options, field)

const struct bench_option bench_sampling_option_table[] = {
        { "temperature", 0, BENCH_NUMBER, AT(sampling.temperature), "NUMBER",
                        "0: the best token always (default: 0)", 0, 100 },
        { "top-k", 0, BENCH_COUNT, AT(sampling.top_k), "N", "the N best tokens; 0: off (default: 40)", 0,
                        INT32_MAX },
        { "top-p", 0, BENCH_NUMBER, AT(sampling.top_p), "P",
                        "the best tokens that have P of the probability; 1: off (default: 0.95)", 0, 1 },
        { "min-p", 0, BENCH_NUMBER, AT(sampling.min_p), "P",
                        "those at least P times as probable as the best; 0: off (default: 0.05)", 0, 1 },
        { "typical-p", 0, BENCH_NUMBER, AT(sampling.typical_p), "P",
                        "the most typical ones that have P of the probability; 1: off (default: 1)", 0, 1 },
        { "repetition-penalty", 0, BENCH_NUMBER, AT(sampling.repetition_penalty), "NUMBER",
                        "divides the logits of recent tokens (default: 1)", 0.01, 100 },
        { "presence-penalty", 0, BENCH_NUMBER, AT(sampling.presence_penalty), "NUMBER",
                        "taken off the logits of recent tokens (default: 0)", -100, 100 },
        { "frequency-penalty", 0, BENCH_NUMBER, AT(sampling.frequency_penalty), "NUMBER",
                        "likewise, for each time that they came (default: 0)", -100, 100 },
        { "penalty-window", 0, BENCH_COUNT, AT(sampling.penalty_window), "N",
                        "how many tokens are recent (default: 64)", 0, QVF_SAMPLING_WINDOW_MAX },
        { "bias", 0, BENCH_STRINGS, AT(bias), "ID:BIAS",
                        "added to a token's logit, -inf forbids it; may be given several times", 0, 0 },
        { "seed", 0, BENCH_SEED, AT(seed), "N", "same seed, same text (default: another one each time)", 0,
                        0 },
        { 0 },
};

int bench_sampling(const struct bench_sampling_options *options, uint32_t n_vocab,
                struct qvf_logit_bias bias[BENCH_LIST_MAX], struct qvf_sampling *ret_sampling,
                struct qvf_error *error)
{
        struct qvf_sampling sampling = options->sampling;

        for (uint32_t i = 0; i < options->bias.count; i++) {
                const char *text = options->bias.items[i];
                char *end;
                long id = strtol(text, &end, 10);

                bias[i].id = id < 0 || id > INT32_MAX ? -1 : (int32_t)id;
                if (end == text || *end != ':')
                        return qvf_error_set(error, BENCH_USAGE, "--bias %s: expected ID:BIAS", text);
                text = end + 1;
                bias[i].bias = strtof(text, &end);
                if (end == text || *end)
                        return qvf_error_set(error, BENCH_USAGE, "--bias %s: expected ID:BIAS",
                                        options->bias.items[i]);
        }
        sampling.bias = bias;
        sampling.n_bias = options->bias.count;
        sampling.seed = options->seed.given ? options->seed.value : qvf_random_fresh_seed();
        if (qvf_sampling_check(&sampling, n_vocab, error) < 0)
                return BENCH_USAGE;
        *ret_sampling = sampling;
        return 0;
}
