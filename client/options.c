/* SPDX-License-Identifier: Apache-2.0 */
/* Options that a caller collects: a list, appended to a message as a{sv}. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"

struct item {
        char *key;
        const char *signature; /* of the variant */
        union {
                dbus_bool_t boolean;
                dbus_int64_t integer;
                double number;
                int fd;
        };
        char **texts; /* of s one, of as and a(sd) many; NULL ends them */
        double *weights;
};

struct qvf_options {
        struct item *items;
        size_t count;
        bool incomplete; /* memory was short */
        char bad[64];    /* the first key whose text is not UTF-8, which D-Bus can't carry */
};

static void item_exit(struct item *item)
{
        for (size_t i = 0; item->texts && item->texts[i]; i++)
                free(item->texts[i]);
        free(item->texts);
        free(item->weights);
        free(item->key);
        if (item->signature && strcmp(item->signature, "h") == 0 && item->fd >= 0)
                close(item->fd);
        *item = (struct item){ 0 };
}

struct qvf_options *qvf_options_new(void)
{
        return calloc(1, sizeof(struct qvf_options));
}

struct qvf_options *qvf_options_free(struct qvf_options *options)
{
        for (size_t i = 0; options && i < options->count; i++)
                item_exit(&options->items[i]);
        if (options)
                free(options->items);
        free(options);
        return NULL;
}

static void check_text(struct qvf_options *options, const char *key, const char *text)
{
        if (!options->bad[0] && !dbus_validate_utf8(text, NULL))
                snprintf(options->bad, sizeof(options->bad), "%s", key);
}

/* An empty item of that key; NULL, and the options are marked, when no memory is left. */
static struct item *add(struct qvf_options *options, const char *key, const char *signature)
{
        struct item *items, *item = NULL;
        char *copy;

        if (!options)
                return NULL;
        check_text(options, key, key);
        for (size_t i = 0; i < options->count; i++)
                if (strcmp(options->items[i].key, key) == 0)
                        item = &options->items[i];
        copy = strdup(key);
        if (copy && !item) {
                items = reallocarray(options->items, options->count + 1, sizeof(*items));
                if (items) {
                        options->items = items;
                        item = &items[options->count++];
                        *item = (struct item){ 0 };
                }
        }
        if (!copy || !item) {
                free(copy);
                options->incomplete = true;
                return NULL;
        }
        item_exit(item);
        item->key = copy;
        item->signature = signature;
        return item;
}

void qvf_options_unset(struct qvf_options *options, const char *key)
{
        for (size_t i = 0; options && i < options->count; i++)
                if (strcmp(options->items[i].key, key) == 0) {
                        item_exit(&options->items[i]);
                        options->items[i] = options->items[--options->count];
                        break;
                }
}

static void add_texts(struct qvf_options *options, struct item *item, const char *const *texts, size_t count)
{
        if (!item)
                return;
        item->texts = calloc(count + 1, sizeof(*item->texts));
        for (size_t i = 0; item->texts && i < count; i++) {
                item->texts[i] = strdup(texts[i]);
                check_text(options, item->key, texts[i]);
                if (!item->texts[i])
                        options->incomplete = true;
        }
        if (!item->texts)
                options->incomplete = true;
}

void qvf_options_set_boolean(struct qvf_options *options, const char *key, bool value)
{
        struct item *item = add(options, key, "b");

        if (item)
                item->boolean = value;
}

void qvf_options_set_integer(struct qvf_options *options, const char *key, int64_t value)
{
        struct item *item = add(options, key, "x");

        if (item)
                item->integer = value;
}

void qvf_options_set_number(struct qvf_options *options, const char *key, double value)
{
        struct item *item = add(options, key, "d");

        if (item)
                item->number = value;
}

void qvf_options_set_string(struct qvf_options *options, const char *key, const char *value)
{
        add_texts(options, add(options, key, "s"), &value, 1);
}

void qvf_options_set_strings(struct qvf_options *options, const char *key, const char *const *values)
{
        size_t count = 0;

        while (values[count])
                count++;
        add_texts(options, add(options, key, "as"), values, count);
}

