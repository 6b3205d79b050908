/* SPDX-License-Identifier: Apache-2.0 */
#include "client/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void empty(struct qvf_value *value)
{
        if (value->type == QVF_TYPE_STRING)
                free(value->string);
        if (value->type == QVF_TYPE_FD && value->fd >= 0)
                close(value->fd);
        if (value->type == QVF_TYPE_LIST || value->type == QVF_TYPE_MAP) {
                for (size_t i = 0; i < value->count; i++) {
                        empty(&value->items[i]);
                        if (value->keys)
                                free(value->keys[i]);
                }
                free(value->items);
                free(value->keys);
        }
        *value = (struct qvf_value){ 0 };
}

struct qvf_value *qvf_value_free(struct qvf_value *value)
{
        if (value)
                empty(value);
        free(value);
        return NULL;
}

/* Room for one more item; the count is the caller's to raise. */
static bool grow(struct qvf_value *value)
{
        struct qvf_value *items;
        char **keys;

        if (value->count & (value->count - 1))
                return true; /* the room is the next power of two */
        items = reallocarray(value->items, value->count ? 2 * value->count : 1, sizeof(*items));
        if (!items)
                return false;
        value->items = items;
        if (value->type == QVF_TYPE_MAP) {
                keys = reallocarray(value->keys, value->count ? 2 * value->count : 1, sizeof(*keys));
                if (!keys)
                        return false;
                value->keys = keys;
        }
        return true;
}

static bool fill(struct qvf_value *value, DBusMessageIter *iter);

static bool fill_map(struct qvf_value *value, DBusMessageIter *iter)
{
        value->type = QVF_TYPE_MAP;
        for (DBusMessageIter entries = *iter; dbus_message_iter_get_arg_type(&entries) != DBUS_TYPE_INVALID;
                        dbus_message_iter_next(&entries)) {
                DBusMessageIter entry;
                const char *key = NULL;
                char *copy;

                dbus_message_iter_recurse(&entries, &entry);
                if (!dbus_type_is_basic(dbus_message_iter_get_arg_type(&entry)) || !grow(value))
                        return false;
                if (dbus_message_iter_get_arg_type(&entry) != DBUS_TYPE_STRING &&
                                dbus_message_iter_get_arg_type(&entry) != DBUS_TYPE_OBJECT_PATH)
                        continue; /* no interface of qvfd has other keys */
                dbus_message_iter_get_basic(&entry, &key);
                copy = strdup(key);
                if (!copy)
                        return false;
                value->items[value->count] = (struct qvf_value){ 0 };
                value->keys[value->count++] = copy;
                dbus_message_iter_next(&entry);
                if (!fill(&value->items[value->count - 1], &entry))
                        return false;
        }
        return true;
}

static bool fill_list(struct qvf_value *value, DBusMessageIter *iter)
{
        value->type = QVF_TYPE_LIST;
        for (; dbus_message_iter_get_arg_type(iter) != DBUS_TYPE_INVALID; dbus_message_iter_next(iter)) {
                if (!grow(value))
                        return false;
                value->items[value->count++] = (struct qvf_value){ 0 };
                if (!fill(&value->items[value->count - 1], iter))
                        return false;
        }
        return true;
}

static bool fill_basic(struct qvf_value *value, DBusMessageIter *iter, int type)
{
        DBusBasicValue basic;

        dbus_message_iter_get_basic(iter, &basic);
        switch (type) {
        case DBUS_TYPE_BOOLEAN:
                value->type = QVF_TYPE_BOOLEAN;
                value->boolean = basic.bool_val;
                return true;
        case DBUS_TYPE_BYTE: value->unsigned_integer = basic.byt; break;
        case DBUS_TYPE_UINT16: value->unsigned_integer = basic.u16; break;
        case DBUS_TYPE_UINT32: value->unsigned_integer = basic.u32; break;
        case DBUS_TYPE_UINT64: value->unsigned_integer = basic.u64; break;
        case DBUS_TYPE_INT16: value->integer = basic.i16; break;
        case DBUS_TYPE_INT32: value->integer = basic.i32; break;
        case DBUS_TYPE_INT64: value->integer = basic.i64; break;
        case DBUS_TYPE_DOUBLE:
                value->type = QVF_TYPE_NUMBER;
                value->number = basic.dbl;
                return true;
        case DBUS_TYPE_UNIX_FD: /* a copy that is ours already */
                value->type = QVF_TYPE_FD;
                value->fd = basic.fd;
                return true;
        default: /* strings, paths and signatures */
                value->type = QVF_TYPE_STRING;
                value->string = strdup(basic.str);
                return value->string != NULL;
        }
        value->type = type == DBUS_TYPE_INT16 || type == DBUS_TYPE_INT32 || type == DBUS_TYPE_INT64
                                      ? QVF_TYPE_INTEGER
                                      : QVF_TYPE_UNSIGNED;
        return true;
}

