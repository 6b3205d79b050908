/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/sampling/random.h"
#include "engine/sampling/sampler.h"

static const struct qvf_sampling greedy = { .repetition_penalty = 1, .top_p = 1, .typical_p = 1 };

static struct qvf_sampler *make(const struct qvf_sampling *options)
{
        struct qvf_sampler *sampler = NULL;

        ck_assert_int_eq(qvf_sampler_new(options, NULL, &sampler), 0);
        return sampler;
}

static int32_t next(struct qvf_sampler *sampler, const float *logits, uint32_t n_vocab)
{
        int32_t id = -1;

        ck_assert_int_eq(qvf_sampler_next(sampler, logits, n_vocab, &id, NULL, 0), 0);
        return id;
}

START_TEST(greedy_takes_the_first_best)
{
        const float logits[] = { 1, NAN, 4, -2, 4 };
        const float nothing[] = { NAN, NAN };
        _cleanup_(qvf_sampler_freep) struct qvf_sampler *sampler = make(&greedy);
        int32_t id = 77;

        ck_assert_int_eq(next(sampler, logits, 5), 2);
        ck_assert_int_eq(qvf_sampler_next(sampler, nothing, 2, &id, NULL, 0), -EDOM);
        ck_assert_int_eq(id, 77);
        ck_assert_ptr_null(qvf_sampler_free(NULL));
}
END_TEST

START_TEST(wrong_options_are_refused)
{
        struct qvf_sampling options = greedy;
        struct qvf_sampler *sampler = NULL;
        struct qvf_error error = { 0 };

        options.min_p = 3;
        ck_assert_int_eq(qvf_sampler_new(&options, &error, &sampler), -EINVAL);
        ck_assert_str_eq(error.text, "min_p is 3: expected 0 to 1");
        ck_assert_ptr_null(sampler);
}
END_TEST

START_TEST(penalties_by_hand)
{
        const float logits[] = { 4, -1, 3.9f, 0 };
        float copy[4];
        struct qvf_sampling options = greedy;
        struct qvf_token_probability best[4];
        int32_t id;

        memcpy(copy, logits, sizeof(copy));
        options.penalty_window = 3;
        options.repetition_penalty = 2;
        {
                _cleanup_(qvf_sampler_freep) struct qvf_sampler *sampler = make(&options);

                ck_assert_int_eq(next(sampler, logits, 4), 0);
                qvf_sampler_accept(sampler, 0); /* 4 -> 2 */
                ck_assert_int_eq(next(sampler, logits, 4), 2);
                qvf_sampler_accept(sampler, 2); /* 3.9 -> 1.95 */
                ck_assert_int_eq(next(sampler, logits, 4), 0);
                qvf_sampler_accept(sampler, 99999); /* not in the vocabulary: counts for the window alone */
                qvf_sampler_accept(sampler, -5);    /* 0 falls out of the window */
                ck_assert_int_eq(next(sampler, logits, 4), 0);
                ck_assert_int_eq(qvf_sampler_next(sampler, logits, 4, &id, best, 4), 0);
                ck_assert_int_eq(best[0].id, 0);
        }
        options.repetition_penalty = 1;
        options.presence_penalty = 0.25f;
        options.frequency_penalty = 1.875f;
        {
                _cleanup_(qvf_sampler_freep) struct qvf_sampler *sampler = make(&options);

                qvf_sampler_accept(sampler, 0); /* 4 - 0.25 - 1.875 = 1.875 */
                qvf_sampler_accept(sampler, 2); /* 3.9 - 0.25 - 1.875 = 1.775 */
                ck_assert_int_eq(next(sampler, logits, 4), 0);
                qvf_sampler_accept(sampler, 0); /* 4 - 0.25 - 3.75 = 0, as the last one */
                ck_assert_int_eq(next(sampler, logits, 4), 2);
                qvf_sampler_accept(sampler, 2); /* 0 falls out once: 1.875; 2 is there twice: -0.1 */
                ck_assert_int_eq(next(sampler, logits, 4), 0);
        }
        ck_assert_mem_eq(copy, logits, sizeof(copy));
}
END_TEST

