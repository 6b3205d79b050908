/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sampling/options.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>

#include "common/checked.h"

const struct qvf_sampling qvf_sampling_default = {
        .temperature = 0.8f,
        .top_k = 40,
        .top_p = 0.95f,
        .min_p = 0.05f,
        .typical_p = 1.0f,
        .repetition_penalty = 1.0f,
        .penalty_window = 64,
};

static const struct float_range {
        const char *name;
        size_t offset;
        float least, most;
} float_ranges[] = {
        { "temperature", offsetof(struct qvf_sampling, temperature), 0, 100 },
        { "top_p", offsetof(struct qvf_sampling, top_p), 0, 1 },
        { "min_p", offsetof(struct qvf_sampling, min_p), 0, 1 },
        { "typical_p", offsetof(struct qvf_sampling, typical_p), 0, 1 },
        { "repetition_penalty", offsetof(struct qvf_sampling, repetition_penalty), 0.01f, 100 },
        { "presence_penalty", offsetof(struct qvf_sampling, presence_penalty), -100, 100 },
        { "frequency_penalty", offsetof(struct qvf_sampling, frequency_penalty), -100, 100 },
};

static const struct count_range {
        const char *name;
        size_t offset;
        uint32_t most;
} count_ranges[] = {
        { "top_k", offsetof(struct qvf_sampling, top_k), INT32_MAX },
        { "penalty_window", offsetof(struct qvf_sampling, penalty_window), QVF_SAMPLING_WINDOW_MAX },
        { "n_bias", offsetof(struct qvf_sampling, n_bias), QVF_SAMPLING_BIAS_MAX },
        { "n_best", offsetof(struct qvf_sampling, n_best), QVF_SAMPLING_BEST_MAX },
};

static int check_bias(const struct qvf_sampling *sampling, uint32_t n_vocab, struct qvf_error *error)
{
        if (sampling->n_bias && !sampling->bias)
                return qvf_error_set(error, -EINVAL, "bias is missing, n_bias is %u", sampling->n_bias);
        for (uint32_t i = 0; i < sampling->n_bias; i++) {
                const struct qvf_logit_bias *bias = &sampling->bias[i];

                if (bias->id < 0 || (n_vocab && (uint32_t)bias->id >= n_vocab))
                        return qvf_error_set(error, -EINVAL, "bias[%u].id is %d: expected 0 to %u", i,
                                        bias->id, n_vocab ? n_vocab - 1 : INT32_MAX);
                if (!(bias->bias < INFINITY))
                        return qvf_error_set(error, -EINVAL,
                                        "bias[%u].bias is %g: expected a number or -inf", i,
                                        (double)bias->bias);
        }
        return 0;
}

int qvf_sampling_check(const struct qvf_sampling *sampling, uint32_t n_vocab, struct qvf_error *error)
{
        const char *base = (const char *)sampling;

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(float_ranges); i++) {
                const struct float_range *range = &float_ranges[i];
                float value = *(const float *)(base + range->offset);

                if (!(value >= range->least && value <= range->most)) /* catches NaN too */
                        return qvf_error_set(error, -EINVAL, "%s is %g: expected %g to %g", range->name,
                                        (double)value, (double)range->least, (double)range->most);
        }
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(count_ranges); i++) {
                const struct count_range *range = &count_ranges[i];
                uint32_t value = *(const uint32_t *)(base + range->offset);

                if (value > range->most)
                        return qvf_error_set(error, -EINVAL, "%s is %u: expected 0 to %u", range->name,
                                        value, range->most);
        }
        return check_bias(sampling, n_vocab, error);
}
