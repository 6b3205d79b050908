/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/authorise.h"
#include "daemon/client.h"
#include "daemon/qvfd.h"

static int find_object(sd_bus *bus, const char *path, const char *interface, void *userdata,
                void **ret_found, sd_bus_error *error)
{
        struct qvfd_connection *connection = userdata;

        (void)bus;
        (void)error;
        for (int kind = QVFD_DEVICE; kind < QVFD_KINDS; kind++) {
                if (strcmp(interface, qvfd_kind_interface(kind)) != 0)
                        continue;
                for (struct qvfd_object *o = connection->service->objects[kind]; o; o = o->next)
                        if (strcmp(o->path, path) == 0) {
                                *ret_found = o;
                                return 1;
                        }
        }
        return 0;
}

static int list_objects(
                sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes, sd_bus_error *error)
{
        struct qvfd_connection *connection = userdata;
        struct qvfd *service = connection->service;
        size_t n = 0, at = 0;
        char **nodes;

        (void)bus;
        (void)prefix; /* sd-bus leaves out what is not below it */
        (void)error;
        for (int kind = QVFD_DEVICE; kind < QVFD_KINDS; kind++)
                n += qvfd_object_count(service, kind);
        nodes = calloc(n + 1, sizeof(*nodes));
        if (!nodes)
                return -ENOMEM;
        for (int kind = QVFD_DEVICE; kind < QVFD_KINDS; kind++)
                for (struct qvfd_object *o = service->objects[kind]; o; o = o->next)
                        if (o->announced && (nodes[at] = strdup(o->path)) != NULL)
                                at++;
        *ret_nodes = nodes;
        return 0;
}

static int attach(struct qvfd_connection *connection)
{
        struct qvfd *service = connection->service;
        int r = sd_bus_add_object_manager(connection->bus, NULL, QVFD_ROOT);

        if (r >= 0)
                r = sd_bus_add_object_vtable(connection->bus, NULL, QVFD_ROOT,
                                qvfd_kind_interface(QVFD_MANAGER), qvfd_kind_vtable(QVFD_MANAGER),
                                &service->object);
        for (int kind = QVFD_DEVICE; r >= 0 && kind < QVFD_KINDS; kind++)
                r = sd_bus_add_fallback_vtable(connection->bus, NULL, qvfd_kind_folder(kind),
                                qvfd_kind_interface(kind), qvfd_kind_vtable(kind), find_object, connection);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(connection->bus, NULL, QVFD_ROOT, list_objects, connection);
        return r < 0 ? r : sd_bus_attach_event(connection->bus, service->event, SD_EVENT_PRIORITY_NORMAL);
}

static struct qvfd_connection *new_connection(struct qvfd *service)
{
        struct qvfd_connection *connection = calloc(1, sizeof(*connection));

        if (!connection)
                return NULL;
        connection->service = service;
        connection->next = service->connections;
        service->connections = connection;
        return connection;
}

static int on_bus_lost(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct qvfd_connection *connection = userdata;

        (void)message;
        (void)error;
        qvf_log(QVF_LOG_ERROR, "the bus went away: the service ends");
        qvfd_stop(connection->service);
        return 0;
}

static int on_name(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct qvfd_connection *connection = userdata;

        (void)error;
        if (!sd_bus_message_is_method_error(message, NULL))
                return 0;
        qvf_log(QVF_LOG_ERROR, "the name " QVFD_BUS_NAME " can't be had: %s",
                        sd_bus_message_get_error(message)->message);
        sd_event_exit(connection->service->event, 1);
        return 0;
}

static int watch_local(
                struct qvfd_connection *connection, const char *member, sd_bus_message_handler_t handler)
{
        return sd_bus_match_signal(connection->bus, NULL, "org.freedesktop.DBus.Local",
                        "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local", member, handler,
                        connection);
}

