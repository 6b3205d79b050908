/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/training/schedule.h"

#include <errno.h>
#include <string.h>

#include "tests/support/suite.h"

START_TEST(rates)
{
        struct qvf_schedule schedule = { QVF_SCHEDULE_COSINE, 1e-3f, 1e-5f, 10, 110 };
        float last = 1;

        ck_assert_float_eq_tol(qvf_schedule_rate(&schedule, 1), 1e-4f, 1e-9f);
        ck_assert_float_eq_tol(qvf_schedule_rate(&schedule, 10), 1e-3f, 1e-9f);
        ck_assert_float_eq_tol(qvf_schedule_rate(&schedule, 11), 1e-3f, 1e-9f);
        ck_assert_float_eq_tol(qvf_schedule_rate(&schedule, 61), (1e-3f + 1e-5f) / 2, 1e-8f);
        for (uint64_t step = 11; step <= 110; step++) {
                ck_assert_float_le(qvf_schedule_rate(&schedule, step), last);
                last = qvf_schedule_rate(&schedule, step);
        }
        ck_assert_float_ge(last, 1e-5f);
        ck_assert_float_eq(qvf_schedule_rate(&schedule, 1000), last);
        schedule.kind = QVF_SCHEDULE_LINEAR;
        ck_assert_float_eq_tol(qvf_schedule_rate(&schedule, 61), (1e-3f + 1e-5f) / 2, 1e-8f);
        schedule.kind = QVF_SCHEDULE_CONSTANT;
        ck_assert_float_eq(qvf_schedule_rate(&schedule, 110), 1e-3f);
        schedule.warmup_steps = 110;
        ck_assert_float_eq_tol(qvf_schedule_rate(&schedule, 110), 1e-3f, 1e-9f);
        ck_assert_float_eq_tol(qvf_schedule_rate(&schedule, 111), 1e-3f, 1e-9f);
}
END_TEST

START_TEST(mistakes_are_named)
{
        struct qvf_schedule schedule = { QVF_SCHEDULE_COSINE, 1e-3f, 1e-2f, 0, 10 };
        struct qvf_error error = { 0 };
        enum qvf_schedule_kind kind;

        ck_assert_int_eq(qvf_schedule_check(&schedule, &error), -EINVAL);
        schedule.floor = 0;
        ck_assert_int_eq(qvf_schedule_check(&schedule, &error), 0);
        schedule.warmup_steps = 11;
        ck_assert_int_eq(qvf_schedule_check(&schedule, &error), -EINVAL);
        ck_assert_int_eq(qvf_schedule_parse("cosin", &kind, &error), -EINVAL);
        ck_assert_ptr_nonnull(strstr(error.text, "cosine"));
        ck_assert_int_eq(qvf_schedule_parse("linear", &kind, &error), 0);
        ck_assert_int_eq((int)kind, (int)QVF_SCHEDULE_LINEAR);
}
END_TEST

QVF_SUITE("schedule", 10, rates, mistakes_are_named)
