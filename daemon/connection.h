/* SPDX-License-Identifier: Apache-2.0 */
/* The buses that the service answers on: one from a bus daemon, or any number of direct ones. */
#ifndef QVF_DAEMON_CONNECTION_H
#define QVF_DAEMON_CONNECTION_H

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/error.h"

struct qvfd;

struct qvfd_connection {
        struct qvfd *service;
        sd_bus *bus;
        bool direct; /* no bus daemon: one client, known by its socket */
        uid_t uid;   /* of a direct client */
        pid_t pid;
        sd_event_source *begin;
        struct qvfd_connection *next;
};

/* The system or session bus, with the name requested. */
int qvfd_connection_open_bus(struct qvfd *service, struct qvf_error *error);
/* Takes the other end of a socket as a client that speaks D-Bus directly. Owns `fd` whatever happens. */
int qvfd_connection_open_direct(struct qvfd *service, int fd, uid_t uid, pid_t pid);
/* Closes it; its client and all that hangs on it go. */
void qvfd_connection_close(struct qvfd_connection *connection);
struct qvfd_connection *qvfd_connection_of(struct qvfd *service, sd_bus *bus);

/* Listens at "unix:path=…" for processes of the same user and root. */
int qvfd_private_socket_open(struct qvfd *service, const char *address, struct qvf_error *error);
void qvfd_private_socket_close(struct qvfd *service);

#endif
