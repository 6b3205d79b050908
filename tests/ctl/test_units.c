/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as people read and write them, and what a terminal may be shown. */
#include "ctl/units.h"

#include <errno.h>
#include <math.h>

#include "common/cleanup.h"
#include "ctl/terminal.h"
#include "tests/support/suite.h"

START_TEST(numbers_for_people)
{
        ck_assert_str_eq(ctl_bytes(0).text, "0 B");
        ck_assert_str_eq(ctl_bytes(1023).text, "1023 B");
        ck_assert_str_eq(ctl_bytes(15247424).text, "14.5 MiB");
        ck_assert_str_eq(ctl_bytes(UINT64_MAX).text, "16.0 EiB");
        ck_assert_str_eq(ctl_count(999).text, "999");
        ck_assert_str_eq(ctl_count(1626.2).text, "1.6 k");
        ck_assert_str_eq(ctl_count(29400000).text, "29.4 M");
        ck_assert_str_eq(ctl_duration(0.0123).text, "12 ms");
        ck_assert_str_eq(ctl_duration(7).text, "7.0 s");
        ck_assert_str_eq(ctl_duration(59.4).text, "59 s");
        ck_assert_str_eq(ctl_duration(60).text, "1 min 0 s");
        ck_assert_str_eq(ctl_duration(3720).text, "1 h 2 min");
        ck_assert_str_eq(ctl_duration(90000).text, "1 d 1 h");
        ck_assert_str_eq(ctl_duration(-1).text, "-");
        ck_assert_str_eq(ctl_duration(NAN).text, "-");
        ck_assert_str_eq(ctl_energy(-1).text, "unmetered");
        ck_assert_str_eq(ctl_energy(12.3).text, "12 J");
        ck_assert_str_eq(ctl_energy(36000).text, "10.0 Wh");
        ck_assert_str_eq(ctl_loss(NAN).text, "-");
        ck_assert_str_eq(ctl_loss(0.4123).text, "0.412");
        ck_assert_str_eq(ctl_ago(0, 5).text, "never");
        ck_assert_str_eq(ctl_ago(1000000, 61000000).text, "1 min 0 s ago");
        ck_assert_str_eq(ctl_ago(61000000, 61500000).text, "just now");
        ck_assert_str_eq(ctl_ago(71000000, 61000000).text, "in 10 s");
        ck_assert_str_eq(ctl_time(0).text, "-");
}
END_TEST

START_TEST(numbers_from_people)
{
        uint64_t value;

        ck_assert_int_eq(ctl_parse_duration("90", &value), 0);
        ck_assert_uint_eq(value, 90);
        ck_assert_int_eq(ctl_parse_duration("90min", &value), 0);
        ck_assert_uint_eq(value, 5400);
        ck_assert_int_eq(ctl_parse_duration("1.5 h", &value), 0);
        ck_assert_uint_eq(value, 5400);
        ck_assert_int_eq(ctl_parse_bytes("600MiB", &value), 0);
        ck_assert_uint_eq(value, 629145600);
        ck_assert_int_eq(ctl_parse_bytes("1.5G", &value), 0);
        ck_assert_uint_eq(value, 1500000000);
        ck_assert_int_eq(ctl_parse_bytes("", &value), -EINVAL);
        ck_assert_int_eq(ctl_parse_bytes("-1", &value), -EINVAL);
        ck_assert_int_eq(ctl_parse_bytes("12 miles", &value), -EINVAL);
        ck_assert_int_eq(ctl_parse_bytes("1e30", &value), -EINVAL);
        ck_assert_int_eq(ctl_parse_duration("nan", &value), -EINVAL);
}
END_TEST

START_TEST(columns_of_texts)
{
        ck_assert_uint_eq(ctl_columns("abc"), 3);
        ck_assert_uint_eq(ctl_columns("ü€"), 2);
        ck_assert_uint_eq(ctl_columns("漢字"), 4);
        ck_assert_uint_eq(ctl_columns("e\u0301"), 1);
        ck_assert_uint_eq(ctl_columns("\xff\xfe"), 2);
}
END_TEST

START_TEST(nothing_steers_the_terminal)
{
        static const char *const texts[][2] = {
                { "plain ü", "plain ü" },
                { "\033[31mred\a", "?[31mred?" },
                { "a\nb", "a?b" },
                { "\u202eback", "?back" },
                { "\xc2\x9b"
                  "31m",
                                "?31m" },
                { "bad \xff", "bad ?" },
                { "", "" },
        };

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                _cleanup_free_ char *printable = ctl_printable(texts[i][0], false);

                ck_assert_str_eq(printable, texts[i][1]);
        }
}
END_TEST

QVF_SUITE("units", 60, numbers_for_people, numbers_from_people, columns_of_texts,
                nothing_steers_the_terminal)
