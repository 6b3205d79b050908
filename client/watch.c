/* SPDX-License-Identifier: Apache-2.0 */
/* Signals, told to those who watch. */
#include <stdlib.h>
#include <string.h>

#include "client/client.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"
#define OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"

static int bus_call(struct qvf_client *client, const char *method, const char *argument,
                DBusMessage **ret_reply, struct qvf_failure *failure)
{
        DBusMessage *message = dbus_message_new_method_call(
                        DBUS_SERVICE_DBUS, DBUS_PATH_DBUS, DBUS_INTERFACE_DBUS, method);

        if (!message || !dbus_message_append_args(message, DBUS_TYPE_STRING, &argument, DBUS_TYPE_INVALID)) {
                if (message)
                        dbus_message_unref(message);
                return qvf_fail(failure, QVF_NO_MEMORY, "", "not enough memory for a message");
        }
        return qvf_message_call(client, message, client->timeout_ms, ret_reply, failure);
}

static int set_owner(struct qvf_client *client, const char *owner)
{
        char *copy = strdup(owner);

        if (!copy)
                return QVF_NO_MEMORY;
        free(client->owner);
        client->owner = copy;
        return 0;
}

int qvf_watch_begin(struct qvf_client *client, struct qvf_failure *failure)
{
        _cleanup_(qvf_message_unrefp) DBusMessage *reply = NULL;
        const char *owner = NULL;
        int r = 0;

        if (client->watching || !client->bus) {
                client->watching = true;
                return 0;
        }
        client->watching = true; /* a change of owner must not be missed while the calls are under way */
        r = bus_call(client, "AddMatch",
                        "type='signal',sender='" QVF_BUS_NAME "',path_namespace='" QVF_BUS_ROOT "'", NULL,
                        failure);
        if (r == 0)
                r = bus_call(client, "AddMatch",
                                "type='signal',sender='" DBUS_SERVICE_DBUS
                                "',interface='" DBUS_INTERFACE_DBUS
                                "',member='NameOwnerChanged',arg0='" QVF_BUS_NAME "'",
                                NULL, failure);
        if (r == 0)
                r = bus_call(client, "GetNameOwner", QVF_BUS_NAME, &reply, failure);
        if (r == 0 && dbus_message_get_args(reply, NULL, DBUS_TYPE_STRING, &owner, DBUS_TYPE_INVALID) &&
                        set_owner(client, owner) < 0)
                r = qvf_fail(failure, QVF_NO_MEMORY, "", "not enough memory to watch");
        if (r < 0)
                client->watching = false;
        return r;
}

bool qvf_watch_is_from_service(const struct qvf_client *client, DBusMessage *message)
{
        const char *sender = dbus_message_get_sender(message);

        return !client->bus || (sender && client->owner && strcmp(sender, client->owner) == 0);
}

static void watcher_free(struct qvf_watcher *watcher)
{
        free(watcher->kind);
        free(watcher->name);
        free(watcher);
}

/* Those that were removed while events were told. */
static void sweep(struct qvf_client *client)
{
        struct qvf_watcher **at = &client->watchers;

        while (client->telling == 0 && *at) {
                struct qvf_watcher *watcher = *at;

                if (watcher->gone) {
                        *at = watcher->next;
                        watcher_free(watcher);
                } else {
                        at = &watcher->next;
                }
        }
}

static bool concerns(const struct qvf_watcher *watcher, const struct qvf_event *event)
{
        if (watcher->gone)
                return false;
        if (*event->kind == 0 || !watcher->kind)
                return true;
        return strcmp(watcher->kind, event->kind) == 0 &&
               (!watcher->name || strcmp(watcher->name, event->name) == 0);
}

static void tell(struct qvf_client *client, const struct qvf_event *event)
{
        client->telling++;
        for (struct qvf_watcher *watcher = client->watchers; watcher; watcher = watcher->next)
                if (concerns(watcher, event))
                        watcher->on_event(watcher->context, event);
        client->telling--;
        sweep(client);
}

void qvf_watch_lost(struct qvf_client *client)
{
        const struct qvf_event event = { .kind = "", .name = "", .member = "Gone" };

        tell(client, &event);
}

