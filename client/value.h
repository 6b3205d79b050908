/* SPDX-License-Identifier: Apache-2.0 */
/* What a D-Bus message holds, as a tree that outlives it. */
#ifndef QVF_CLIENT_VALUE_H
#define QVF_CLIENT_VALUE_H

#include <dbus/dbus.h>

#include "common/cleanup.h"
#include "qvf/qvf.h"

struct qvf_value {
        enum qvf_type type;
        union {
                bool boolean;
                int64_t integer;
                uint64_t unsigned_integer;
                double number;
                char *string;
                int fd;
                struct {
                        struct qvf_value *items;
                        char **keys; /* of a map; NULL in a list */
                        size_t count;
                };
        };
};

QVF_DEFINE_CLEANUP(struct qvf_value *, qvf_value_free)

/* A value of the argument at `iter`; NULL when no memory is left. */
struct qvf_value *qvf_value_from_argument(DBusMessageIter *iter);
/* All arguments of a message as a list; NULL when no memory is left. */
struct qvf_value *qvf_value_from_message(DBusMessage *message);
/* Moves an item out of a list or map: a value of its own, or NULL. The place holds QVF_TYPE_NONE from then on. */
struct qvf_value *qvf_value_take(struct qvf_value *list_or_map, size_t place);
/* The place of a key, or SIZE_MAX. */
size_t qvf_value_find(const struct qvf_value *map, const char *key);
struct qvf_value *qvf_value_new_map(void);
/* Moves `item` in; frees it and returns false when no memory is left. */
bool qvf_value_put(struct qvf_value *map, const char *key, struct qvf_value *item);

#endif
