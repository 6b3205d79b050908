/* SPDX-License-Identifier: Apache-2.0 */
#include "common/units.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"

struct scale {
        enum qvf_unit unit;
        const char *name;
        double factor;
        double zero; /* the base unit's value at 0 of this one */
        bool print;  /* one of those that we write ourselves */
};

/* Of one unit from the largest to the smallest, so that printing takes the first that fits. */
static const struct scale scales[] = {
        { QVF_UNIT_COUNT, "", 1, 0, true },
        { QVF_UNIT_DURATION, "d", 86400, 0, true },
        { QVF_UNIT_DURATION, "day", 86400, 0, false },
        { QVF_UNIT_DURATION, "days", 86400, 0, false },
        { QVF_UNIT_DURATION, "h", 3600, 0, true },
        { QVF_UNIT_DURATION, "hour", 3600, 0, false },
        { QVF_UNIT_DURATION, "hours", 3600, 0, false },
        { QVF_UNIT_DURATION, "min", 60, 0, true },
        { QVF_UNIT_DURATION, "minutes", 60, 0, false },
        { QVF_UNIT_DURATION, "s", 1, 0, true },
        { QVF_UNIT_DURATION, "sec", 1, 0, false },
        { QVF_UNIT_DURATION, "seconds", 1, 0, false },
        { QVF_UNIT_DURATION, "ms", 1e-3, 0, true },
        { QVF_UNIT_PERCENT, "%", 1, 0, true },
        { QVF_UNIT_CELSIUS, "°C", 1, 0, true },
        { QVF_UNIT_CELSIUS, "C", 1, 0, false },
        { QVF_UNIT_CELSIUS, "°F", 5.0 / 9.0, -160.0 / 9.0, false },
        { QVF_UNIT_CELSIUS, "F", 5.0 / 9.0, -160.0 / 9.0, false },
        { QVF_UNIT_CELSIUS, "K", 1, -273.15, false },
        { QVF_UNIT_KELVIN, "°C", 1, 0, true },
        { QVF_UNIT_KELVIN, "C", 1, 0, false },
        { QVF_UNIT_KELVIN, "K", 1, 0, false },
        { QVF_UNIT_KELVIN, "°F", 5.0 / 9.0, 0, false },
        { QVF_UNIT_KELVIN, "F", 5.0 / 9.0, 0, false },
        { QVF_UNIT_POWER, "kW", 1e3, 0, true },
        { QVF_UNIT_POWER, "W", 1, 0, true },
        { QVF_UNIT_POWER, "mW", 1e-3, 0, true },
        { QVF_UNIT_ENERGY, "kWh", 3.6e6, 0, true },
        { QVF_UNIT_ENERGY, "Wh", 3.6e3, 0, true },
        { QVF_UNIT_ENERGY, "mWh", 3.6, 0, true },
        { QVF_UNIT_ENERGY, "kJ", 1e3, 0, false },
        { QVF_UNIT_ENERGY, "J", 1, 0, true },
        { QVF_UNIT_BYTES, "TiB", 0x1p40, 0, true },
        { QVF_UNIT_BYTES, "GiB", 0x1p30, 0, true },
        { QVF_UNIT_BYTES, "MiB", 0x1p20, 0, true },
        { QVF_UNIT_BYTES, "KiB", 0x1p10, 0, true },
        { QVF_UNIT_BYTES, "TB", 1e12, 0, false },
        { QVF_UNIT_BYTES, "GB", 1e9, 0, false },
        { QVF_UNIT_BYTES, "MB", 1e6, 0, false },
        { QVF_UNIT_BYTES, "kB", 1e3, 0, false },
        { QVF_UNIT_BYTES, "B", 1, 0, true },
};

static const char *const examples[QVF_UNITS] = {
        [QVF_UNIT_COUNT] = "a number",
        [QVF_UNIT_DURATION] = "a duration, as 30s, 5min or 1h30min",
        [QVF_UNIT_PERCENT] = "a share, as 40%",
        [QVF_UNIT_CELSIUS] = "a temperature, as 75°C",
        [QVF_UNIT_KELVIN] = "a difference of temperatures, as 5°C",
        [QVF_UNIT_POWER] = "a power, as 8W or 500mW",
        [QVF_UNIT_ENERGY] = "an energy, as 20Wh",
        [QVF_UNIT_BYTES] = "a size, as 512MiB or 1.5GiB",
};

const char *qvf_unit_example(enum qvf_unit unit)
{
        return examples[unit];
}

/* A decimal number without sign, exponent, hexadecimal or locale; strtod() would take them all. */
static bool read_number(const char **at, double *ret_value)
{
        const char *start = *at;
        const char *end = start + strspn(start, "0123456789");
        char digits[40];
        size_t length;

        if (*end == '.')
                end += 1 + strspn(end + 1, "0123456789");
        length = (size_t)(end - start);
        if (length == 0 || length >= sizeof(digits) || start[0] == '.' || end[-1] == '.')
                return false;
        /* The whole part and the fraction by hand: the locale may call for a comma. */
        memcpy(digits, start, length);
        digits[length] = 0;
        {
                char *point = strchr(digits, '.');
                double value = 0, fraction = 0, divisor = 1;

                if (point)
                        *point = 0;
                for (const char *c = digits; *c; c++)
                        value = value * 10 + (*c - '0');
                for (const char *c = point ? point + 1 : ""; *c; c++) {
                        fraction = fraction * 10 + (*c - '0');
                        divisor *= 10;
                }
                *ret_value = value + fraction / divisor;
        }
        *at = end;
        return true;
}