/* libdbus has checked the nesting: no message is deeper than 64. */
static bool fill(struct qvf_value *value, DBusMessageIter *iter)
{
        int type = dbus_message_iter_get_arg_type(iter);
        DBusMessageIter inner;

        if (dbus_type_is_basic(type))
                return fill_basic(value, iter, type);
        dbus_message_iter_recurse(iter, &inner);
        if (type == DBUS_TYPE_VARIANT)
                return fill(value, &inner);
        if (type == DBUS_TYPE_ARRAY && dbus_message_iter_get_element_type(iter) == DBUS_TYPE_DICT_ENTRY)
                return fill_map(value, &inner);
        return fill_list(value, &inner);
}

struct qvf_value *qvf_value_from_argument(DBusMessageIter *iter)
{
        _cleanup_(qvf_value_freep) struct qvf_value *value = calloc(1, sizeof(*value));

        if (!value || !fill(value, iter))
                return NULL;
        return QVF_TAKE(value);
}

struct qvf_value *qvf_value_from_message(DBusMessage *message)
{
        _cleanup_(qvf_value_freep) struct qvf_value *value = calloc(1, sizeof(*value));
        DBusMessageIter iter;

        if (!value)
                return NULL;
        value->type = QVF_TYPE_LIST;
        if (dbus_message_iter_init(message, &iter) && !fill_list(value, &iter))
                return NULL;
        return QVF_TAKE(value);
}

struct qvf_value *qvf_value_new_map(void)
{
        struct qvf_value *value = calloc(1, sizeof(*value));

        if (value)
                value->type = QVF_TYPE_MAP;
        return value;
}

size_t qvf_value_find(const struct qvf_value *map, const char *key)
{
        if (map && map->type == QVF_TYPE_MAP)
                for (size_t i = 0; i < map->count; i++)
                        if (strcmp(map->keys[i], key) == 0)
                                return i;
        return SIZE_MAX;
}

bool qvf_value_put(struct qvf_value *map, const char *key, struct qvf_value *item)
{
        size_t place = qvf_value_find(map, key);
        char *copy;

        if (!item)
                return false;
        if (place == SIZE_MAX) {
                copy = grow(map) ? strdup(key) : NULL;
                if (!copy) {
                        qvf_value_free(item);
                        return false;
                }
                place = map->count++;
                map->keys[place] = copy;
        } else {
                empty(&map->items[place]);
        }
        map->items[place] = *item;
        free(item);
        return true;
}

struct qvf_value *qvf_value_take(struct qvf_value *list_or_map, size_t place)
{
        struct qvf_value *value;

        if (place >= qvf_value_count(list_or_map))
                return NULL;
        value = malloc(sizeof(*value));
        if (!value)
                return NULL;
        *value = list_or_map->items[place];
        list_or_map->items[place] = (struct qvf_value){ 0 };
        return value;
}

enum qvf_type qvf_value_type(const struct qvf_value *value)
{
        return value ? value->type : QVF_TYPE_NONE;
}

size_t qvf_value_count(const struct qvf_value *value)
{
        return value && (value->type == QVF_TYPE_LIST || value->type == QVF_TYPE_MAP) ? value->count : 0;
}

const struct qvf_value *qvf_value_at(const struct qvf_value *value, size_t place)
{
        return place < qvf_value_count(value) ? &value->items[place] : NULL;
}

const char *qvf_value_key_at(const struct qvf_value *map, size_t place)
{
        return qvf_value_type(map) == QVF_TYPE_MAP && place < map->count ? map->keys[place] : "";
}

const struct qvf_value *qvf_value_get(const struct qvf_value *map, const char *key)
{
        return qvf_value_at(map, qvf_value_find(map, key));
}

bool qvf_value_boolean(const struct qvf_value *value)
{
        return qvf_value_type(value) == QVF_TYPE_BOOLEAN && value->boolean;
}

int64_t qvf_value_integer(const struct qvf_value *value)
{
        switch (qvf_value_type(value)) {
        case QVF_TYPE_INTEGER: return value->integer;
        case QVF_TYPE_UNSIGNED:
                return value->unsigned_integer > INT64_MAX ? INT64_MAX : (int64_t)value->unsigned_integer;
        case QVF_TYPE_NUMBER: return fabs(value->number) < 0x1p63 ? (int64_t)value->number : 0;
        default: return 0;
        }
}

uint64_t qvf_value_unsigned(const struct qvf_value *value)
{
        if (qvf_value_type(value) == QVF_TYPE_UNSIGNED)
                return value->unsigned_integer;
        return qvf_value_integer(value) < 0 ? 0 : (uint64_t)qvf_value_integer(value);
}

double qvf_value_number(const struct qvf_value *value)
{
        switch (qvf_value_type(value)) {
        case QVF_TYPE_NUMBER: return value->number;
        case QVF_TYPE_INTEGER: return (double)value->integer;
        case QVF_TYPE_UNSIGNED: return (double)value->unsigned_integer;
        default: return NAN;
        }
}

const char *qvf_value_string(const struct qvf_value *value)
{
        return qvf_value_type(value) == QVF_TYPE_STRING ? value->string : "";
}

int qvf_value_take_fd(struct qvf_value *list_or_map, size_t place)
{
        int fd = -1;

        if (qvf_value_type(qvf_value_at(list_or_map, place)) == QVF_TYPE_FD) {
                fd = list_or_map->items[place].fd;
                list_or_map->items[place].fd = -1;
        }
        return fd;
}
