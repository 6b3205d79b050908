/* SPDX-License-Identifier: Apache-2.0 */
/* What every verb prints with: statistics, times, JSON. */
#ifndef QVF_BENCH_REPORT_H
#define QVF_BENCH_REPORT_H

#include <json-c/json.h>
#include <stdint.h>

#include "common/cleanup.h"

struct bench_statistics {
        double mean, deviation, median, least, most;
};

/* The deviation is that of a sample (n - 1), 0 for one value. Sorts the values. */
struct bench_statistics bench_statistics(double *values, uint32_t count);

double bench_seconds(void); /* monotonic */

/* A new report {"verb": …, "version": …}; NULL without memory. */
struct json_object *bench_report_new(const char *verb);
/* All take NULL for `object` and then do nothing, so that one pass over the results serves text and JSON. */
void bench_report_number(struct json_object *object, const char *key, double value);
void bench_report_count(struct json_object *object, const char *key, uint64_t value);
void bench_report_string(struct json_object *object, const char *key, const char *value);
void bench_report_statistics(
                struct json_object *object, const char *key, const struct bench_statistics *statistics);
struct json_object *bench_report_object(struct json_object *object, const char *key);
struct json_object *bench_report_array(struct json_object *object, const char *key);
struct json_object *bench_report_item(struct json_object *array); /* a new object at its end */
void bench_report_print(struct json_object *object);

static inline void bench_report_freep(struct json_object **object)
{
        json_object_put(*object);
}

#define _cleanup_report_ _cleanup_(bench_report_freep)

#endif
