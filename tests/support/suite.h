/* SPDX-License-Identifier: Apache-2.0 */
/* The main() of a test program: one suite, one case, forked tests. */
#ifndef QVF_TESTS_SUPPORT_SUITE_H
#define QVF_TESTS_SUPPORT_SUITE_H

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define QVF_SUITE(name, timeout_seconds, ...)                                                               \
        int main(void)                                                                                      \
        {                                                                                                   \
                const TTest *const tests[] = { __VA_ARGS__ };                                               \
                Suite *suite = suite_create(name);                                                          \
                TCase *tcase = tcase_create(name);                                                          \
                SRunner *runner = srunner_create(suite);                                                    \
                int failed;                                                                                 \
                                                                                                            \
                /* A test that fails leaves without flushing what it has printed. */                        \
                setvbuf(stdout, NULL, _IOLBF, 0);                                                           \
                tcase_set_timeout(tcase, timeout_seconds);                                                  \
                for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)                               \
                        tcase_add_test(tcase, tests[i]);                                                    \
                suite_add_tcase(suite, tcase);                                                              \
                srunner_run_all(runner, CK_NORMAL);                                                         \
                failed = srunner_ntests_failed(runner);                                                     \
                srunner_free(runner);                                                                       \
                return failed ? EXIT_FAILURE : EXIT_SUCCESS;                                                \
        }

#endif
