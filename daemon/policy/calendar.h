/* SPDX-License-Identifier: Apache-2.0 */
/* Hours and days. What is after midnight of a span like 22:00-07:00 belongs to the day on which the span began. */
#ifndef QVF_DAEMON_POLICY_CALENDAR_H
#define QVF_DAEMON_POLICY_CALENDAR_H

#include "daemon/policy/policy.h"

#define QVF_ALL_DAYS 0x7fu

bool qvf_hours_contain(const struct qvf_hours *hours, unsigned minute);
bool qvf_days_contain(const struct qvf_hours *hours, unsigned days, unsigned weekday, unsigned minute);
/* Minutes until the next start or end of a span, or midnight: until then neither answer changes. 1 … 1440. */
unsigned qvf_calendar_next_minutes(const struct qvf_hours *hours, unsigned minute);

/* "22:00-07:00"; -EINVAL */
int qvf_span_parse(const char *text, unsigned *ret_from, unsigned *ret_to);
void qvf_hours_print(
                const struct qvf_hours *hours, char *text, size_t size); /* "22:00-07:00, 12:00-13:00" */
/* Bit of "mon" or "monday", of "weekdays", "weekend" or "all"; 0 where it is none of them. */
unsigned qvf_day_parse(const char *text);
void qvf_days_print(unsigned days, char *text, size_t size); /* "mon, tue"; "all" */

#endif