void qvf_options_set_fd(struct qvf_options *options, const char *key, int fd)
{
        struct item *item = add(options, key, "h");

        if (!item)
                return;
        item->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (item->fd < 0)
                options->incomplete = true;
}

void qvf_options_set_weights(
                struct qvf_options *options, const char *key, const struct qvf_weight *weights, size_t count)
{
        struct item *item = add(options, key, "a(sd)");

        if (!item)
                return;
        item->texts = calloc(count + 1, sizeof(*item->texts));
        item->weights = calloc(count + 1, sizeof(*item->weights));
        if (!item->texts || !item->weights) {
                options->incomplete = true;
                return;
        }
        for (size_t i = 0; i < count; i++) {
                item->texts[i] = strdup(weights[i].name);
                check_text(options, item->key, weights[i].name);
                item->weights[i] = weights[i].weight;
                if (!item->texts[i])
                        options->incomplete = true;
        }
}

static bool append_weighted(DBusMessageIter *iter, const char *text, double weight)
{
        DBusMessageIter pair;

        return dbus_message_iter_open_container(iter, DBUS_TYPE_STRUCT, NULL, &pair) &&
               dbus_message_iter_append_basic(&pair, DBUS_TYPE_STRING, &text) &&
               dbus_message_iter_append_basic(&pair, DBUS_TYPE_DOUBLE, &weight) &&
               dbus_message_iter_close_container(iter, &pair);
}

static bool append_list(const struct item *item, DBusMessageIter *variant)
{
        DBusMessageIter list;

        if (!dbus_message_iter_open_container(variant, DBUS_TYPE_ARRAY, item->signature + 1, &list))
                return false;
        for (size_t i = 0; item->texts[i]; i++)
                if (item->weights ? !append_weighted(&list, item->texts[i], item->weights[i])
                                  : !dbus_message_iter_append_basic(
                                                    &list, DBUS_TYPE_STRING, &item->texts[i]))
                        return false;
        return dbus_message_iter_close_container(variant, &list);
}

static bool append_item(const struct item *item, DBusMessageIter *dictionary)
{
        DBusMessageIter entry, variant;
        bool done = false;

        if (!dbus_message_iter_open_container(dictionary, DBUS_TYPE_DICT_ENTRY, NULL, &entry) ||
                        !dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &item->key) ||
                        !dbus_message_iter_open_container(
                                        &entry, DBUS_TYPE_VARIANT, item->signature, &variant))
                return false;
        switch (*item->signature) {
        case 'a': done = append_list(item, &variant); break;
        case 's': done = dbus_message_iter_append_basic(&variant, DBUS_TYPE_STRING, &item->texts[0]); break;
        case 'b': done = dbus_message_iter_append_basic(&variant, DBUS_TYPE_BOOLEAN, &item->boolean); break;
        case 'x': done = dbus_message_iter_append_basic(&variant, DBUS_TYPE_INT64, &item->integer); break;
        case 'd': done = dbus_message_iter_append_basic(&variant, DBUS_TYPE_DOUBLE, &item->number); break;
        case 'h': done = dbus_message_iter_append_basic(&variant, DBUS_TYPE_UNIX_FD, &item->fd); break;
        default: break;
        }
        return done && dbus_message_iter_close_container(&entry, &variant) &&
               dbus_message_iter_close_container(dictionary, &entry);
}

int qvf_options_check(const struct qvf_options *options, struct qvf_failure *failure)
{
        if (options && options->incomplete)
                return qvf_fail(failure, QVF_NO_MEMORY, "", "not enough memory for the options");
        if (options && options->bad[0])
                return qvf_fail(failure, QVF_INVALID, "", "option %s: the text is not UTF-8", options->bad);
        return 0;
}

bool qvf_options_append(const struct qvf_options *options, DBusMessageIter *iter)
{
        DBusMessageIter dictionary;

        if (!dbus_message_iter_open_container(iter, DBUS_TYPE_ARRAY, "{sv}", &dictionary))
                return false;
        for (size_t i = 0; options && i < options->count; i++)
                if (!append_item(&options->items[i], &dictionary))
                        return false;
        return dbus_message_iter_close_container(iter, &dictionary);
}
