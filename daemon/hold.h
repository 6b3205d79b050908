/* SPDX-License-Identifier: Apache-2.0 */
/* Holds: a client asks for quiet. They end with Release, in time, or with their client; an id is worth nothing to others. */
#ifndef QVF_DAEMON_HOLD_H
#define QVF_DAEMON_HOLD_H

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/client.h"

struct qvfd_hold {
        struct qvfd_hold *next;
        struct qvfd_client *client;
        uint64_t id, until_us; /* wall clock; 0: no limit */
        bool all;              /* answers too */
        char reason[201];
        sd_event_source *timer;
};

int qvfd_hold_new(struct qvfd_client *client, bool all, const char *reason, uint64_t seconds,
                uint64_t *ret_id, sd_bus_error *error);
int qvfd_hold_release(struct qvfd_client *client, uint64_t id); /* -ENOENT: none of this client's */
void qvfd_holds_drop(struct qvfd_client *client);
int qvfd_holds_append(struct qvfd *service, sd_bus_message *message); /* a(tsssut) */

#endif
