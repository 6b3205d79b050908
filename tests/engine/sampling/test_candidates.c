/* SPDX-License-Identifier: Apache-2.0 */
/* Each step against a naive twin that sorts everything. */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sampling/candidates.h"

enum { VOCAB_MAX = 3000 };

struct naive {
        int32_t id;
        float logit;
        double key;
};

static int compare_naive(const void *a_, const void *b_)
{
        const struct naive *a = a_, *b = b_;

        if (a->key != b->key)
                return a->key > b->key ? -1 : 1;
        return a->id < b->id ? -1 : a->id > b->id;
}

static int compare_logits(const void *a_, const void *b_)
{
        const struct naive *a = a_, *b = b_;

        return a->logit > b->logit ? -1 : a->logit < b->logit;
}

static double naive_sum(const struct naive *items, uint32_t count)
{
        double sum = 0;

        for (uint32_t i = 0; i < count; i++)
                sum += exp((double)items[i].logit);
        return sum;
}

static uint32_t naive_keep_mass(struct naive *items, uint32_t count, double p)
{
        double sum = naive_sum(items, count), mass = 0;
        uint32_t kept = 0;

        qsort(items, count, sizeof(*items), compare_naive);
        do
                mass += exp((double)items[kept++].logit) / sum;
        while (kept < count && mass < p);
        return kept;
}

static uint32_t naive_typical(struct naive *items, uint32_t count, double p)
{
        double sum = naive_sum(items, count), entropy = 0;

        for (uint32_t i = 0; i < count; i++) {
                double probability = exp((double)items[i].logit) / sum;

                entropy -= probability * log(probability);
        }
        for (uint32_t i = 0; i < count; i++)
                items[i].key = -fabs(-log(exp((double)items[i].logit) / sum) - entropy);
        return naive_keep_mass(items, count, p);
}

static uint32_t naive_top_p(struct naive *items, uint32_t count, double p)
{
        for (uint32_t i = 0; i < count; i++)
                items[i].key = (double)items[i].logit;
        return naive_keep_mass(items, count, p);
}

static uint32_t make_logits(struct qvf_random *random, float *logits, struct naive *items, bool ties)
{
        uint32_t count = 1 + (uint32_t)(qvf_random_uniform(random) * (VOCAB_MAX - 1));

        for (uint32_t i = 0; i < count; i++) {
                float spread = (float)(qvf_random_uniform(random) * 12 - 6);

                logits[i] = ties ? rintf(spread) : spread;
                items[i] = (struct naive){ (int32_t)i, logits[i], (double)logits[i] };
        }
        return count;
}

static void expect_same(const struct qvf_candidates *candidates, const struct naive *items, uint32_t count)
{
        ck_assert_uint_eq(candidates->count, count);
        for (uint32_t i = 0; i < count; i++)
                ck_assert_int_eq(candidates->items[i].id, items[i].id);
}

START_TEST(top_k_matches_sorting)
{
        static float logits[VOCAB_MAX];
        static struct naive items[VOCAB_MAX];
        struct qvf_candidates candidates = { 0 };
        struct qvf_random random;

        qvf_random_seed(&random, 1);
        for (int round = 0; round < 200; round++) {
                uint32_t count = make_logits(&random, logits, items, round % 2);
                uint32_t k = 1 + (uint32_t)(qvf_random_uniform(&random) * (round % 3 ? 60 : VOCAB_MAX + 10));

                ck_assert_int_eq(qvf_candidates_fill(&candidates, logits, count, k), 0);
                qsort(items, count, sizeof(*items), compare_naive);
                expect_same(&candidates, items, k < count ? k : count);
        }
        qvf_candidates_exit(&candidates);
}
END_TEST

START_TEST(steps_match_naive_ones)
{
        static const float ps[] = { 0, 0.1f, 0.5f, 0.9f, 0.95f, 0.999f };
        static float logits[VOCAB_MAX];
        static struct naive items[VOCAB_MAX];
        struct qvf_candidates candidates = { 0 };
        struct qvf_random random;

        qvf_random_seed(&random, 2);
        for (int round = 0; round < 300; round++) {
                uint32_t count = make_logits(&random, logits, items, false), kept;
                float p = ps[round % 6];

                ck_assert_int_eq(qvf_candidates_fill(&candidates, logits, count, 0), 0);
                ck_assert_uint_eq(candidates.count, count);
                if (round / 6 % 2) {
                        qvf_candidates_keep_typical(&candidates, p);
                        kept = naive_typical(items, count, (double)p);
                } else {
                        qvf_candidates_keep_top_p(&candidates, p);
                        kept = naive_top_p(items, count, (double)p);
                }
                expect_same(&candidates, items, kept);
                qvf_candidates_keep_min_p(&candidates, 0.5f);
                qsort(items, kept, sizeof(*items), compare_logits);
                while (items[kept - 1].logit < items[0].logit + logf(0.5f))
                        kept--;
                ck_assert_uint_eq(candidates.count, kept);
                for (uint32_t i = 0; i < kept; i++)
                        ck_assert(candidates.items[i].logit >= items[kept - 1].logit);
        }
        qvf_candidates_exit(&candidates);
}
END_TEST

