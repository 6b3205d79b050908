/* SPDX-License-Identifier: Apache-2.0 */
/* Finding qvfd: a private socket, the system bus, or the session bus. */
#include <stdlib.h>
#include <string.h>

#include "client/client.h"

enum { CALL_TIMEOUT_MS = 25000 }; /* what libdbus and sd-bus wait, too */

const char *qvf_version(void)
{
        return QVF_VERSION;
}

static int not_running(struct qvf_failure *failure, const char *where, const DBusError *error)
{
        bool denied = dbus_error_has_name(error, DBUS_ERROR_ACCESS_DENIED) ||
                      dbus_error_has_name(error, DBUS_ERROR_AUTH_FAILED);

        if (dbus_error_has_name(error, DBUS_ERROR_BAD_ADDRESS))
                return qvf_fail(failure, QVF_INVALID, "BadAddress", "%s is no D-Bus address: %s", where,
                                error->message);
        if (denied)
                return qvf_fail(failure, QVF_DENIED, "AccessDenied", "%s lets nobody in but its owner",
                                where);
        return qvf_fail(failure, QVF_NOT_RUNNING, "", "qvfd is not running: %s: %s", where,
                        error->message ? error->message : "no such service");
}

/* A call to the bus about qvfd's name. */
static int ask_bus(struct qvf_client *client, const char *method, bool with_flags, DBusMessage **ret_reply,
                struct qvf_failure *failure)
{
        DBusMessage *message = dbus_message_new_method_call(
                        DBUS_SERVICE_DBUS, DBUS_PATH_DBUS, DBUS_INTERFACE_DBUS, method);
        const char *name = QVF_BUS_NAME;
        dbus_uint32_t flags = 0;

        if (!message || !dbus_message_append_args(message, DBUS_TYPE_STRING, &name,
                                        with_flags ? DBUS_TYPE_UINT32 : DBUS_TYPE_INVALID, &flags,
                                        DBUS_TYPE_INVALID)) {
                if (message)
                        dbus_message_unref(message);
                return qvf_fail(failure, QVF_NO_MEMORY, "", "not enough memory for a message");
        }
        return qvf_message_call(client, message, CALL_TIMEOUT_MS, ret_reply, failure);
}

/* Whether the name has an owner, or gets one by being asked for: StartServiceByName alone does not know services that
 * run but can't be started by the bus. */
static int find_service(struct qvf_client *client, const char *where, struct qvf_failure *failure)
{
        _cleanup_(qvf_message_unrefp) DBusMessage *reply = NULL;
        dbus_bool_t there = FALSE;
        int r = ask_bus(client, "NameHasOwner", false, &reply, failure);

        if (r < 0 || (dbus_message_get_args(reply, NULL, DBUS_TYPE_BOOLEAN, &there, DBUS_TYPE_INVALID) &&
                                     there))
                return r;
        r = ask_bus(client, "StartServiceByName", true, NULL, failure);
        if (r == QVF_NOT_RUNNING)
                return qvf_fail(failure, r, "ServiceUnknown", "qvfd is not running: it is not on %s", where);
        return r;
}

static int open_bus(
                struct qvf_client *client, DBusBusType type, const char *where, struct qvf_failure *failure)
{
        DBusError error = DBUS_ERROR_INIT;
        int r;

        client->connection = dbus_bus_get_private(type, &error);
        if (!client->connection) {
                r = not_running(failure, where, &error);
                dbus_error_free(&error);
                return r;
        }
        client->bus = true;
        r = qvf_loop_init(client, failure);
        return r < 0 ? r : find_service(client, where, failure);
}

static int open_address(struct qvf_client *client, const char *address, struct qvf_failure *failure)
{
        DBusError error = DBUS_ERROR_INIT;
        int r;

        client->connection = dbus_connection_open_private(address, &error);
        if (!client->connection) {
                r = not_running(failure, address, &error);
                dbus_error_free(&error);
                return r;
        }
        r = qvf_loop_init(client, failure);
        if (r == 0) { /* the first call shows whether we were let in */
                DBusMessage *ping = dbus_message_new_method_call(
                                NULL, QVF_BUS_ROOT, DBUS_INTERFACE_PEER, "Ping");

                r = qvf_message_call(client, ping, CALL_TIMEOUT_MS, NULL, failure);
        }
        if (r == QVF_NOT_RUNNING)
                return qvf_fail(failure, r, "Disconnected", "qvfd is not running: %s let us not in",
                                address);
        return r;
}

static int try_address(const char *address, struct qvf_client **ret_client, struct qvf_failure *failure)
{
        struct qvf_client *client = calloc(1, sizeof(*client));
        int r;

        if (!client)
                return qvf_fail(failure, QVF_NO_MEMORY, "", "not enough memory to connect");
        client->epoll = client->wake = -1;
        client->timeout_ms = CALL_TIMEOUT_MS;
        if (strcmp(address, "system") == 0)
                r = open_bus(client, DBUS_BUS_SYSTEM, "the system bus", failure);
        else if (strcmp(address, "user") == 0)
                r = open_bus(client, DBUS_BUS_SESSION, "the user's bus", failure);
        else
                r = open_address(client, address, failure);
        if (r < 0) {
                qvf_disconnect(client);
                return r;
        }
        *ret_client = client;
        return 0;
}

int qvf_connect(const char *address, struct qvf_client **ret_client, struct qvf_failure *failure)
{
        struct qvf_failure first = { 0 };
        int r;

        if (!address)
                address = getenv("QVF_ADDRESS");
        if (address && *address)
                return try_address(address, ret_client, failure);
        r = try_address("system", ret_client, &first);
        if (r != QVF_NOT_RUNNING) {
                if (r < 0 && failure)
                        *failure = first;
                return r;
        }
        r = try_address("user", ret_client, failure);
        if (r == QVF_NOT_RUNNING)
                qvf_fail(failure, r, first.name,
                                "qvfd is not running: neither on the system bus nor on the user's");
        return r;
}

struct qvf_client *qvf_disconnect(struct qvf_client *client)
{
        if (!client)
                return NULL;
        qvf_requests_exit(client);
        qvf_watch_exit(client);
        qvf_loop_exit(client);
        if (client->connection) {
                dbus_connection_close(client->connection);
                dbus_connection_unref(client->connection);
        }
        free(client);
        return NULL;
}

void qvf_set_timeout(struct qvf_client *client, int milliseconds)
{
        client->timeout_ms = milliseconds;
}

void qvf_set_interactive(struct qvf_client *client, bool interactive)
{
        client->interactive = interactive;
}

int qvf_get_fd(const struct qvf_client *client)
{
        return client->epoll;
}

int qvf_dispatch(struct qvf_client *client, int timeout_ms, struct qvf_failure *failure)
{
        return qvf_loop_run(client, NULL, timeout_ms, failure);
}