static bool owner_changed(struct qvf_client *client, DBusMessage *message)
{
        const char *name, *before, *now;

        if (!dbus_message_is_signal(message, DBUS_INTERFACE_DBUS, "NameOwnerChanged") ||
                        !dbus_message_has_sender(message, DBUS_SERVICE_DBUS) ||
                        !dbus_message_get_args(message, NULL, DBUS_TYPE_STRING, &name, DBUS_TYPE_STRING,
                                        &before, DBUS_TYPE_STRING, &now, DBUS_TYPE_INVALID))
                return false;
        if (strcmp(name, QVF_BUS_NAME) != 0)
                return true;
        if (set_owner(client, now) < 0) { /* what is no bus name is nobody's */
                free(client->owner);
                client->owner = NULL;
        }
        if (*before) {
                qvf_requests_lost(client);
                qvf_watch_lost(client);
        }
        return true;
}

/* The content of an event, moved out of the arguments of its signal; NULL: nothing to tell. */
static struct qvf_value *content_of(struct qvf_value *arguments, const char *kind, const char **member)
{
        if (strcmp(*member, "PropertiesChanged") == 0) {
                *member = "Changed";
                if (strcmp(qvf_value_string(qvf_value_at(arguments, 0)), qvf_interface_of(kind)) != 0)
                        return NULL;
                return qvf_value_take(arguments, 1);
        }
        if (strcmp(*member, "InterfacesAdded") == 0) {
                struct qvf_value *interfaces = qvf_value_count(arguments) > 1 ? &arguments->items[1] : NULL;

                *member = "Added";
                return qvf_value_take(interfaces, qvf_value_find(interfaces, qvf_interface_of(kind)));
        }
        *member = "Removed";
        return qvf_value_new_map();
}

void qvf_watch_message(struct qvf_client *client, DBusMessage *message)
{
        const char *interface = dbus_message_get_interface(message),
                   *member = dbus_message_get_member(message);
        const char *path = dbus_message_get_path(message), *kind;
        _cleanup_(qvf_value_freep) struct qvf_value *arguments = NULL, *content = NULL;
        _cleanup_free_ char *name = NULL;
        bool about_another;
        struct qvf_event event;

        if (owner_changed(client, message) || !client->watchers ||
                        !qvf_watch_is_from_service(client, message) || !interface || !member || !path)
                return;
        about_another = strcmp(interface, OBJECT_MANAGER) == 0;
        arguments = qvf_value_from_message(message);
        if (!arguments)
                return;
        kind = qvf_path_kind(about_another ? qvf_value_string(qvf_value_at(arguments, 0)) : path, &name);
        if (!kind)
                return;
        if (about_another || strcmp(interface, PROPERTIES) == 0)
                content = content_of(arguments, kind, &member);
        else if (strcmp(interface, qvf_interface_of(kind)) == 0)
                content = QVF_TAKE(arguments);
        if (!content)
                return;
        event = (struct qvf_event){ .kind = kind, .name = name, .member = member, .content = content };
        tell(client, &event);
}

int qvf_watch(struct qvf_client *client, const char *kind, const char *name,
                void (*on_event)(void *context, const struct qvf_event *event), void *context,
                uint32_t *ret_watch, struct qvf_failure *failure)
{
        struct qvf_watcher *watcher;
        int r;

        if (kind && !qvf_interface_of(kind))
                return qvf_fail(failure, QVF_INVALID, "", "there is no kind of objects '%s'", kind);
        r = qvf_watch_begin(client, failure);
        if (r < 0)
                return r;
        watcher = calloc(1, sizeof(*watcher));
        if (!watcher || (kind && !(watcher->kind = strdup(kind))) ||
                        (name && !(watcher->name = strdup(name)))) {
                if (watcher)
                        watcher_free(watcher);
                return qvf_fail(failure, QVF_NO_MEMORY, "", "not enough memory to watch");
        }
        watcher->id = ++client->last_watch;
        watcher->on_event = on_event;
        watcher->context = context;
        watcher->next = client->watchers;
        client->watchers = watcher;
        if (ret_watch)
                *ret_watch = watcher->id;
        return 0;
}

void qvf_unwatch(struct qvf_client *client, uint32_t watch)
{
        for (struct qvf_watcher *watcher = client->watchers; watcher; watcher = watcher->next)
                if (watcher->id == watch)
                        watcher->gone = true;
        sweep(client);
}

void qvf_watch_exit(struct qvf_client *client)
{
        for (struct qvf_watcher *watcher = client->watchers; watcher; watcher = watcher->next)
                watcher->gone = true;
        sweep(client);
        free(client->owner);
        client->owner = NULL;
}
