/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/policy/trace.h"

#include <errno.h>
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "common/similar.h"

/* Of the years 1970 to 2200. */
#define TIME_MOST 7258118400
#define SNAPSHOT(member) offsetof(struct qvf_trace, snapshot.member)

enum kind { TIME, READING, FLAG_READING, ZONES, PROFILE, FLAG, IDLE, WORK, WORK_POWER, HOLDS };

static const struct trace_key {
        const char *name;
        enum kind kind;
        size_t offset;
        double most; /* of readings; the least is 0 */
} keys[] = {
        { "time", TIME, 0, 0 },
        { "idle", IDLE, SNAPSHOT(idle_s), 1e9 },
        { "mains", FLAG_READING, SNAPSHOT(mains), 1 },
        { "charging", FLAG_READING, SNAPSHOT(charging), 1 },
        { "battery", READING, SNAPSHOT(battery_percent), 100 },
        { "zones", ZONES, 0, 0 },
        { "energy_j", READING, SNAPSHOT(energy_j), 1e15 },
        { "power_w", READING, offsetof(struct qvf_trace, power_w), 1e5 },
        { "work_w", WORK_POWER, 0, 1e5 },
        { "memory_total", READING, SNAPSHOT(memory_total_bytes), 1e18 },
        { "memory_available", READING, SNAPSHOT(memory_available_bytes), 1e18 },
        { "memory_pressure", READING, SNAPSHOT(memory_pressure_percent), 100 },
        { "cpu_pressure", READING, SNAPSHOT(cpu_pressure_percent), 100 },
        { "load_by_others", READING, SNAPSHOT(load_by_others_percent), 100 },
        { "gpu_busy_by_others", READING, SNAPSHOT(gpu_busy_by_others_percent), 100 },
        { "disk_free", READING, SNAPSHOT(disk_free_bytes), 1e18 },
        { "metered", FLAG_READING, SNAPSHOT(metered), 1 },
        { "power_profile", PROFILE, 0, 0 },
        { "suspending", FLAG, SNAPSHOT(suspending), 0 },
        { "holds", HOLDS, 0, 65535 },
        { "work", WORK, 0, 0 },
};

static int wrong(const struct trace_key *key, const char *expected, struct qvf_error *error)
{
        return qvf_error_set(error, -EINVAL, "%s: expected %s", key->name, expected);
}

static bool number_of(struct json_object *value, double most, double *ret_number)
{
        double number;

        if (!json_object_is_type(value, json_type_double) && !json_object_is_type(value, json_type_int))
                return false;
        number = json_object_get_double(value);
        if (!(number >= 0 && number <= most))
                return false;
        *ret_number = number;
        return true;
}

