/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/text.h"

START_TEST(utf8_round_trip)
{
        for (uint32_t codepoint = 0; codepoint <= 0x10ffff; codepoint++) {
                char bytes[4];
                uint32_t back;
                size_t length;

                if (codepoint >= 0xd800 && codepoint < 0xe000)
                        continue;
                length = qvf_utf8_encode(codepoint, bytes);
                /* Each ck_assert writes to a pipe: a million of them take a minute on a slow machine. */
                if (qvf_utf8_decode(bytes, length, &back) != length || back != codepoint)
                        ck_abort_msg("U+%04X came back as U+%04X", codepoint, back);
        }
}
END_TEST

START_TEST(utf8_rejects)
{
        static const char *const bad[] = { "\x80", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80",
                "\xf5\x80\x80\x80", "\xe2\x82" };
        uint32_t codepoint;

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                ck_assert_uint_eq(qvf_utf8_decode(bad[i], strlen(bad[i]), &codepoint), 0);
        ck_assert_uint_eq(qvf_utf8_valid_prefix("ab\xe2\x82", 4), 2);
}
END_TEST

START_TEST(text_limit)
{
        struct qvf_text text = { .limit = 5 };

        ck_assert_int_eq(qvf_text_append_string(&text, "abc"), 0);
        ck_assert_int_eq(qvf_text_append_string(&text, "def"), -E2BIG);
        ck_assert_str_eq(qvf_text_string(&text), "abc");
        ck_assert_int_eq(qvf_text_appendf(&text, "%d", 42), 0);
        ck_assert_str_eq(qvf_text_string(&text), "abc42");
        qvf_text_exit(&text);
        ck_assert_str_eq(qvf_text_string(&text), "");
}
END_TEST

START_TEST(error_is_printable)
{
        struct qvf_error error = { 0 };

        ck_assert_int_eq(qvf_error_set(&error, -EINVAL, "key '%s'", "a\x1b[2J\n"), -EINVAL);
        ck_assert_str_eq(error.text, "key 'a?[2J?'");
        qvf_error_prefix(&error, "file %d", 7);
        ck_assert_str_eq(error.text, "file 7: key 'a?[2J?'");
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("text");
        TCase *tcase = tcase_create("text");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_test(tcase, utf8_round_trip);
        tcase_add_test(tcase, utf8_rejects);
        tcase_add_test(tcase, text_limit);
        tcase_add_test(tcase, error_is_printable);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
