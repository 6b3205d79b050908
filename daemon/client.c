/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/connection.h"
#include "daemon/copy.h"
#include "daemon/hold.h"
#include "daemon/qvfd.h"
#include "daemon/request.h"
#include "daemon/session.h"

static void drop(struct qvfd_client *client)
{
        struct qvfd_client **link = &client->service->clients;

        qvfd_copies_drop(client);
        qvfd_requests_drop(client);
        qvfd_sessions_drop(client);
        qvfd_holds_drop(client);
        while (*link != client)
                link = &(*link)->next;
        *link = client->next;
        sd_bus_track_unref(client->track);
        free(client->sender);
        free(client);
}

static int on_vanished(sd_bus_track *track, void *userdata)
{
        (void)track;
        drop(userdata);
        return 0;
}

static struct qvfd_client *find(struct qvfd *service, struct qvfd_connection *connection, const char *sender)
{
        for (struct qvfd_client *c = service->clients; c; c = c->next)
                if (c->connection == connection && (connection->direct || strcmp(c->sender, sender) == 0))
                        return c;
        return NULL;
}

/* A bus daemon knows who its clients are. */
static int identify(struct qvfd_client *client, sd_bus_message *message)
{
        sd_bus_creds *creds = NULL;
        int r;

        if (client->connection->direct) {
                client->uid = client->connection->uid;
                client->pid = client->connection->pid;
                return 0;
        }
        r = sd_bus_query_sender_creds(message, SD_BUS_CREDS_EUID | SD_BUS_CREDS_PID, &creds);
        if (r < 0)
                return r;
        r = sd_bus_creds_get_euid(creds, &client->uid);
        if (sd_bus_creds_get_pid(creds, &client->pid) < 0)
                client->pid = 0;
        sd_bus_creds_unref(creds);
        if (r >= 0)
                r = sd_bus_track_new(client->connection->bus, &client->track, on_vanished, client);
        return r < 0 ? r : sd_bus_track_add_name(client->track, client->sender);
}

int qvfd_client_of(struct qvfd *service, sd_bus_message *message, struct qvfd_client **ret_client)
{
        struct qvfd_connection *connection = qvfd_connection_of(service, sd_bus_message_get_bus(message));
        const char *sender = sd_bus_message_get_sender(message);
        struct qvfd_client *client;
        int r;

        if (!connection || (!connection->direct && !sender))
                return -EBADMSG;
        client = find(service, connection, sender);
        if (client) {
                *ret_client = client;
                return 0;
        }
        client = calloc(1, sizeof(*client));
        if (!client)
                return -ENOMEM;
        client->service = service;
        client->connection = connection;
        client->sender = connection->direct ? NULL : strdup(sender);
        client->next = service->clients;
        service->clients = client;
        r = identify(client, message);
        if (r < 0) {
                drop(client);
                return r;
        }
        *ret_client = client;
        return 0;
}

void qvfd_clients_drop(struct qvfd_connection *connection)
{
        for (struct qvfd_client *c = connection->service->clients, *next; c; c = next) {
                next = c->next;
                if (c->connection == connection)
                        drop(c);
        }
}

unsigned qvfd_clients_count(const struct qvfd *service)
{
        unsigned n = 0;

        for (const struct qvfd_client *c = service->clients; c; c = c->next)
                n++;
        return n;
}