START_TEST(negative_logits_sink_too)
{
        const float logits[] = { -1, -1.5f };
        struct qvf_sampling options = greedy;
        struct qvf_sampler *sampler;

        options.penalty_window = 1;
        options.repetition_penalty = 2;
        sampler = make(&options);
        qvf_sampler_accept(sampler, 0); /* -1 -> -2 */
        ck_assert_int_eq(next(sampler, logits, 2), 1);
        qvf_sampler_free(sampler);
}
END_TEST

/* The sorted copy of the window against a plain count over the last tokens. */
START_TEST(window_counts_right)
{
        enum { VOCAB = 12, WINDOW = 9 };
        struct qvf_sampling options = greedy;
        struct qvf_sampler *sampler;
        struct qvf_random random;
        int32_t history[2000];

        options.penalty_window = WINDOW;
        options.frequency_penalty = 1;
        sampler = make(&options);
        qvf_random_seed(&random, 6);
        for (int n = 0; n < 2000; n++) {
                float logits[VOCAB], expected = -INFINITY;
                int32_t best = -1;

                for (int id = 0; id < VOCAB; id++) {
                        float left = logits[id] = (float)(qvf_random_uniform(&random) * 4);

                        for (int i = n > WINDOW ? n - WINDOW : 0; i < n; i++)
                                left -= history[i] == id ? 1.0f : 0.0f;
                        if (left > expected) {
                                expected = left;
                                best = id;
                        }
                }
                ck_assert_int_eq(next(sampler, logits, VOCAB), best);
                history[n] = (int32_t)(qvf_random_uniform(&random) * VOCAB);
                qvf_sampler_accept(sampler, history[n]);
        }
        qvf_sampler_free(sampler);
}
END_TEST

START_TEST(bias_moves_and_forbids)
{
        const float logits[] = { 1, INFINITY, 2 };
        struct qvf_logit_bias bias[] = { { 1, -INFINITY }, { 0, 1.5f }, { 500, 9 } };
        struct qvf_sampling options = greedy;
        struct qvf_sampler *sampler;
        int32_t id;

        options.bias = bias;
        options.n_bias = 3;
        sampler = make(&options);
        bias[0].id = 2; /* the sampler has its own copy */
        ck_assert_int_eq(next(sampler, logits, 3), 0);
        qvf_sampler_free(sampler);
        options.bias = (struct qvf_logit_bias[]){ { 0, -INFINITY }, { 1, -INFINITY }, { 2, -INFINITY } };
        options.temperature = 1;
        sampler = make(&options);
        ck_assert_int_eq(qvf_sampler_next(sampler, logits, 3, &id, NULL, 0), -EDOM);
        qvf_sampler_free(sampler);
}
END_TEST

START_TEST(log_probabilities_are_the_models)
{
        const float logits[] = { 0, 1, 2, -INFINITY };
        const double log_sum = log(exp(0) + exp(1) + exp(2));
        struct qvf_token_probability best[5];
        struct qvf_sampling options = greedy;
        struct qvf_sampler *sampler;
        int32_t id;

        options.bias = &(struct qvf_logit_bias){ 0, 50 };
        options.n_bias = 1;
        sampler = make(&options);
        ck_assert_int_eq(next(sampler, logits, 4), 0);
        ck_assert(isnan(qvf_sampler_log_probability(sampler)));
        ck_assert_int_eq(qvf_sampler_next(sampler, logits, 4, &id, best, 5), 0);
        ck_assert_int_eq(id, 0);
        ck_assert_float_eq_tol(qvf_sampler_log_probability(sampler), (float)(0 - log_sum), 1e-6f);
        for (int i = 0; i < 3; i++) {
                ck_assert_int_eq(best[i].id, 2 - i);
                ck_assert_float_eq_tol(best[i].log_probability, (float)(2 - i - log_sum), 1e-6f);
        }
        ck_assert_int_eq(best[3].id, -1);
        ck_assert_int_eq(best[4].id, -1);
        qvf_sampler_free(sampler);
}
END_TEST

