/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/introspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/connection.h"
#include "daemon/qvfd.h"

#define EXAMPLE "example"

/* One object of each kind, with no more than its name. */
static void make_examples(struct qvfd *service)
{
        for (int kind = QVFD_DEVICE; kind < QVFD_KINDS; kind++) {
                struct qvfd_object *object = calloc(1, 4096); /* larger than any kind of object */

                if (object && qvfd_object_init(object, service, kind, EXAMPLE) == 0)
                        object->announced = true;
        }
}

static void list(void)
{
        puts(QVFD_ROOT);
        for (int kind = QVFD_DEVICE; kind < QVFD_KINDS; kind++)
                printf("%s/" EXAMPLE "\n", qvfd_kind_folder(kind));
}

static int on_answer(sd_bus_message *answer, void *userdata, sd_bus_error *ret_error)
{
        struct qvfd *service = userdata;
        const sd_bus_error *failure = sd_bus_message_get_error(answer);
        const char *xml;
        int status = 0;

        (void)ret_error;
        if (failure || sd_bus_message_read(answer, "s", &xml) < 0) {
                fprintf(stderr, "qvfd: %s\n", failure ? failure->message : "no answer");
                status = 1;
        } else {
                fputs(xml, stdout);
        }
        return sd_event_exit(service->event, status);
}

int qvfd_introspect(struct qvfd *service, const char *path)
{
        sd_bus *client = NULL;
        int pair[2], r;

        if (strcmp(path, "list") == 0) {
                list();
                return 0;
        }
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return 1;
        make_examples(service);
        r = qvfd_connection_open_direct(service, pair[0], geteuid(), getpid());
        if (r >= 0)
                r = sd_bus_new(&client);
        if (r >= 0)
                r = sd_bus_set_fd(client, pair[1], pair[1]);
        if (r >= 0)
                r = sd_bus_start(client);
        if (r >= 0)
                r = sd_bus_attach_event(client, service->event, 0);
        if (r >= 0)
                r = sd_bus_call_method_async(client, NULL, NULL, path, "org.freedesktop.DBus.Introspectable",
                                "Introspect", on_answer, service, NULL);
        if (r >= 0)
                r = sd_event_loop(service->event);
        if (r < 0)
                fprintf(stderr, "qvfd: %s\n", strerror(-r));
        sd_bus_flush_close_unref(client);
        return r == 0 ? 0 : 1;
}