START_TEST(whole_chain_matches_naive_one)
{
        static float logits[VOCAB_MAX];
        static struct naive items[VOCAB_MAX];
        struct qvf_candidates candidates = { 0 };
        struct qvf_random random;

        qvf_random_seed(&random, 3);
        for (int round = 0; round < 100; round++) {
                uint32_t count = make_logits(&random, logits, items, false);

                ck_assert_int_eq(qvf_candidates_fill(&candidates, logits, count, 40), 0);
                qvf_candidates_keep_typical(&candidates, 0.9f);
                qvf_candidates_keep_top_p(&candidates, 0.8f);
                qsort(items, count, sizeof(*items), compare_naive);
                count = naive_typical(items, count < 40 ? count : 40, (double)0.9f);
                count = naive_top_p(items, count, (double)0.8f);
                expect_same(&candidates, items, count);
        }
        qvf_candidates_exit(&candidates);
}
END_TEST

START_TEST(edges)
{
        const float logits[] = { 1, 3, 3, 2, -INFINITY, NAN };
        const float infinite[] = { 1, INFINITY, NAN, INFINITY };
        const float nothing[] = { NAN, -INFINITY, NAN };
        struct qvf_candidates candidates = { 0 };
        struct qvf_random random;
        int32_t id;

        qvf_random_seed(&random, 4);
        ck_assert_int_eq(qvf_candidates_fill(&candidates, logits, 6, 1000), 0);
        ck_assert_uint_eq(candidates.count, 4); /* neither NaN nor -inf */
        qvf_candidates_keep_min_p(&candidates, 1);
        ck_assert_uint_eq(candidates.count, 2); /* the tie */
        qvf_candidates_keep_top_p(&candidates, 0);
        ck_assert_uint_eq(candidates.count, 1);
        ck_assert_int_eq(candidates.items[0].id, 1); /* the smaller id */
        ck_assert_int_eq(qvf_candidates_draw(&candidates, 1, &random), 1);

        for (uint32_t k = 0; k < 4; k++) {
                ck_assert_int_eq(qvf_candidates_fill(&candidates, nothing, 3, k), -EDOM);
                ck_assert_int_eq(qvf_candidates_fill(&candidates, nothing, 0, k), -EDOM);
                ck_assert_int_eq(qvf_candidates_fill(&candidates, infinite, 4, k), 0);
                id = qvf_candidates_draw(&candidates, 0.001f, &random);
                ck_assert(id == 1 || id == 3);
        }
        ck_assert_int_eq(qvf_logits_best(logits, 6, &id), 0);
        ck_assert_int_eq(id, 1);
        ck_assert_int_eq(qvf_logits_best(infinite, 4, &id), 0);
        ck_assert_int_eq(id, 1);
        ck_assert_int_eq(qvf_logits_best(nothing, 3, &id), -EDOM);
        ck_assert_double_eq_tol(qvf_logits_log_sum(logits, 6), log(exp(1) + 2 * exp(3) + exp(2)), 1e-6);
        ck_assert(isfinite(qvf_logits_log_sum(infinite, 4)));
        ck_assert(qvf_logits_log_sum(nothing, 3) == -INFINITY);
        qvf_candidates_exit(&candidates);
}
END_TEST

START_TEST(best_anywhere)
{
        float logits[100];
        int32_t id;

        for (uint32_t count = 1; count <= 100; count++)
                for (uint32_t place = 0; place < count; place++) {
                        for (uint32_t i = 0; i < count; i++)
                                logits[i] = i % 7 == 3 ? NAN : -(float)i;
                        logits[place] = 5;
                        if (place + 1 < count)
                                logits[count - 1] = 5;
                        ck_assert_int_eq(qvf_logits_best(logits, count, &id), 0);
                        ck_assert_int_eq(id, (int32_t)place);
                }
}
END_TEST

START_TEST(draws_follow_the_probabilities)
{
        const float logits[] = { 0.5f, -1, 2, 1, 0, -30, 1.5f, -INFINITY };
        const float temperature = 0.7f;
        const int draws = 100000;
        struct qvf_candidates candidates = { 0 };
        struct qvf_random random;
        int seen[8] = { 0 };
        double sum = 0, chi_square = 0;

        qvf_random_seed(&random, 5);
        ck_assert_int_eq(qvf_candidates_fill(&candidates, logits, 8, 0), 0);
        for (int i = 0; i < draws; i++)
                seen[qvf_candidates_draw(&candidates, temperature, &random)]++;
        for (int i = 0; i < 8; i++)
                sum += exp((double)(logits[i] / temperature));
        for (int i = 0; i < 8; i++) {
                double expected = draws * exp((double)(logits[i] / temperature)) / sum;

                if (expected > 5)
                        chi_square += (seen[i] - expected) * (seen[i] - expected) / expected;
        }
        ck_assert_int_eq(seen[5], 0);
        ck_assert_int_eq(seen[7], 0);
        ck_assert_double_lt(chi_square, 20.5); /* 5 degrees of freedom, p = 0.001 */
        qvf_candidates_exit(&candidates);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("candidates");
        TCase *tcase = tcase_create("candidates");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_test(tcase, top_k_matches_sorting);
        tcase_add_test(tcase, steps_match_naive_ones);
        tcase_add_test(tcase, whole_chain_matches_naive_one);
        tcase_add_test(tcase, edges);
        tcase_add_test(tcase, best_anywhere);
        tcase_add_test(tcase, draws_follow_the_probabilities);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