START_TEST(same_seed_same_tokens)
{
        enum { VOCAB = 500, LENGTH = 200 };
        float logits[VOCAB];
        int32_t text[3][LENGTH];
        struct qvf_random random;

        for (int run = 0; run < 3; run++) {
                struct qvf_sampling options = qvf_sampling_default;
                struct qvf_sampler *sampler;

                options.seed = run == 2 ? 8 : 7;
                options.repetition_penalty = 1.1f;
                sampler = make(&options);
                qvf_random_seed(&random, 9);
                for (int i = 0; i < LENGTH; i++) {
                        for (int j = 0; j < VOCAB; j++)
                                logits[j] = (float)(qvf_random_uniform(&random) * 3);
                        text[run][i] = next(sampler, logits, VOCAB);
                        qvf_sampler_accept(sampler, text[run][i]);
                }
                qvf_sampler_free(sampler);
        }
        ck_assert_mem_eq(text[0], text[1], sizeof(text[0]));
        ck_assert_mem_ne(text[0], text[2], sizeof(text[0]));
}
END_TEST

/* Printed, and held to a limit that only a sort of everything or something quadratic would break. */
START_TEST(large_vocabulary_is_quick)
{
        enum { VOCAB = 128256, ROUNDS = 50 };
        static const struct {
                const char *name;
                float temperature;
                uint32_t top_k;
                float top_p;
        } cases[] = { { "greedy", 0, 0, 1 }, { "top-k 40", 0.8f, 40, 0.95f },
                { "top-p 0.95 alone", 0.8f, 0, 0.95f } };
        float *logits = malloc(VOCAB * sizeof(*logits));
        struct qvf_random random;

        ck_assert_ptr_nonnull(logits);
        qvf_random_seed(&random, 10);
        for (int i = 0; i < VOCAB; i++) /* roughly a bell, as real logits are */
                logits[i] = (float)(6 * (qvf_random_uniform(&random) + qvf_random_uniform(&random) +
                                                        qvf_random_uniform(&random)));
        for (int c = 0; c < 3; c++) {
                struct qvf_sampling options = qvf_sampling_default;
                struct timespec before, after;
                struct qvf_sampler *sampler;
                double ms;

                options.temperature = cases[c].temperature;
                options.top_k = cases[c].top_k;
                options.top_p = cases[c].top_p;
                sampler = make(&options);
                clock_gettime(CLOCK_MONOTONIC, &before);
                for (int i = 0; i < ROUNDS; i++)
                        next(sampler, logits, VOCAB);
                clock_gettime(CLOCK_MONOTONIC, &after);
                ms = ((double)(after.tv_sec - before.tv_sec) * 1e3 +
                                     (double)(after.tv_nsec - before.tv_nsec) / 1e6) /
                     ROUNDS;
                printf("%s: %.3f ms\n", cases[c].name, ms);
                ck_assert_double_lt(ms, 100);
                qvf_sampler_free(sampler);
        }
        free(logits);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("sampler");
        TCase *tcase = tcase_create("sampler");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, greedy_takes_the_first_best);
        tcase_add_test(tcase, wrong_options_are_refused);
        tcase_add_test(tcase, penalties_by_hand);
        tcase_add_test(tcase, negative_logits_sink_too);
        tcase_add_test(tcase, window_counts_right);
        tcase_add_test(tcase, bias_moves_and_forbids);
        tcase_add_test(tcase, log_probabilities_are_the_models);
        tcase_add_test(tcase, same_seed_same_tokens);
        tcase_add_test(tcase, large_vocabulary_is_quick);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
