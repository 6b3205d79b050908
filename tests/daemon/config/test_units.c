/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/checked.h"
#include "common/similar.h"
#include "common/units.h"
#include "tests/support/suite.h"

START_TEST(reads_what_people_write)
{
        static const struct {
                enum qvf_unit unit;
                const char *text;
                double value;
        } cases[] = {
                { QVF_UNIT_DURATION, "5min", 300 },
                { QVF_UNIT_DURATION, "1h30min", 5400 },
                { QVF_UNIT_DURATION, "1h 30min", 5400 },
                { QVF_UNIT_DURATION, " 90 s ", 90 },
                { QVF_UNIT_DURATION, "250ms", 0.25 },
                { QVF_UNIT_DURATION, "2 days", 172800 },
                { QVF_UNIT_DURATION, "0", 0 },
                { QVF_UNIT_PERCENT, "40%", 40 },
                { QVF_UNIT_PERCENT, "12.5 %", 12.5 },
                { QVF_UNIT_CELSIUS, "75°C", 75 },
                { QVF_UNIT_CELSIUS, "75C", 75 },
                { QVF_UNIT_CELSIUS, "-10°C", -10 },
                { QVF_UNIT_CELSIUS, "300K", 300 - 273.15 },
                { QVF_UNIT_KELVIN, "5°C", 5 },
                { QVF_UNIT_POWER, "8W", 8 },
                { QVF_UNIT_POWER, "500mW", 0.5 },
                { QVF_UNIT_ENERGY, "20Wh", 72000 },
                { QVF_UNIT_ENERGY, "1.2kWh", 4320000 },
                { QVF_UNIT_BYTES, "1.5GiB", 1.5 * 0x1p30 },
                { QVF_UNIT_BYTES, "2GB", 2e9 },
                { QVF_UNIT_COUNT, "12", 12 },
        };
        double value;

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(cases); i++) {
                ck_assert_msg(qvf_unit_parse(cases[i].unit, cases[i].text, &value, NULL) == 0, "%s",
                                cases[i].text);
                ck_assert_double_eq_tol(value, cases[i].value, 1e-9);
        }
        ck_assert_int_eq(qvf_unit_parse(QVF_UNIT_CELSIUS, "167°F", &value, NULL), 0);
        ck_assert_double_eq_tol(value, 75, 1e-9);
}
END_TEST

START_TEST(refuses_the_rest)
{
        static const struct {
                enum qvf_unit unit;
                const char *text;
        } cases[] = { { QVF_UNIT_DURATION, "5" }, { QVF_UNIT_DURATION, "-5s" }, { QVF_UNIT_DURATION, "5m" },
                { QVF_UNIT_DURATION, "" }, { QVF_UNIT_DURATION, "min" }, { QVF_UNIT_DURATION, "5min x" },
                { QVF_UNIT_DURATION, "1s1s1s1s1s" }, { QVF_UNIT_PERCENT, "40" }, { QVF_UNIT_PERCENT, "40W" },
                { QVF_UNIT_PERCENT, "0x10%" }, { QVF_UNIT_PERCENT, "1e1%" }, { QVF_UNIT_PERCENT, "nan%" },
                { QVF_UNIT_PERCENT, "4%%" }, { QVF_UNIT_PERCENT, ".5%" }, { QVF_UNIT_PERCENT, "5.%" },
                { QVF_UNIT_CELSIUS, "0" }, { QVF_UNIT_CELSIUS, "75" }, { QVF_UNIT_POWER, "8w" },
                { QVF_UNIT_ENERGY, "20W" }, { QVF_UNIT_BYTES, "1.5G" }, { QVF_UNIT_BYTES, "-1GiB" },
                { QVF_UNIT_COUNT, "12s" }, { QVF_UNIT_COUNT, "inf" },
                { QVF_UNIT_COUNT, "99999999999999999999999999999999999999999999999" } };

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(cases); i++) {
                struct qvf_error error = { 0 };
                double value = 4711;

                ck_assert_msg(qvf_unit_parse(cases[i].unit, cases[i].text, &value, &error) == -EINVAL, "%s",
                                cases[i].text);
                ck_assert_double_eq(value, 4711);
                ck_assert_ptr_nonnull(strstr(error.text, qvf_unit_example(cases[i].unit)));
        }
}
END_TEST

