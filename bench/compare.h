/* SPDX-License-Identifier: Apache-2.0 */
/* How two rows of logits differ, and the sums of that over many rows. */
#ifndef QVF_BENCH_COMPARE_H
#define QVF_BENCH_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/report.h"

struct bench_comparison {
        uint32_t rows, capacity, same_top, same_bits;
        double squares, square_differences, largest_difference;
        double *divergences; /* KL(other || ours) of each row, in nats */
};

void bench_comparison_exit(struct bench_comparison *comparison);
#define _cleanup_comparison_ _cleanup_(bench_comparison_exit)

/* Σ p (log p - log q), p = softmax(other), q = softmax(ours): what is lost by taking ours for the other's. */
double bench_divergence(const float *ours, const float *other, uint32_t n_vocab);
int bench_compare(struct bench_comparison *comparison, const float *ours, const float *other,
                uint32_t n_vocab);
/* Prints text where `report` is NULL. Sorts the divergences. */
void bench_comparison_report(struct bench_comparison *comparison, struct json_object *report);

#endif
