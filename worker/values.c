/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/values.h"

#include <errno.h>
#include <string.h>

static struct worker_value *add(struct worker_values *values, const char *key, char type)
{
        static struct worker_value surplus; /* the callers are few and fixed: this is never reached */
        struct worker_value *value =
                        values->count < WORKER_VALUES_MOST ? &values->items[values->count++] : &surplus;

        *value = (struct worker_value){ .key = key, .type = type };
        return value;
}

void worker_values_bool(struct worker_values *values, const char *key, bool value)
{
        add(values, key, 'b')->t = value;
}

void worker_values_u(struct worker_values *values, const char *key, uint32_t value)
{
        add(values, key, 'u')->t = value;
}

void worker_values_t(struct worker_values *values, const char *key, uint64_t value)
{
        add(values, key, 't')->t = value;
}

void worker_values_d(struct worker_values *values, const char *key, double value)
{
        add(values, key, 'd')->d = value;
}

void worker_values_s(struct worker_values *values, const char *key, const char *value)
{
        add(values, key, 's')->s = strdup(value ? value : "");
}

void worker_values_as(struct worker_values *values, const char *key, const char *lines)
{
        add(values, key, 'a')->s = strdup(lines);
}

void worker_values_exit(struct worker_values *values)
{
        for (unsigned i = 0; i < values->count; i++)
                if (values->items[i].type == 's' || values->items[i].type == 'a')
                        free(values->items[i].s);
        values->count = 0;
}

static int append_lines(sd_bus_message *message, const char *lines)
{
        _cleanup_free_ char *copy = strdup(lines);
        char *rest = copy, *line;
        int r = copy ? 0 : -ENOMEM;

        r = r < 0 ? r : sd_bus_message_open_container(message, 'v', "as");
        r = r < 0 ? r : sd_bus_message_open_container(message, 'a', "s");
        while (r >= 0 && (line = strsep(&rest, "\n")))
                if (*line)
                        r = sd_bus_message_append(message, "s", line);
        r = r < 0 ? r : sd_bus_message_close_container(message);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_one(const struct worker_value *value, sd_bus_message *message)
{
        switch (value->type) {
        case 'b': return sd_bus_message_append(message, "v", "b", (int)value->t);
        case 'u': return sd_bus_message_append(message, "v", "u", (uint32_t)value->t);
        case 't': return sd_bus_message_append(message, "v", "t", value->t);
        case 'd': return sd_bus_message_append(message, "v", "d", value->d);
        case 's': return sd_bus_message_append(message, "v", "s", value->s ? value->s : "");
        default: return append_lines(message, value->s ? value->s : "");
        }
}

int worker_values_append(const struct worker_values *values, sd_bus_message *message)
{
        int r = sd_bus_message_open_container(message, 'a', "{sv}");

        for (unsigned i = 0; r >= 0 && i < values->count; i++) {
                r = sd_bus_message_open_container(message, 'e', "sv");
                r = r < 0 ? r : sd_bus_message_append(message, "s", values->items[i].key);
                r = r < 0 ? r : append_one(&values->items[i], message);
                r = r < 0 ? r : sd_bus_message_close_container(message);
        }
        return r < 0 ? r : sd_bus_message_close_container(message);
}
