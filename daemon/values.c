/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/values.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "common/checked.h"
#include "daemon/failure.h"
#include "daemon/value_table.h"

static const struct qvfd_value_entry *find(const char *key, unsigned groups)
{
        for (const struct qvfd_value_entry *entry = qvfd_value_table; entry->key; entry++)
                if ((entry->groups & groups) && strcmp(entry->key, key) == 0)
                        return entry;
        return NULL;
}

int qvfd_values_fd(const struct qvfd_values *values, const char *key)
{
        for (unsigned i = 0; i < values->n_fds; i++)
                if (strcmp(values->fds[i].key, key) == 0)
                        return values->fds[i].fd;
        return -1;
}

void qvfd_values_exit(struct qvfd_values *values)
{
        for (unsigned i = 0; i < values->n_fds; i++)
                close(values->fds[i].fd);
        json_object_put(values->json);
        *values = (struct qvfd_values){ 0 };
}

static int wrong(const struct qvfd_value_entry *entry, const char *type, sd_bus_error *error)
{
        static const char *const words[] = { "a boolean", "a count", "an integer", "a number", "a string",
                "a descriptor", "a list of strings (as)", "a list of names and scales (a(sd))",
                "a list of tokens and biases (a(ud))" };

        return qvfd_fail(error, "InvalidArgument", "option %s: expected %s, got the type %s", entry->key,
                        words[entry->type], type);
}

/* Any integer type, or a double, as what the table wants. */
static int read_number(sd_bus_message *message, char type, double *ret_value, uint64_t *ret_exact,
                bool *ret_integer)
{
        union {
                uint8_t y;
                int16_t n;
                uint16_t q;
                int32_t i;
                uint32_t u;
                int64_t x;
                uint64_t t;
                double d;
        } v;
        int r = sd_bus_message_read_basic(message, type, &v);

        if (r < 0)
                return r;
        *ret_integer = type != 'd';
        switch (type) {
        case 'y': *ret_exact = v.y, *ret_value = v.y; break;
        case 'n': *ret_exact = (uint64_t)v.n, *ret_value = v.n; break;
        case 'q': *ret_exact = v.q, *ret_value = v.q; break;
        case 'i': *ret_exact = (uint64_t)v.i, *ret_value = v.i; break;
        case 'u': *ret_exact = v.u, *ret_value = v.u; break;
        case 'x': *ret_exact = (uint64_t)v.x, *ret_value = (double)v.x; break;
        case 't': *ret_exact = v.t, *ret_value = (double)v.t; break;
        default: *ret_exact = 0, *ret_value = v.d; break;
        }
        return 0;
}

static int take_number(sd_bus_message *message, const struct qvfd_value_entry *entry, const char *type,
                struct json_object **ret_value, sd_bus_error *error)
{
        uint64_t exact = 0;
        double value = 0;
        bool integer = false;
        int r;

        if (type[1] || !strchr("ynqiuxtd", type[0]))
                return wrong(entry, type, error);
        r = read_number(message, type[0], &value, &exact, &integer);
        if (r < 0)
                return r;
        if (entry->type != QVFD_NUMBER && !integer)
                return wrong(entry, type, error);
        if (!(value >= entry->least && value <= entry->most))
                return qvfd_fail(error, "InvalidArgument", "option %s: %g is not from %g to %g", entry->key,
                                value, entry->least, entry->most);
        *ret_value = entry->type == QVFD_NUMBER ? json_object_new_double(value)
                     : entry->type == QVFD_INT  ? json_object_new_int64((int64_t)exact)
                                                : json_object_new_uint64(exact);
        return 0;
}

/* `choices` are separated by spaces. */
static bool is_choice(const char *choices, const char *value)
{
        size_t length = strlen(value);

        for (const char *at = choices; length > 0 && (at = strstr(at, value)) != NULL; at++)
                if ((at == choices || at[-1] == ' ') && (at[length] == ' ' || at[length] == 0))
                        return true;
        return false;
}

