/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>

#include "engine/sampling/random.h"

START_TEST(known_sequences)
{
        /* From the state 1, 2, 3, 4: the published test vector of xoshiro256**. */
        static const uint64_t expected[] = { 11520u, 0u, 1509978240u, 1215971899390074240u,
                1216172134540287360u, 607988272756665600u, 16172922978634559625u, 8476171486693032832u,
                10595114339597558777u, 2904607092377533576u };
        /* splitmix64 from the seed 1234567. */
        static const uint64_t filled[] = { 6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                4593380528125082431u };
        struct qvf_random random = { { 1, 2, 3, 4 } };

        for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
                ck_assert_uint_eq(qvf_random_next(&random), expected[i]);
        qvf_random_seed(&random, 1234567);
        for (size_t i = 0; i < 4; i++)
                ck_assert_uint_eq(random.state[i], filled[i]);
}
END_TEST

START_TEST(uniform_is_even)
{
        struct qvf_random random;
        int bins[16] = { 0 };
        double chi_square = 0;

        qvf_random_seed(&random, 0); /* the weakest seed */
        for (int i = 0; i < 160000; i++) {
                double value = qvf_random_uniform(&random);

                ck_assert(value >= 0 && value < 1);
                bins[(int)(value * 16)]++;
        }
        for (int i = 0; i < 16; i++)
                chi_square += (bins[i] - 10000.0) * (bins[i] - 10000.0) / 10000.0;
        ck_assert_double_lt(chi_square, 37.7); /* 15 degrees of freedom, p = 0.001 */
}
END_TEST

START_TEST(fresh_seeds_differ)
{
        ck_assert_uint_ne(qvf_random_fresh_seed(), qvf_random_fresh_seed());
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("random");
        TCase *tcase = tcase_create("random");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_test(tcase, known_sequences);
        tcase_add_test(tcase, uniform_is_even);
        tcase_add_test(tcase, fresh_seeds_differ);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
