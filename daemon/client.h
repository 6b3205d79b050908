/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks: a unique bus name, or a direct connection. Holds, sessions and requests belong to a client and go with it;
 * its limits are counted here. */
#ifndef QVF_DAEMON_CLIENT_H
#define QVF_DAEMON_CLIENT_H

#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

struct qvfd;
struct qvfd_connection;

struct qvfd_client {
        struct qvfd *service;
        struct qvfd_connection *connection;
        char *sender; /* unique name; NULL on a direct connection */
        uid_t uid;
        pid_t pid;
        sd_bus_track *track;
        unsigned n_requests, n_sessions, n_holds;
        uint64_t memory_bytes; /* of its prompts and answers */
        uint64_t served;       /* when a request of its was last started, as a number that only grows */
        struct qvfd_client *next;
};

/* The one that sent the message; it stays until it leaves the bus or its connection ends, as what it asked for may be
 * under way long after its call has been handled. */
int qvfd_client_of(struct qvfd *service, sd_bus_message *message, struct qvfd_client **ret_client);
void qvfd_clients_drop(struct qvfd_connection *connection);
unsigned qvfd_clients_count(const struct qvfd *service);

#endif