START_TEST(what_is_printed_reads_back)
{
        static const double values[] = { 0, 1, 90, 300, 5400, 0.25, 0.333333, 75, 72000, 1.5 * 0x1p30, 1e-3,
                123456789, 0x1p40 + 1 };

        for (int unit = 0; unit < QVF_UNITS; unit++)
                for (size_t i = 0; i < QVF_ARRAY_LENGTH(values); i++) {
                        char text[QVF_UNIT_TEXT];
                        double value = -1;

                        qvf_unit_print((enum qvf_unit)unit, values[i], text);
                        ck_assert_msg(qvf_unit_parse((enum qvf_unit)unit, text, &value, NULL) == 0, "%s",
                                        text);
                        ck_assert_msg(value == values[i], "%.17g became %s, %.17g", values[i], text, value);
                }
}
END_TEST

START_TEST(shows_few_digits)
{
        static const struct {
                enum qvf_unit unit;
                double value;
                const char *text;
        } cases[] = { { QVF_UNIT_DURATION, 252, "4 min 12 s" }, { QVF_UNIT_DURATION, 300, "5 min" },
                { QVF_UNIT_DURATION, 12.2, "12 s" }, { QVF_UNIT_DURATION, 90061, "1 d 1 h" },
                { QVF_UNIT_DURATION, 59.9, "1 min" }, { QVF_UNIT_DURATION, 0, "0 s" },
                { QVF_UNIT_BYTES, 1.4 * 0x1p30, "1.40 GiB" }, { QVF_UNIT_BYTES, 0, "0 B" },
                { QVF_UNIT_BYTES, 512 * 0x1p20, "512 MiB" }, { QVF_UNIT_PERCENT, 37, "37%" },
                { QVF_UNIT_PERCENT, 37.25, "37.2%" }, { QVF_UNIT_CELSIUS, 61.5, "61.5 °C" },
                { QVF_UNIT_POWER, 7.25, "7.25 W" }, { QVF_UNIT_POWER, 0.5, "500 mW" },
                { QVF_UNIT_ENERGY, 71000, "19.7 Wh" }, { QVF_UNIT_POWER, INFINITY, "none" },
                { QVF_UNIT_POWER, NAN, "unknown" }, { QVF_UNIT_COUNT, 8, "8" } };

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(cases); i++) {
                char text[QVF_UNIT_TEXT];

                qvf_unit_show(cases[i].unit, cases[i].value, text);
                ck_assert_str_eq(text, cases[i].text);
        }
}
END_TEST

START_TEST(mistyped_words_find_the_near_one)
{
        static const char *const words[] = { "training", "inference", "devices", "idle_for" };

        ck_assert_uint_eq(qvf_word_distance("", "abc"), 3);
        ck_assert_uint_eq(qvf_word_distance("kitten", "sitting"), 3);
        ck_assert_uint_eq(qvf_word_distance("idle_fro", "idle_for"), 1);
        ck_assert_str_eq(qvf_nearest_word("idle_fro", words, 4), "idle_for");
        ck_assert_str_eq(qvf_nearest_word("Trainig", words, 4), "training");
        ck_assert_ptr_null(qvf_nearest_word("xyzzy", words, 4));
        ck_assert_ptr_null(qvf_nearest_word("", words, 4));
}
END_TEST

QVF_SUITE("units", 30, reads_what_people_write, refuses_the_rest, what_is_printed_reads_back,
                shows_few_digits, mistyped_words_find_the_near_one)