static int64_t civil_days(int64_t year, int64_t month, int64_t day)
{
        int64_t y = year - (month <= 2), era = y / 400, of_era = y - era * 400;
        int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

        return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* "2026-01-05 22:00:00" (or with a T), local, or seconds since 1970. */
static int read_time(const struct trace_key *key, struct json_object *value, struct qvf_trace *trace,
                struct qvf_error *error)
{
        int year, month, day, hour, minute, second, end = 0;
        double number;
        int64_t time_s;

        if (json_object_is_type(value, json_type_string)) {
                const char *text = json_object_get_string(value);

                if (sscanf(text, "%4d-%2d-%2d%*1[T ]%2d:%2d:%2d%n", &year, &month, &day, &hour, &minute,
                                    &second, &end) != 6 ||
                                text[end] || year < 1970 || year > 2199 || month < 1 || month > 12 ||
                                day < 1 || day > 31 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
                                second < 0 || second > 60)
                        return wrong(key, "a time as \"2026-01-05 22:00:00\"", error);
                time_s = civil_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
        } else {
                if (!number_of(value, TIME_MOST, &number))
                        return wrong(key, "a time as \"2026-01-05 22:00:00\", or seconds since 1970", error);
                time_s = (int64_t)number;
        }
        if (trace->begun && time_s < trace->time_s)
                return qvf_error_set(error, -EINVAL, "time: before that of the line before");
        trace->time_s = time_s;
        return 0;
}

static int read_zones(const struct trace_key *key, struct json_object *value, struct qvf_trace *trace,
                struct qvf_error *error)
{
        trace->snapshot.n_zones = 0;
        if (json_object_is_type(value, json_type_null))
                return 0;
        if (!json_object_is_type(value, json_type_object))
                return wrong(key, "an object of types and degrees", error);
        json_object_object_foreach(value, type, degrees)
        {
                double celsius;

                if (trace->snapshot.n_zones == QVF_ZONES_MOST || strlen(type) >= QVF_NAME_SIZE ||
                                !number_of(degrees, 1000, &celsius))
                        return wrong(key, "at most 32 types with their degrees Celsius", error);
                strcpy(trace->snapshot.zone[trace->snapshot.n_zones].type, type);
                trace->snapshot.zone[trace->snapshot.n_zones++].celsius = celsius;
        }
        return 0;
}

/* {"training": …, "inference": …}, or one value for both. */
static int read_each(const struct trace_key *key, struct json_object *value, struct qvf_trace *trace,
                struct qvf_error *error)
{
        for (int a = 0; a < QVF_ACTIVITIES; a++) {
                struct json_object *one = value;
                double number = 0;

                if (json_object_is_type(value, json_type_object) &&
                                !json_object_object_get_ex(value, qvf_activity_names[a], &one))
                        continue;
                if (key->kind == WORK && json_object_is_type(one, json_type_boolean))
                        trace->work[a] = json_object_get_boolean(one);
                else if (key->kind == WORK || !number_of(one, key->most, &number))
                        return wrong(key, key->kind == WORK ? "true or false" : "a number", error);
                else if (key->kind == HOLDS)
                        trace->snapshot.holds[a] = (unsigned)number;
                else
                        trace->work_w[a] = number;
        }
        return 0;
}

static int read_reading(const struct trace_key *key, struct json_object *value, struct qvf_trace *trace,
                struct qvf_error *error)
{
        struct qvf_reading *reading = (struct qvf_reading *)(void *)((char *)trace + key->offset);
        double number;

        if (json_object_is_type(value, json_type_null)) {
                *reading = (struct qvf_reading){ 0 };
                return 0;
        }
        if (key->kind == FLAG_READING) {
                if (!json_object_is_type(value, json_type_boolean))
                        return wrong(key, "true, false or null", error);
                number = json_object_get_boolean(value);
        } else if (!number_of(value, key->most, &number)) {
                return qvf_error_set(error, -ERANGE, "%s: expected a number from 0 to %g, or null",
                                key->name, key->most);
        }
        *reading = (struct qvf_reading){ .known = true, .value = number };
        return 0;
}

static int read_word(const struct trace_key *key, struct json_object *value, struct qvf_trace *trace,
                struct qvf_error *error)
{
        const char *text = json_object_get_string(value);

        if (key->kind == FLAG) {
                if (!json_object_is_type(value, json_type_boolean))
                        return wrong(key, "true or false", error);
                trace->snapshot.suspending = json_object_get_boolean(value);
                return 0;
        }
        if (!json_object_is_type(value, json_type_string) ||
                        strlen(text) >= sizeof(trace->snapshot.power_profile))
                return wrong(key, "the name of a profile", error);
        strcpy(trace->snapshot.power_profile, text);
        return 0;
}

static int read_key(const struct trace_key *key, struct json_object *value, struct qvf_trace *trace,
                struct qvf_error *error)
{
        switch (key->kind) {
        case TIME: return read_time(key, value, trace, error);
        case READING:
        case IDLE:
        case FLAG_READING: return read_reading(key, value, trace, error);
        case ZONES: return read_zones(key, value, trace, error);
        case FLAG:
        case PROFILE: return read_word(key, value, trace, error);
        default: return read_each(key, value, trace, error);
        }
}

static int unknown_key(const char *name, struct qvf_error *error)
{
        const char *names[QVF_ARRAY_LENGTH(keys)];
        const char *nearest;

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(keys); i++)
                names[i] = keys[i].name;
        nearest = qvf_nearest_word(name, names, QVF_ARRAY_LENGTH(keys));
        return qvf_error_set(error, -ENOENT, "unknown key \"%.60s\"%s%s%s", name,
                        nearest ? ", did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

static int read_object(struct json_object *object, struct qvf_trace *trace, struct qvf_error *error)
{
        bool timed = false, idle = false;

        if (!json_object_is_type(object, json_type_object))
                return qvf_error_set(error, -EINVAL, "expected one JSON object");
        json_object_object_foreach(object, name, value)
        {
                const struct trace_key *key = NULL;
                int r;

                for (size_t i = 0; i < QVF_ARRAY_LENGTH(keys) && !key; i++)
                        if (strcmp(keys[i].name, name) == 0)
                                key = &keys[i];
                if (!key)
                        return unknown_key(name, error);
                r = read_key(key, value, trace, error);
                if (r < 0)
                        return r;
                timed = timed || key->kind == TIME;
                idle = idle || key->kind == IDLE;
        }
        if (!timed)
                return qvf_error_set(error, -EINVAL, "no \"time\"");
        if (idle)
                trace->idle_since_s = trace->time_s - (int64_t)trace->snapshot.idle_s.value;
        trace->begun = true;
        return 0;
}

int qvf_trace_read(struct qvf_trace *trace, const char *bytes, size_t length, struct qvf_error *error)
{
        struct json_tokener *tokener = json_tokener_new_ex(8);
        struct qvf_trace next = *trace;
        struct json_object *object;
        int r;

        if (!tokener)
                return qvf_error_set(error, -ENOMEM, "out of memory");
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
        if (!next.begun)
                for (int a = 0; a < QVF_ACTIVITIES; a++)
                        next.work[a] = a == QVF_TRAINING;
        object = json_tokener_parse_ex(tokener, bytes, (int)length);
        if (!object || json_tokener_get_parse_end(tokener) != length)
                r = qvf_error_set(error, -EINVAL, "not JSON: %s at byte %zu",
                                json_tokener_get_error(tokener) == json_tokener_success
                                                ? "more behind it"
                                                : json_tokener_error_desc(json_tokener_get_error(tokener)),
                                json_tokener_get_parse_end(tokener));
        else
                r = read_object(object, &next, error);
        json_object_put(object);
        json_tokener_free(tokener);
        if (r < 0)
                return r;
        *trace = next;
        qvf_trace_clock(trace, trace->time_s);
        return 0;
}

void qvf_trace_clock(struct qvf_trace *trace, int64_t time_s)
{
        int64_t day = time_s / 86400;

        trace->snapshot.local_day = day;
        trace->snapshot.local_minute = (unsigned)(time_s % 86400 / 60);
        trace->snapshot.weekday = (unsigned)((day + 3) % 7); /* 1970 began on a Thursday */
        if (trace->snapshot.idle_s.known)
                trace->snapshot.idle_s.value = (double)(time_s - trace->idle_since_s);
}
