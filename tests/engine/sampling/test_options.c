/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sampling/options.h"

static void expect_wrong(const struct qvf_sampling *sampling, uint32_t n_vocab, const char *field)
{
        struct qvf_error error = { 0 };

        ck_assert_int_eq(qvf_sampling_check(sampling, n_vocab, &error), -EINVAL);
        ck_assert_msg(strncmp(error.text, field, strlen(field)) == 0, "'%s' does not name %s", error.text,
                        field);
        ck_assert_int_eq(qvf_sampling_check(sampling, n_vocab, NULL), -EINVAL);
}

START_TEST(defaults_are_valid)
{
        ck_assert_int_eq(qvf_sampling_check(&qvf_sampling_default, 0, NULL), 0);
        ck_assert_int_eq(
                        qvf_sampling_check(&(struct qvf_sampling){ .repetition_penalty = 1 }, 100, NULL), 0);
}
END_TEST

#define EXPECT_WRONG(field_, value_)                                                                        \
        do {                                                                                                \
                struct qvf_sampling wrong_ = qvf_sampling_default;                                          \
                wrong_.field_ = (value_);                                                                   \
                expect_wrong(&wrong_, 0, #field_ " is ");                                                   \
        } while (0)

START_TEST(wrong_fields_are_named)
{
        EXPECT_WRONG(temperature, -0.1f);
        EXPECT_WRONG(temperature, NAN);
        EXPECT_WRONG(temperature, INFINITY);
        EXPECT_WRONG(top_p, 1.01f);
        EXPECT_WRONG(top_p, NAN);
        EXPECT_WRONG(min_p, -1);
        EXPECT_WRONG(typical_p, 2);
        EXPECT_WRONG(repetition_penalty, 0);
        EXPECT_WRONG(presence_penalty, NAN);
        EXPECT_WRONG(frequency_penalty, -INFINITY);
        EXPECT_WRONG(top_k, UINT32_MAX);
        EXPECT_WRONG(penalty_window, QVF_SAMPLING_WINDOW_MAX + 1);
        EXPECT_WRONG(n_bias, QVF_SAMPLING_BIAS_MAX + 1);
        EXPECT_WRONG(n_best, QVF_SAMPLING_BEST_MAX + 1);
}
END_TEST

START_TEST(wrong_biases_are_named)
{
        struct qvf_logit_bias bias[2] = { { 1, -INFINITY }, { 7, 2 } };
        struct qvf_sampling sampling = qvf_sampling_default;

        sampling.n_bias = 2;
        expect_wrong(&sampling, 0, "bias is missing");
        sampling.bias = bias;
        ck_assert_int_eq(qvf_sampling_check(&sampling, 8, NULL), 0);
        expect_wrong(&sampling, 7, "bias[1].id is 7: expected 0 to 6");
        bias[1].id = -1;
        expect_wrong(&sampling, 0, "bias[1].id is -1");
        bias[1].id = 0;
        bias[0].bias = INFINITY;
        expect_wrong(&sampling, 8, "bias[0].bias is inf");
        bias[0].bias = NAN;
        expect_wrong(&sampling, 8, "bias[0].bias is ");
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("options");
        TCase *tcase = tcase_create("options");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_test(tcase, defaults_are_valid);
        tcase_add_test(tcase, wrong_fields_are_named);
        tcase_add_test(tcase, wrong_biases_are_named);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
