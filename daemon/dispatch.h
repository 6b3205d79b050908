/* SPDX-License-Identifier: Apache-2.0 */
/* The way of every method call: who asks, may they, is the object (still) there, and then the method. */
#ifndef QVF_DAEMON_DISPATCH_H
#define QVF_DAEMON_DISPATCH_H

#include <systemd/sd-bus.h>

#include "daemon/client.h"
#include "daemon/object.h"

struct qvfd_call {
        struct qvfd *service;
        struct qvfd_client *client;
        sd_bus_message *message;
        struct qvfd_object *object;
        sd_bus_error *error;
};

struct qvfd_method {
        const char *member;
        const char *action; /* "train" for org.qvf.Fabric1.train; NULL: everybody may */
        /* Answers, or keeps a reference to the message and answers later. A negative result is the error. */
        int (*run)(struct qvfd_call *call);
};

/* The handler in every vtable; `userdata` is the object. */
int qvfd_dispatch(sd_bus_message *message, void *userdata, sd_bus_error *error);
/* Goes on after a yes that took a while: the object is looked up again, since it may be gone. */
void qvfd_dispatch_authorised(struct qvfd *service, sd_bus_message *message);

#endif
