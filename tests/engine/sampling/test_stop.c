/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "engine/sampling/random.h"
#include "engine/sampling/stop.h"

static struct qvf_stop *make(const char *const *strings, size_t count)
{
        struct qvf_stop *stop = NULL;

        ck_assert_int_eq(qvf_stop_new(strings, count, NULL, &stop), 0);
        return stop;
}

/* Feeds one piece and compares what comes out. */
static bool feed(struct qvf_stop *stop, const char *piece, const char *expected)
{
        _cleanup_text_ struct qvf_text safe = { 0 };
        bool stopped = false;

        ck_assert_int_eq(qvf_stop_feed(stop, piece, strlen(piece), &safe, &stopped), 0);
        ck_assert_str_eq(qvf_text_string(&safe), expected);
        return stopped;
}

static void flush(struct qvf_stop *stop, const char *expected)
{
        _cleanup_text_ struct qvf_text safe = { 0 };

        ck_assert_int_eq(qvf_stop_flush(stop, &safe), 0);
        ck_assert_str_eq(qvf_text_string(&safe), expected);
        ck_assert_uint_eq(qvf_stop_held(stop), 0);
}

START_TEST(no_strings)
{
        struct qvf_stop *stop = make(NULL, 0);

        ck_assert(!feed(stop, "anything", "anything"));
        flush(stop, "");
        ck_assert_ptr_null(qvf_stop_free(stop));
        ck_assert_ptr_null(qvf_stop_free(NULL));
}
END_TEST

START_TEST(across_tokens)
{
        struct qvf_stop *stop = make((const char *const[]){ "<end>" }, 1);

        ck_assert(!feed(stop, "one <e", "one "));
        ck_assert(!feed(stop, "", ""));
        ck_assert(!feed(stop, "nd", ""));
        ck_assert_uint_eq(qvf_stop_held(stop), 4);
        ck_assert(!feed(stop, "s<en", "<ends"));
        ck_assert(feed(stop, "d> more", ""));
        ck_assert_int_eq(qvf_stop_which(stop), 0);
        ck_assert(feed(stop, "and more", ""));
        flush(stop, "");
        qvf_stop_reset(stop);
        ck_assert_int_eq(qvf_stop_which(stop), -1);
        ck_assert(!feed(stop, "x<", "x"));
        flush(stop, "<");
        qvf_stop_free(stop);
}
END_TEST

START_TEST(overlapping_strings)
{
        struct qvf_stop *stop = make((const char *const[]){ "abc", "ab" }, 2);

        ck_assert(!feed(stop, "xa", "x"));
        ck_assert(feed(stop, "bc", "")); /* "ab" ends first */
        ck_assert_int_eq(qvf_stop_which(stop), 1);
        qvf_stop_free(stop);

        stop = make((const char *const[]){ "abcd", "bc" }, 2);
        ck_assert(feed(stop, "xabcd", "xa"));
        ck_assert_int_eq(qvf_stop_which(stop), 1);
        qvf_stop_free(stop);

        stop = make((const char *const[]){ "c", "abc", "abc" }, 3);
        ck_assert(feed(stop, "xabc", "x")); /* both end at the same byte: the longest */
        ck_assert_int_eq(qvf_stop_which(stop), 1);
        qvf_stop_free(stop);
}
END_TEST

START_TEST(holds_no_longer_than_needed)
{
        struct qvf_stop *stop = make((const char *const[]){ "aaab", "aac" }, 2);

        ck_assert(!feed(stop, "aaaaaa", "aaa"));
        ck_assert_uint_eq(qvf_stop_held(stop), 3);
        ck_assert(!feed(stop, "a", "a"));
        ck_assert(feed(stop, "c", "a")); /* the last two a belong to "aac" */
        ck_assert_int_eq(qvf_stop_which(stop), 1);
        qvf_stop_free(stop);
}
END_TEST