int qvfd_connection_open_bus(struct qvfd *service, struct qvf_error *error)
{
        struct qvfd_connection *connection = new_connection(service);
        bool user = service->mode == QVFD_USER;
        int r;

        if (!connection)
                return qvf_error_set(error, -ENOMEM, "no memory");
        r = user ? sd_bus_open_user_with_description(&connection->bus, "session bus")
                 : sd_bus_open_system_with_description(&connection->bus, "system bus");
        if (r >= 0)
                r = attach(connection);
        if (r >= 0)
                r = watch_local(connection, "Disconnected", on_bus_lost);
        if (r >= 0)
                r = sd_bus_request_name_async(connection->bus, NULL, QVFD_BUS_NAME, 0, on_name, connection);
        if (r < 0) {
                qvf_error_set(error, r, "the %s bus can't be reached: %s", user ? "session" : "system",
                                strerror(-r));
                qvfd_connection_close(connection);
                return r;
        }
        return 0;
}

static int on_client_gone(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        (void)message;
        (void)error;
        qvfd_connection_close(userdata);
        return 0;
}

static int on_begun(sd_event_source *source, void *userdata)
{
        struct qvfd_connection *connection = userdata;
        struct qvfd *service = connection->service;
        sd_bus *bus = sd_bus_ref(connection->bus);

        (void)source;
        while (qvfd_connection_of(service, bus) && sd_bus_process(bus, NULL) > 0)
                ;
        sd_bus_unref(bus);
        return 0;
}

/* What a client sent together with the end of its handshake lies in sd-bus' buffer, and sd-bus would wait for more before
 * it looks at that. */
static int on_connected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct qvfd_connection *connection = userdata;

        (void)message;
        (void)error;
        sd_event_add_defer(connection->service->event, &connection->begin, on_begun, connection);
        return 0;
}

int qvfd_connection_open_direct(struct qvfd *service, int fd, uid_t uid, pid_t pid)
{
        struct qvfd_connection *connection = new_connection(service);
        sd_id128_t id;
        int r;

        if (!connection) {
                close(fd);
                return -ENOMEM;
        }
        connection->direct = true;
        connection->uid = uid;
        connection->pid = pid;
        r = sd_bus_new(&connection->bus);
        if (r >= 0)
                r = sd_bus_set_fd(connection->bus, fd, fd);
        if (r < 0)
                close(fd);
        if (r >= 0)
                r = sd_id128_randomize(&id);
        if (r >= 0)
                r = sd_bus_set_server(connection->bus, 1, id);
        if (r >= 0)
                r = sd_bus_negotiate_fds(connection->bus, 1);
        /* Who may connect was decided by the socket's credentials: every method needs no more than that. */
        if (r >= 0)
                r = sd_bus_set_trusted(connection->bus, 1);
        if (r >= 0)
                r = sd_bus_set_connected_signal(connection->bus, 1);
        if (r >= 0)
                r = watch_local(connection, "Connected", on_connected);
        if (r >= 0)
                r = watch_local(connection, "Disconnected", on_client_gone);
        if (r >= 0)
                r = sd_bus_start(connection->bus);
        if (r >= 0)
                r = attach(connection);
        if (r < 0)
                qvfd_connection_close(connection);
        return r;
}

void qvfd_connection_close(struct qvfd_connection *connection)
{
        struct qvfd_connection **link = &connection->service->connections;

        qvfd_authorise_drop(connection);
        qvfd_clients_drop(connection);
        while (*link != connection)
                link = &(*link)->next;
        *link = connection->next;
        sd_event_source_disable_unref(connection->begin);
        sd_bus_detach_event(connection->bus);
        /* Flushing waits, and a client that reads nothing would let it wait for ever; a bus daemon always reads. */
        if (connection->direct)
                sd_bus_close_unref(connection->bus);
        else
                sd_bus_flush_close_unref(connection->bus);
        free(connection);
}

struct qvfd_connection *qvfd_connection_of(struct qvfd *service, sd_bus *bus)
{
        for (struct qvfd_connection *c = service->connections; c; c = c->next)
                if (c->bus == bus)
                        return c;
        return NULL;
}
