/* SPDX-License-Identifier: Apache-2.0 */
/* Quantities as people write them: "5min", "40%", "75°C", "8W", "20Wh", "1.5GiB". Inside they are doubles in the base
 * unit that stands below; "none" is INFINITY where that makes sense to the caller. */
#ifndef QVF_COMMON_UNITS_H
#define QVF_COMMON_UNITS_H

#include <stddef.h>

#include "common/error.h"

enum qvf_unit {
        QVF_UNIT_COUNT,    /* a plain number */
        QVF_UNIT_DURATION, /* seconds */
        QVF_UNIT_PERCENT,  /* 0 … 100 */
        QVF_UNIT_CELSIUS,  /* degrees; °F and K are read too */
        QVF_UNIT_KELVIN,   /* a difference of temperatures; written like a temperature */
        QVF_UNIT_POWER,    /* watts */
        QVF_UNIT_ENERGY,   /* joules */
        QVF_UNIT_BYTES,
        QVF_UNITS
};

/* The text as a whole, blanks around it aside. A unit must be given, except for counts, and for 0, where it does not
 * matter (not so for temperatures). Durations and bytes may be sums: "1h30min". -EINVAL with what was expected. */
int qvf_unit_parse(enum qvf_unit unit, const char *text, double *ret_value, struct qvf_error *error);

enum { QVF_UNIT_TEXT = 48 };
/* So that it reads back as the same value: "90s", "1.5GiB"; INFINITY is "none". */
void qvf_unit_print(enum qvf_unit unit, double value, char text[QVF_UNIT_TEXT]);
/* About three digits, for people to read: "1.4 GiB", "4min 12s". */
void qvf_unit_show(enum qvf_unit unit, double value, char text[QVF_UNIT_TEXT]);
/* "a duration, as 30s, 5min or 1h30min" */
const char *qvf_unit_example(enum qvf_unit unit);

#endif