START_TEST(refuses)
{
        char long_string[QVF_STOP_LENGTH_MAX + 2];
        const char *many[QVF_STOP_STRINGS_MAX + 1];
        struct qvf_stop *stop = NULL;
        struct qvf_error error = { 0 };
        struct qvf_text safe = { .limit = 3 };
        bool stopped;

        memset(long_string, 'x', sizeof(long_string) - 1);
        long_string[sizeof(long_string) - 1] = 0;
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(many); i++)
                many[i] = "x";
        ck_assert_int_eq(qvf_stop_new((const char *const[]){ "a", "" }, 2, &error, &stop), -EINVAL);
        ck_assert_str_eq(error.text, "stop string 2 is empty");
        ck_assert_int_eq(qvf_stop_new((const char *const[]){ long_string }, 1, &error, &stop), -EINVAL);
        ck_assert_int_eq(qvf_stop_new(many, QVF_ARRAY_LENGTH(many), &error, &stop), -EINVAL);
        long_string[QVF_STOP_LENGTH_MAX] = 0;
        stop = make((const char *const[]){ long_string, "qrst" }, 2);
        ck_assert_int_eq(qvf_stop_feed(stop, "qr", 2, &safe, &stopped), 0);
        ck_assert_int_eq(qvf_stop_feed(stop, "xyz", 3, &safe, &stopped), -E2BIG);
        ck_assert_uint_eq(safe.length, 0);
        ck_assert_uint_eq(qvf_stop_held(stop), 2); /* as before */
        ck_assert_int_eq(qvf_stop_feed(stop, "a", 1, &safe, &stopped), 0);
        ck_assert_str_eq(qvf_text_string(&safe), "qra");
        qvf_text_exit(&safe);
        qvf_stop_free(stop);
}
END_TEST

/* The naive twin: looks for every string at every end of the whole text. */
static bool naive(
                const char *text, size_t length, const char *const *strings, size_t count, size_t *ret_safe)
{
        for (size_t end = 1; end <= length; end++) {
                size_t longest = 0;

                for (size_t i = 0; i < count; i++) {
                        size_t size = strlen(strings[i]);

                        if (size <= end && memcmp(text + end - size, strings[i], size) == 0 &&
                                        size > longest)
                                longest = size;
                }
                if (longest) {
                        *ret_safe = end - longest;
                        return true;
                }
        }
        for (size_t held = length; held > 0; held--)
                for (size_t i = 0; i < count; i++)
                        if (strlen(strings[i]) > held &&
                                        memcmp(text + length - held, strings[i], held) == 0) {
                                *ret_safe = length - held;
                                return false;
                        }
        *ret_safe = length;
        return false;
}

START_TEST(matches_naive_one)
{
        struct qvf_random random;

        qvf_random_seed(&random, 11);
        for (int round = 0; round < 3000; round++) {
                _cleanup_(qvf_stop_freep) struct qvf_stop *stop = NULL;
                _cleanup_text_ struct qvf_text safe = { 0 };
                char strings[4][8], text[64];
                const char *pointers[4];
                size_t count = 1 + qvf_random_next(&random) % 4, length = 0;

                for (size_t i = 0; i < count; i++) {
                        size_t size = 1 + qvf_random_next(&random) % 7;

                        for (size_t j = 0; j < size; j++)
                                strings[i][j] = "ab"[qvf_random_next(&random) % 2];
                        strings[i][size] = 0;
                        pointers[i] = strings[i];
                }
                stop = make(pointers, count);
                while (length < 50) {
                        size_t piece = qvf_random_next(&random) % 6, expected;
                        bool stopped;

                        for (size_t j = 0; j < piece; j++)
                                text[length + j] = "abc"[qvf_random_next(&random) % 32 ? j % 2 : 2];
                        ck_assert_int_eq(qvf_stop_feed(stop, text + length, piece, &safe, &stopped), 0);
                        length += piece;
                        ck_assert_int_eq(stopped, naive(text, length, pointers, count, &expected));
                        ck_assert_uint_eq(safe.length, expected);
                        ck_assert(memcmp(qvf_text_string(&safe), text, expected) == 0);
                        if (stopped)
                                break;
                }
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("stop");
        TCase *tcase = tcase_create("stop");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_test(tcase, no_strings);
        tcase_add_test(tcase, across_tokens);
        tcase_add_test(tcase, overlapping_strings);
        tcase_add_test(tcase, holds_no_longer_than_needed);
        tcase_add_test(tcase, refuses);
        tcase_add_test(tcase, matches_naive_one);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
