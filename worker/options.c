/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/options.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"

/* Any number that D-Bus knows, and whether it is whole and not negative. */
static int read_number(sd_bus_message *message, const char *contents, double *ret_double,
                uint64_t *ret_whole, bool *ret_is_whole)
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
        } value;
        int64_t whole = 0;
        int r;

        if (strlen(contents) != 1 || !strchr("ynqiuxtd", contents[0]))
                return -EINVAL;
        r = sd_bus_message_read_basic(message, contents[0], &value);
        if (r < 0)
                return r;
        *ret_is_whole = contents[0] != 'd';
        switch (contents[0]) {
        case 'd': *ret_double = value.d; return 0;
        case 't':
                *ret_double = (double)value.t;
                *ret_whole = value.t;
                return 0;
        case 'y': whole = value.y; break;
        case 'n': whole = value.n; break;
        case 'q': whole = value.q; break;
        case 'i': whole = value.i; break;
        case 'u': whole = value.u; break;
        default: whole = value.x; break;
        }
        *ret_double = (double)whole;
        *ret_whole = (uint64_t)whole;
        return 0;
}

static int read_number_option(sd_bus_message *message, const struct worker_option *option,
                const char *contents, void *place, struct qvf_error *error)
{
        bool is_whole;
        uint64_t whole = 0;
        double number;
        int r = read_number(message, contents, &number, &whole, &is_whole);

        if (r < 0 || (option->type != OPTION_DOUBLE && !is_whole))
                return qvf_error_set(error, -EINVAL, "option %s: type '%s', expected a %snumber",
                                option->key, contents, option->type == OPTION_DOUBLE ? "" : "whole ");
        if (!(number >= option->least && number <= option->most))
                return qvf_error_set(error, -EINVAL, "option %s is %g, expected %g to %g", option->key,
                                number, option->least, option->most);
        if (option->type == OPTION_DOUBLE)
                *(double *)place = number;
        else if (option->type == OPTION_U64)
                *(uint64_t *)place = whole;
        else
                *(uint32_t *)place = (uint32_t)whole;
        return 0;
}

static int choose(const struct worker_option *option, const char *text, void *place, struct qvf_error *error)
{
        const char *at = option->choices;
        size_t length = strlen(text);

        for (unsigned i = 0; *at; i++) {
                size_t n = strcspn(at, " ");

                if (n == length && memcmp(at, text, n) == 0) {
                        *(unsigned *)place = i;
                        return 0;
                }
                at += n + (at[n] != 0);
        }
        return qvf_error_set(error, -EINVAL, "option %s is '%.64s', expected one of: %s", option->key, text,
                        option->choices);
}

static int read_text(sd_bus_message *message, const struct worker_option *option, void *place,
                struct qvf_error *error)
{
        const char *text;
        char *copy;
        int r = sd_bus_message_read_basic(message, 's', &text);

        if (r < 0)
                return r;
        if (option->type == OPTION_CHOICE)
                return choose(option, text, place, error);
        if ((double)strlen(text) < option->least || (double)strlen(text) > option->most)
                return qvf_error_set(error, -EINVAL, "option %s has %zu bytes, expected %g to %g",
                                option->key, strlen(text), option->least, option->most);
        copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        free(*(char **)place);
        *(char **)place = copy;
        return 0;
}

static int read_file(sd_bus_message *message, void *place)
{
        int fd, r = sd_bus_message_read_basic(message, 'h', &fd);

        if (r < 0)
                return r;
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 4);
        if (fd < 0)
                return -errno;
        if (*(int *)place >= 0)
                close(*(int *)place);
        *(int *)place = fd;
        return 0;
}

/* The type that an option must have; NULL: any number. */
static const char *expected(const struct worker_option *option)
{
        switch (option->type) {
        case OPTION_BOOL: return "b";
        case OPTION_STRING:
        case OPTION_CHOICE: return "s";
        case OPTION_FILE: return "h";
        case OPTION_SPECIAL: return option->contents;
        default: return NULL;
        }
}

static int read_one(sd_bus_message *message, const struct worker_option *option, const char *contents,
                void *options, struct qvf_error *error)
{
        void *place = (char *)options + option->offset;
        const char *wanted = expected(option);
        int flag, r;

        if (wanted && strcmp(contents, wanted) != 0)
                return qvf_error_set(error, -EINVAL, "option %s: type '%s', expected '%s'", option->key,
                                contents, wanted);
        switch (option->type) {
        case OPTION_BOOL:
                r = sd_bus_message_read_basic(message, 'b', &flag);
                if (r >= 0)
                        *(bool *)place = flag;
                break;
        case OPTION_STRING:
        case OPTION_CHOICE: r = read_text(message, option, place, error); break;
        case OPTION_FILE: r = read_file(message, place); break;
        case OPTION_SPECIAL: r = option->read(message, contents, options, error); break;
        default: r = read_number_option(message, option, contents, place, error); break;
        }
        return r < 0 ? r : 0;
}

static const struct worker_option *find(const struct worker_option *table, const char *key)
{
        for (; table->key; table++)
                if (strcmp(table->key, key) == 0)
                        return table;
        return NULL;
}

static int read_entry(sd_bus_message *message, const struct worker_option *table, void *options,
                struct qvf_error *error)
{
        const struct worker_option *option;
        const char *key, *contents;
        int r = sd_bus_message_read_basic(message, 's', &key);

        if (r < 0)
                return r;
        option = find(table, key);
        if (!option)
                return qvf_error_set(error, -ENOKEY, "option %.64s is not known", key);
        r = sd_bus_message_peek_type(message, NULL, &contents);
        r = r < 0 ? r : sd_bus_message_enter_container(message, 'v', contents);
        r = r < 0 ? r : read_one(message, option, contents, options, error);
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

int worker_options_read(sd_bus_message *message, const struct worker_option *table, void *options,
                struct qvf_error *error)
{
        int r = sd_bus_message_enter_container(message, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
                r = read_entry(message, table, options, error);
                r = r < 0 ? r : sd_bus_message_exit_container(message);
        }
        r = r < 0 ? r : sd_bus_message_exit_container(message);
        if (r < 0 && error && error->code == 0)
                return qvf_error_set(error, r, "the options can't be read: %s", strerror(-r));
        return r < 0 ? r : 0;
}

void worker_options_exit(const struct worker_option *table, void *options)
{
        for (; table->key; table++) {
                void *place = (char *)options + table->offset;

                if (table->type == OPTION_STRING) {
                        free(*(char **)place);
                        *(char **)place = NULL;
                } else if (table->type == OPTION_FILE) {
                        qvf_closep(place);
                        *(int *)place = -1;
                }
        }
}
