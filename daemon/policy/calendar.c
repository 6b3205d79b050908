/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/policy/calendar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/checked.h"

enum { DAY_MINUTES = 24 * 60 };

static const struct {
        const char *name;
        unsigned bits;
} day_names[] = { { "mon", 1 }, { "tue", 2 }, { "wed", 4 }, { "thu", 8 }, { "fri", 16 }, { "sat", 32 },
        { "sun", 64 }, { "monday", 1 }, { "tuesday", 2 }, { "wednesday", 4 }, { "thursday", 8 },
        { "friday", 16 }, { "saturday", 32 }, { "sunday", 64 }, { "weekdays", 31 }, { "weekend", 96 },
        { "all", QVF_ALL_DAYS } };

bool qvf_hours_contain(const struct qvf_hours *hours, unsigned minute)
{
        for (unsigned i = 0; i < hours->n; i++) {
                unsigned from = hours->span[i].from_minute, to = hours->span[i].to_minute;

                if (from < to ? minute >= from && minute < to : minute >= from || minute < to)
                        return true;
        }
        return hours->n == 0;
}

bool qvf_days_contain(const struct qvf_hours *hours, unsigned days, unsigned weekday, unsigned minute)
{
        bool today = days >> weekday & 1, yesterday = days >> ((weekday + 6) % 7) & 1;
        bool inside = false;

        for (unsigned i = 0; i < hours->n; i++) {
                unsigned from = hours->span[i].from_minute, to = hours->span[i].to_minute;

                if (to <= from && minute < to && yesterday)
                        return true;
                if (minute >= from && (minute < to || to <= from)) {
                        inside = true;
                        if (today)
                                return true;
                } else if (to <= from && minute < to) {
                        inside = true;
                }
        }
        /* Outside all spans it is the hours that forbid, and the day is the one of the calendar. */
        return inside ? false : today;
}

unsigned qvf_calendar_next_minutes(const struct qvf_hours *hours, unsigned minute)
{
        unsigned next = DAY_MINUTES - minute;

        for (unsigned i = 0; i < hours->n; i++) {
                unsigned edges[] = { hours->span[i].from_minute, hours->span[i].to_minute };

                for (size_t e = 0; e < QVF_ARRAY_LENGTH(edges); e++)
                        if (edges[e] > minute && edges[e] - minute < next)
                                next = edges[e] - minute;
        }
        return next;
}

/* "7:05", "22:00", "24:00" */
static bool read_minute(const char **at, unsigned *ret_minute)
{
        size_t hour_digits = strspn(*at, "0123456789");
        const char *colon = *at + hour_digits;
        unsigned hour = 0, minute;

        if (hour_digits < 1 || hour_digits > 2 || *colon != ':' || strspn(colon + 1, "0123456789") != 2)
                return false;
        for (const char *c = *at; c < colon; c++)
                hour = hour * 10 + (unsigned)(*c - '0');
        minute = (unsigned)(colon[1] - '0') * 10 + (unsigned)(colon[2] - '0');
        if (minute > 59 || hour > 24 || (hour == 24 && minute > 0))
                return false;
        *ret_minute = hour * 60 + minute;
        *at = colon + 3;
        return true;
}

int qvf_span_parse(const char *text, unsigned *ret_from, unsigned *ret_to)
{
        unsigned from, to;

        text += strspn(text, " \t");
        if (!read_minute(&text, &from))
                return -EINVAL;
        text += strspn(text, " \t");
        if (*text++ != '-')
                return -EINVAL;
        text += strspn(text, " \t");
        if (!read_minute(&text, &to) || text[strspn(text, " \t")] || from == to || from == DAY_MINUTES)
                return -EINVAL;
        *ret_from = from;
        *ret_to = to;
        return 0;
}

void qvf_hours_print(const struct qvf_hours *hours, char *text, size_t size)
{
        size_t at = 0;

        snprintf(text, size, "%s", hours->n ? "" : "all");
        for (unsigned i = 0; i < hours->n && at < size; i++) {
                unsigned from = hours->span[i].from_minute, to = hours->span[i].to_minute;

                at += (size_t)snprintf(text + at, size - at, "%s%02u:%02u-%02u:%02u", i ? ", " : "",
                                from / 60, from % 60, to / 60, to % 60);
        }
}

unsigned qvf_day_parse(const char *text)
{
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(day_names); i++)
                if (strcasecmp(day_names[i].name, text) == 0)
                        return day_names[i].bits;
        return 0;
}

void qvf_days_print(unsigned days, char *text, size_t size)
{
        size_t at = 0;

        snprintf(text, size, "%s", days == QVF_ALL_DAYS ? "all" : "");
        for (unsigned i = 0; i < 7 && days != QVF_ALL_DAYS && at < size; i++)
                if (days >> i & 1)
                        at += (size_t)snprintf(
                                        text + at, size - at, "%s%s", at ? ", " : "", day_names[i].name);
}
