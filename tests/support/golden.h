/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of the independent reference: tests/data/golden/NAME.golden.{json,gguf}. */
#ifndef QVF_TESTS_SUPPORT_GOLDEN_H
#define QVF_TESTS_SUPPORT_GOLDEN_H

#include <stdint.h>

#include "engine/files/gguf.h"

struct test_golden {
        struct qvf_gguf *numbers, *adapter;
        int32_t *tokens;
        uint8_t *loss_mask; /* entry i: does predicting token i + 1 count */
        uint32_t n_tokens, n_mask;
        uint32_t rank;
        float alpha;
        float learning_rate, beta1, beta2, epsilon, weight_decay;
        uint32_t n_steps;
        double loss, gradient_norm, loss_curve[16];
        double logits_distance, gradient_distance; /* of float32 from float64, relative */
};

struct test_golden *test_golden_new(const char *name);
struct test_golden *test_golden_free(struct test_golden *golden);
const float *test_golden_numbers(const struct test_golden *golden, const char *name, uint64_t *ret_count);

#endif
