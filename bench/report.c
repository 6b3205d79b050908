/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/report.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

static int compare(const void *a_, const void *b_)
{
        const double *a = a_, *b = b_;

        return *a < *b ? -1 : *a > *b;
}

struct bench_statistics bench_statistics(double *values, uint32_t count)
{
        struct bench_statistics s = { 0 };
        double squares = 0;

        if (count == 0)
                return s;
        qsort(values, count, sizeof(*values), compare);
        for (uint32_t i = 0; i < count; i++)
                s.mean += values[i] / count;
        for (uint32_t i = 0; i < count; i++)
                squares += (values[i] - s.mean) * (values[i] - s.mean);
        s.deviation = count > 1 ? sqrt(squares / (count - 1)) : 0;
        s.median = (values[(count - 1) / 2] + values[count / 2]) / 2;
        s.least = values[0];
        s.most = values[count - 1];
        return s;
}

double bench_seconds(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

struct json_object *bench_report_new(const char *verb)
{
        struct json_object *object = json_object_new_object();

        bench_report_string(object, "verb", verb);
        bench_report_string(object, "version", QVF_VERSION);
        return object;
}

void bench_report_number(struct json_object *object, const char *key, double value)
{
        char digits[32];

        if (!object)
                return;
        if (!isfinite(value)) { /* JSON has no word for it */
                json_object_object_add(object, key, NULL);
                return;
        }
        snprintf(digits, sizeof(digits), "%.9g", value);
        json_object_object_add(object, key, json_object_new_double_s(value, digits));
}

void bench_report_count(struct json_object *object, const char *key, uint64_t value)
{
        if (object)
                json_object_object_add(object, key, json_object_new_int64((int64_t)value));
}

void bench_report_string(struct json_object *object, const char *key, const char *value)
{
        if (object)
                json_object_object_add(object, key, value ? json_object_new_string(value) : NULL);
}

void bench_report_statistics(
                struct json_object *object, const char *key, const struct bench_statistics *statistics)
{
        struct json_object *inner = bench_report_object(object, key);

        bench_report_number(inner, "mean", statistics->mean);
        bench_report_number(inner, "deviation", statistics->deviation);
        bench_report_number(inner, "median", statistics->median);
        bench_report_number(inner, "least", statistics->least);
        bench_report_number(inner, "most", statistics->most);
}

struct json_object *bench_report_object(struct json_object *object, const char *key)
{
        struct json_object *inner = object ? json_object_new_object() : NULL;

        if (inner)
                json_object_object_add(object, key, inner);
        return inner;
}

struct json_object *bench_report_array(struct json_object *object, const char *key)
{
        struct json_object *inner = object ? json_object_new_array() : NULL;

        if (inner)
                json_object_object_add(object, key, inner);
        return inner;
}

struct json_object *bench_report_item(struct json_object *array)
{
        struct json_object *inner = array ? json_object_new_object() : NULL;

        if (inner)
                json_object_array_add(array, inner);
        return inner;
}

void bench_report_print(struct json_object *object)
{
        if (object)
                puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
                                                                            JSON_C_TO_STRING_SPACED |
                                                                            JSON_C_TO_STRING_NOSLASHESCAPE));
}
