/* SPDX-License-Identifier: Apache-2.0 */
/* Options: a{sv} of a call, checked against one table, kept as a JSON object, and written again as a{sv} for a worker
 * or a property. Descriptors are kept beside it. */
#ifndef QVF_DAEMON_VALUES_H
#define QVF_DAEMON_VALUES_H

#include <json-c/json.h>
#include <stdbool.h>
#include <systemd/sd-bus.h>

enum qvfd_type {
        QVFD_BOOL,
        QVFD_COUNT,  /* u or t */
        QVFD_INT,    /* i */
        QVFD_NUMBER, /* d */
        QVFD_STRING,
        QVFD_FD,
        QVFD_STRINGS,  /* as */
        QVFD_ADAPTERS, /* a(sd) */
        QVFD_BIAS,     /* a(ud) */
};

/* Which calls take an option. */
enum qvfd_group {
        QVFD_G_JOB = 1,       /* what concerns the queue; workers never see it */
        QVFD_G_ADAPTER = 2,   /* the shape of the adapter */
        QVFD_G_RUN = 4,       /* the training itself */
        QVFD_G_DATA = 8,      /* how data is read */
        QVFD_G_PLAN = 16,     /* what CheckData needs besides the data's group */
        QVFD_G_SAMPLING = 32, /* of an answer, as a worker takes it */
        QVFD_G_PROMPT = 64,   /* of an answer, for qvfd alone */
        QVFD_G_STORED = 128,  /* replace, description */
        QVFD_G_CONFIG = 256,
        QVFD_G_RANK = 512,
        QVFD_G_EXPORT = 1024,
        QVFD_G_INTO_MODEL = 2048,
        QVFD_G_FORCE = 4096,
};

enum { QVFD_VALUES_FDS = 4 };

struct qvfd_values {
        struct json_object *json;
        unsigned n_fds;
        struct {
                const char *key;
                int fd; /* a copy of its own */
        } fds[QVFD_VALUES_FDS];
};

/* Reads the a{sv} that comes next. Errors name the key. */
int qvfd_values_read(sd_bus_message *message, unsigned groups, struct qvfd_values *ret_values,
                sd_bus_error *error);
void qvfd_values_exit(struct qvfd_values *values);
int qvfd_values_fd(const struct qvfd_values *values, const char *key); /* -1: none */
#define _cleanup_values_ __attribute__((cleanup(qvfd_values_exit)))

/* Appends the entries of an a{sv} (not its ends) for the keys of these groups that `json` has. */
int qvfd_values_append(sd_bus_message *message, unsigned groups, struct json_object *json);
/* Reads any a{sv} of a worker into a JSON object: basic types and arrays of strings; others are left out. */
int qvfd_values_from_worker(sd_bus_message *message, struct json_object **ret_json);

int qvfd_append_u32(sd_bus_message *message, const char *key, uint32_t value);
int qvfd_append_u64(sd_bus_message *message, const char *key, uint64_t value);
int qvfd_append_double(sd_bus_message *message, const char *key, double value);
int qvfd_append_string(sd_bus_message *message, const char *key, const char *value);
int qvfd_append_bool(sd_bus_message *message, const char *key, bool value);
int qvfd_append_fd(sd_bus_message *message, const char *key, int fd);

#endif
