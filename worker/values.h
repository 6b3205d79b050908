/* SPDX-License-Identifier: Apache-2.0 */
/* Results on their way from the engine's thread to the bus: keys and values, as an a{sv} will hold them. */
#ifndef QVF_WORKER_VALUES_H
#define QVF_WORKER_VALUES_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "common/cleanup.h"

#define WORKER_VALUES_MOST 32u

struct worker_value {
        const char *key; /* lives for ever */
        char type;       /* of D-Bus; 'a': array of strings, one a line */
        union {
                uint64_t t;
                double d;
                char *s;
        };
};

struct worker_values {
        struct worker_value items[WORKER_VALUES_MOST];
        unsigned count;
};

void worker_values_bool(struct worker_values *values, const char *key, bool value);
void worker_values_u(struct worker_values *values, const char *key, uint32_t value);
void worker_values_t(struct worker_values *values, const char *key, uint64_t value);
void worker_values_d(struct worker_values *values, const char *key, double value);
void worker_values_s(struct worker_values *values, const char *key, const char *value);
/* `lines`: the strings, each ended by a newline. */
void worker_values_as(struct worker_values *values, const char *key, const char *lines);
void worker_values_exit(struct worker_values *values);
/* As a{sv}. */
int worker_values_append(const struct worker_values *values, sd_bus_message *message);

#endif