static const struct scale *read_scale(enum qvf_unit unit, const char **at)
{
        size_t length = strcspn(*at, "0123456789. \t-+");

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(scales); i++)
                if (scales[i].unit == unit && strlen(scales[i].name) == length &&
                                memcmp(scales[i].name, *at, length) == 0) {
                        *at += length;
                        return &scales[i];
                }
        return NULL;
}

static const char *skip_blanks(const char *at)
{
        return at + strspn(at, " \t");
}

static int not_one(enum qvf_unit unit, const char *text, struct qvf_error *error)
{
        return qvf_error_set(error, -EINVAL, "\"%.60s\" is not %s", text, examples[unit]);
}

/* Values are kept to a millionth of their base unit (large ones to the whole), so that six digits say them exactly. */
static double whole_millionths(double value)
{
        return fabs(value) < 0x1p33 ? rint(value * 1e6) / 1e6 : rint(value);
}

int qvf_unit_parse(enum qvf_unit unit, const char *text, double *ret_value, struct qvf_error *error)
{
        bool sums = unit == QVF_UNIT_DURATION || unit == QVF_UNIT_BYTES;
        bool negative = false;
        const char *at = skip_blanks(text);
        double sum = 0;

        if (unit == QVF_UNIT_CELSIUS && *at == '-') {
                negative = true;
                at++;
        }
        for (unsigned parts = 0; parts == 0 || (*at && sums && parts < 4); parts++) {
                const struct scale *scale;
                double number;

                if (!read_number(&at, &number))
                        return not_one(unit, text, error);
                at = skip_blanks(at);
                scale = read_scale(unit, &at);
                at = skip_blanks(at);
                if (!scale && number == 0 && *at == 0 && parts == 0 && unit != QVF_UNIT_CELSIUS) {
                        *ret_value = 0;
                        return 0;
                }
                if (!scale)
                        return not_one(unit, text, error);
                sum += (negative ? -number : number) * scale->factor + scale->zero;
        }
        if (*at || !isfinite(sum))
                return not_one(unit, text, error);
        *ret_value = whole_millionths(sum);
        return 0;
}

void qvf_unit_print(enum qvf_unit unit, double value, char text[QVF_UNIT_TEXT])
{
        if (isinf(value)) {
                strcpy(text, "none");
                return;
        }
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(scales); i++) {
                double scaled = value / scales[i].factor;
                double back;

                if (scales[i].unit != unit || !scales[i].print ||
                                (fabs(scaled) < 1 && scales[i].factor > 1) ||
                                (scales[i].factor != 1 && fabs(rint(scaled * 100) - scaled * 100) > 1e-6))
                        continue;
                /* The first whose few digits give the very same value; a base unit takes all digits it needs. */
                for (int digits = 0; digits <= 2; digits++) {
                        snprintf(text, QVF_UNIT_TEXT, "%.*f%s", digits, scaled, scales[i].name);
                        if (qvf_unit_parse(unit, text, &back, NULL) == 0 && back == value)
                                return;
                }
                if (scales[i].factor != 1)
                        continue;
                for (int digits = 3; digits <= 6; digits++) {
                        snprintf(text, QVF_UNIT_TEXT, "%.*f%s", digits, scaled, scales[i].name);
                        if (qvf_unit_parse(unit, text, &back, NULL) == 0 && back == value)
                                return;
                }
                return;
        }
        snprintf(text, QVF_UNIT_TEXT, "%.17g", value);
}

static void show_duration(double seconds, char text[QVF_UNIT_TEXT])
{
        static const struct {
                double size;
                const char *name;
        } parts[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
        double whole = floor(seconds + 0.5);

        if (seconds < 10) {
                snprintf(text, QVF_UNIT_TEXT, "%.3g s", seconds);
                return;
        }
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(parts); i++) {
                double count = floor(whole / parts[i].size);
                double rest = i + 1 < QVF_ARRAY_LENGTH(parts)
                                              ? floor((whole - count * parts[i].size) / parts[i + 1].size)
                                              : 0;

                if (count < 1)
                        continue;
                if (rest >= 1)
                        snprintf(text, QVF_UNIT_TEXT, "%.0f %s %.0f %s", count, parts[i].name, rest,
                                        parts[i + 1].name);
                else
                        snprintf(text, QVF_UNIT_TEXT, "%.0f %s", count, parts[i].name);
                return;
        }
}

void qvf_unit_show(enum qvf_unit unit, double value, char text[QVF_UNIT_TEXT])
{
        const struct scale *best = NULL;

        if (!isfinite(value)) {
                strcpy(text, isnan(value) ? "unknown" : "none");
                return;
        }
        if (unit == QVF_UNIT_DURATION) {
                show_duration(value, text);
                return;
        }
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(scales); i++)
                if (scales[i].unit == unit && scales[i].print &&
                                (!best || fabs(value) < best->factor * 0.9995) &&
                                !(best && fabs(value) == 0 && best->factor == 1))
                        best = &scales[i];
        value /= best->factor;
        snprintf(text, QVF_UNIT_TEXT, "%.*f%s%s",
                        fabs(value) >= 99.95 || value == floor(value)      ? 0
                        : unit == QVF_UNIT_PERCENT || fabs(value) >= 9.995 ? 1
                                                                           : 2,
                        value, unit == QVF_UNIT_PERCENT ? "" : " ", best->name);
        if (unit == QVF_UNIT_COUNT)
                text[strcspn(text, " ")] = 0;
}
