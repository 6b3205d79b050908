/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/compare.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sampling/candidates.h"

void bench_comparison_exit(struct bench_comparison *comparison)
{
        free(comparison->divergences);
        *comparison = (struct bench_comparison){ 0 };
}

double bench_divergence(const float *ours, const float *other, uint32_t n_vocab)
{
        double our_log_sum = qvf_logits_log_sum(ours, n_vocab);
        double other_log_sum = qvf_logits_log_sum(other, n_vocab);
        double divergence = 0;

        for (uint32_t i = 0; i < n_vocab; i++) {
                double log_p = (double)other[i] - other_log_sum;
                double log_q = (double)ours[i] - our_log_sum;

                if (log_p > -100) /* below, p is nothing, and 0 · -inf would be NaN */
                        divergence += exp(log_p) * (log_p - log_q);
        }
        return divergence;
}

int bench_compare(
                struct bench_comparison *comparison, const float *ours, const float *other, uint32_t n_vocab)
{
        int32_t our_top = -1, other_top = -2;

        if (comparison->rows == comparison->capacity) {
                uint32_t capacity = comparison->capacity ? 2 * comparison->capacity : 1024;
                double *larger = reallocarray(comparison->divergences, capacity, sizeof(*larger));

                if (!larger)
                        return -ENOMEM;
                comparison->divergences = larger;
                comparison->capacity = capacity;
        }
        comparison->divergences[comparison->rows++] = bench_divergence(ours, other, n_vocab);
        qvf_logits_best(ours, n_vocab, &our_top);
        qvf_logits_best(other, n_vocab, &other_top);
        comparison->same_top += our_top == other_top;
        comparison->same_bits += memcmp(ours, other, n_vocab * sizeof(*ours)) == 0;
        for (uint32_t i = 0; i < n_vocab; i++) {
                double difference = fabs((double)ours[i] - (double)other[i]);

                comparison->squares += (double)other[i] * (double)other[i];
                comparison->square_differences += difference * difference;
                if (!(difference <= comparison->largest_difference)) /* NaN stays */
                        comparison->largest_difference = difference;
        }
        return 0;
}

void bench_comparison_report(struct bench_comparison *comparison, struct json_object *report)
{
        struct bench_statistics s = bench_statistics(comparison->divergences, comparison->rows);
        uint32_t rows = comparison->rows;
        double relative = sqrt(comparison->square_differences / comparison->squares);
        double p99 = rows ? comparison->divergences[(uint64_t)(rows - 1) * 99 / 100] : 0;
        double top = rows ? (double)comparison->same_top / rows : 0;
        struct json_object *inner = bench_report_object(report, "comparison");

        bench_report_count(inner, "rows", rows);
        bench_report_statistics(inner, "kl_divergence", &s);
        bench_report_number(inner, "kl_divergence_p99", p99);
        bench_report_number(inner, "same_top", top);
        bench_report_number(inner, "bitwise_equal_rows", comparison->same_bits);
        bench_report_number(inner, "relative_l2", relative);
        bench_report_number(inner, "largest_difference", comparison->largest_difference);
        if (report)
                return;
        printf("rows                %u\n", rows);
        printf("KL divergence       mean %.3g  median %.3g  99%% %.3g  most %.3g\n", s.mean, s.median, p99,
                        s.most);
        printf("same top token      %.2f %%\n", 100 * top);
        printf("bitwise equal rows  %u\n", comparison->same_bits);
        printf("relative L2         %.3g\n", relative);
        printf("largest difference  %.3g\n", comparison->largest_difference);
}