static int take_string(sd_bus_message *message, const struct qvfd_value_entry *entry, const char *type,
                struct json_object **ret_value, sd_bus_error *error)
{
        const char *text;
        int r;

        if (strcmp(type, "s") != 0)
                return wrong(entry, type, error);
        r = sd_bus_message_read_basic(message, 's', &text);
        if (r < 0)
                return r;
        if (strlen(text) > entry->most)
                return qvfd_fail(error, "InvalidArgument", "option %s: longer than %.0f bytes", entry->key,
                                entry->most);
        if (entry->choices && !is_choice(entry->choices, text))
                return qvfd_fail(error, "InvalidArgument", "option %s: %.60s is none of: %s", entry->key,
                                text, entry->choices);
        *ret_value = json_object_new_string(text);
        return 0;
}

/* as, a(sd) and a(ud): up to entry->most items. */
static int take_list(sd_bus_message *message, const struct qvfd_value_entry *entry, const char *type,
                struct json_object **ret_value, sd_bus_error *error)
{
        static const char *const types[] = {
                [QVFD_STRINGS] = "s", [QVFD_ADAPTERS] = "(sd)", [QVFD_BIAS] = "(ud)"
        };
        struct json_object *list;
        int r;

        if (type[0] != 'a' || strcmp(type + 1, types[entry->type]) != 0)
                return wrong(entry, type, error);
        r = sd_bus_message_enter_container(message, 'a', types[entry->type]);
        if (r < 0)
                return r;
        list = json_object_new_array();
        *ret_value = list;
        for (;;) {
                struct json_object *pair;
                const char *text = NULL;
                uint32_t token = 0;
                double scale = 0;

                r = entry->type == QVFD_STRINGS    ? sd_bus_message_read(message, "s", &text)
                    : entry->type == QVFD_ADAPTERS ? sd_bus_message_read(message, "(sd)", &text, &scale)
                                                   : sd_bus_message_read(message, "(ud)", &token, &scale);
                if (r <= 0)
                        break;
                if (json_object_array_length(list) >= (size_t)entry->most)
                        return qvfd_fail(error, "InvalidArgument", "option %s: more than %.0f items",
                                        entry->key, entry->most);
                if (isnan(scale))
                        return qvfd_fail(error, "InvalidArgument", "option %s: not a number", entry->key);
                if (entry->type == QVFD_STRINGS) {
                        json_object_array_add(list, json_object_new_string(text));
                        continue;
                }
                pair = json_object_new_array();
                json_object_array_add(
                                pair, text ? json_object_new_string(text) : json_object_new_uint64(token));
                json_object_array_add(pair, json_object_new_double(scale));
                json_object_array_add(list, pair);
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int take_fd(sd_bus_message *message, const struct qvfd_value_entry *entry, const char *type,
                struct qvfd_values *values, sd_bus_error *error)
{
        int fd, r;

        if (strcmp(type, "h") != 0)
                return wrong(entry, type, error);
        r = sd_bus_message_read_basic(message, 'h', &fd);
        if (r < 0)
                return r;
        if (values->n_fds == QVFD_VALUES_FDS)
                return qvfd_fail(error, "InvalidArgument", "too many descriptors");
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return -errno;
        values->fds[values->n_fds].key = entry->key;
        values->fds[values->n_fds++].fd = fd;
        return 0;
}

static int take(sd_bus_message *message, const struct qvfd_value_entry *entry, const char *type,
                struct qvfd_values *values, sd_bus_error *error)
{
        struct json_object *value = NULL;
        int boolean, r;

        switch (entry->type) {
        case QVFD_FD: return take_fd(message, entry, type, values, error);
        case QVFD_BOOL:
                if (strcmp(type, "b") != 0)
                        return wrong(entry, type, error);
                r = sd_bus_message_read_basic(message, 'b', &boolean);
                if (r >= 0)
                        value = json_object_new_boolean(boolean);
                break;
        case QVFD_COUNT:
        case QVFD_INT:
        case QVFD_NUMBER: r = take_number(message, entry, type, &value, error); break;
        case QVFD_STRING: r = take_string(message, entry, type, &value, error); break;
        default: r = take_list(message, entry, type, &value, error); break;
        }
        if (value)
                json_object_object_add(values->json, entry->key, value);
        return r < 0 ? r : 0;
}

static int read_entry(
                sd_bus_message *message, unsigned groups, struct qvfd_values *values, sd_bus_error *error)
{
        const struct qvfd_value_entry *entry;
        const char *key, *type;
        int r = sd_bus_message_read_basic(message, 's', &key);

        if (r < 0)
                return r;
        entry = find(key, groups);
        if (!entry)
                return qvfd_fail(error, "UnknownOption", "there is no option %.60s here", key);
        if (json_object_object_get_ex(values->json, key, NULL) || qvfd_values_fd(values, key) >= 0)
                return qvfd_fail(error, "InvalidArgument", "option %s is given twice", key);
        r = sd_bus_message_peek_type(message, NULL, &type);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(message, 'v', type);
        if (r < 0)
                return r;
        /* The type text lives as long as the container is entered. */
        r = take(message, entry, type, values, error);
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

int qvfd_values_read(sd_bus_message *message, unsigned groups, struct qvfd_values *ret_values,
                sd_bus_error *error)
{
        struct qvfd_values values = { .json = json_object_new_object() };
        int r = values.json ? sd_bus_message_enter_container(message, 'a', "{sv}") : -ENOMEM;

        while (r >= 0) {
                r = sd_bus_message_enter_container(message, 'e', "sv");
                if (r <= 0)
                        break;
                r = read_entry(message, groups, &values, error);
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        if (r < 0) {
                qvfd_values_exit(&values);
                return r;
        }
        *ret_values = values;
        return 0;
}

static int append_list(
                sd_bus_message *message, const struct qvfd_value_entry *entry, struct json_object *list)
{
        static const char *const types[] = {
                [QVFD_STRINGS] = "s", [QVFD_ADAPTERS] = "(sd)", [QVFD_BIAS] = "(ud)"
        };
        char variant[8] = "a";
        int r;

        strcat(variant, types[entry->type]);
        r = sd_bus_message_open_container(message, 'v', variant);
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', types[entry->type]);
        for (size_t i = 0; r >= 0 && i < json_object_array_length(list); i++) {
                struct json_object *item = json_object_array_get_idx(list, i);

                if (entry->type == QVFD_STRINGS) {
                        r = sd_bus_message_append(message, "s", json_object_get_string(item));
                        continue;
                }
                if (!json_object_is_type(item, json_type_array) || json_object_array_length(item) != 2)
                        return -EBADMSG;
                if (entry->type == QVFD_ADAPTERS)
                        r = sd_bus_message_append(message, "(sd)",
                                        json_object_get_string(json_object_array_get_idx(item, 0)),
                                        json_object_get_double(json_object_array_get_idx(item, 1)));
                else
                        r = sd_bus_message_append(message, "(ud)",
                                        (uint32_t)json_object_get_uint64(json_object_array_get_idx(item, 0)),
                                        json_object_get_double(json_object_array_get_idx(item, 1)));
        }
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_value(
                sd_bus_message *message, const struct qvfd_value_entry *entry, struct json_object *value)
{
        switch (entry->type) {
        case QVFD_BOOL: return sd_bus_message_append(message, "v", "b", json_object_get_boolean(value));
        case QVFD_COUNT: return sd_bus_message_append(message, "v", "t", json_object_get_uint64(value));
        case QVFD_INT: return sd_bus_message_append(message, "v", "i", (int)json_object_get_int64(value));
        case QVFD_NUMBER: return sd_bus_message_append(message, "v", "d", json_object_get_double(value));
        case QVFD_STRING: return sd_bus_message_append(message, "v", "s", json_object_get_string(value));
        default:
                return json_object_is_type(value, json_type_array) ? append_list(message, entry, value)
                                                                   : -EBADMSG;
        }
}

int qvfd_values_append(sd_bus_message *message, unsigned groups, struct json_object *json)
{
        for (const struct qvfd_value_entry *entry = qvfd_value_table; entry->key; entry++) {
                struct json_object *value;
                int r;

                if (!(entry->groups & groups) || entry->type == QVFD_FD ||
                                !json_object_object_get_ex(json, entry->key, &value))
                        continue;
                r = sd_bus_message_open_container(message, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append_basic(message, 's', entry->key);
                if (r >= 0)
                        r = append_value(message, entry, value);
                if (r >= 0)
                        r = sd_bus_message_close_container(message);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* One value of a worker; NULL where its type is none that anything is done with. */
static int worker_value(sd_bus_message *message, const char *type, struct json_object **ret_value)
{
        uint64_t exact = 0;
        double number = 0;
        bool integer = false;
        const char *text;
        int boolean, r;

        *ret_value = NULL;
        if (strcmp(type, "s") == 0) {
                r = sd_bus_message_read_basic(message, 's', &text);
                if (r > 0)
                        *ret_value = json_object_new_string(text);
        } else if (strcmp(type, "b") == 0) {
                r = sd_bus_message_read_basic(message, 'b', &boolean);
                if (r > 0)
                        *ret_value = json_object_new_boolean(boolean);
        } else if (strcmp(type, "as") == 0) {
                r = sd_bus_message_enter_container(message, 'a', "s");
                *ret_value = json_object_new_array();
                while (r > 0 && (r = sd_bus_message_read_basic(message, 's', &text)) > 0)
                        json_object_array_add(*ret_value, json_object_new_string(text));
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
        } else if (type[0] && !type[1] && strchr("ynqiuxtd", type[0])) {
                r = read_number(message, type[0], &number, &exact, &integer);
                if (r >= 0)
                        *ret_value = !integer     ? json_object_new_double(number)
                                     : number < 0 ? json_object_new_int64((int64_t)exact)
                                                  : json_object_new_uint64(exact);
        } else {
                r = sd_bus_message_skip(message, type);
        }
        return r;
}

int qvfd_values_from_worker(sd_bus_message *message, struct json_object **ret_json)
{
        struct json_object *json = json_object_new_object();
        int r = sd_bus_message_enter_container(message, 'a', "{sv}");

        while (r >= 0) {
                struct json_object *value = NULL;
                const char *key, *type;

                r = sd_bus_message_enter_container(message, 'e', "sv");
                if (r <= 0)
                        break;
                r = sd_bus_message_read_basic(message, 's', &key);
                if (r >= 0)
                        r = sd_bus_message_peek_type(message, NULL, &type);
                if (r >= 0)
                        r = sd_bus_message_enter_container(message, 'v', type);
                if (r >= 0)
                        r = worker_value(message, type, &value);
                if (value)
                        json_object_object_add(json, key, value);
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        if (r < 0) {
                json_object_put(json);
                return r;
        }
        *ret_json = json;
        return 0;
}

int qvfd_append_u32(sd_bus_message *message, const char *key, uint32_t value)
{
        return sd_bus_message_append(message, "{sv}", key, "u", value);
}

int qvfd_append_u64(sd_bus_message *message, const char *key, uint64_t value)
{
        return sd_bus_message_append(message, "{sv}", key, "t", value);
}

int qvfd_append_double(sd_bus_message *message, const char *key, double value)
{
        return sd_bus_message_append(message, "{sv}", key, "d", value);
}

int qvfd_append_string(sd_bus_message *message, const char *key, const char *value)
{
        return sd_bus_message_append(message, "{sv}", key, "s", value);
}

int qvfd_append_bool(sd_bus_message *message, const char *key, bool value)
{
        return sd_bus_message_append(message, "{sv}", key, "b", (int)value);
}

int qvfd_append_fd(sd_bus_message *message, const char *key, int fd)
{
        return sd_bus_message_append(message, "{sv}", key, "h", fd);
}
