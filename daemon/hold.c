/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hold.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/connection.h"
#include "daemon/failure.h"
#include "daemon/qvfd.h"

#define SECONDS_MOST (UINT64_C(366) * 86400)

static void changed(struct qvfd *service)
{
        qvfd_watch_decide(service, false);
        qvfd_object_changed(&service->object, (const char *const[]){ "Holds", NULL });
        qvfd_pass_soon(service);
}

static void end(struct qvfd *service, struct qvfd_hold *hold)
{
        struct qvfd_hold **link = &service->holds;

        while (*link != hold)
                link = &(*link)->next;
        *link = hold->next;
        sd_event_source_disable_unref(hold->timer);
        hold->client->n_holds--;
        free(hold);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct qvfd_hold *hold = userdata;
        struct qvfd_client *client = hold->client;
        struct qvfd *service = client->service;

        (void)source;
        (void)usec;
        end(service, hold);
        changed(service);
        return 0;
}

int qvfd_hold_new(struct qvfd_client *client, bool all, const char *reason, uint64_t seconds,
                uint64_t *ret_id, sd_bus_error *error)
{
        struct qvfd *service = client->service;
        struct qvfd_hold *hold;

        if (strlen(reason) > sizeof(hold->reason) - 1)
                return qvfd_fail(error, "InvalidArgument", "the reason is longer than %zu bytes",
                                sizeof(hold->reason) - 1);
        if (seconds > SECONDS_MOST)
                return qvfd_fail(error, "InvalidArgument", "%llu seconds are more than a year",
                                (unsigned long long)seconds);
        if (client->n_holds >= service->config.clients.holds)
                return qvfd_fail(
                                error, "LimitReached", "clients.holds: this client has %u", client->n_holds);
        hold = calloc(1, sizeof(*hold));
        if (!hold)
                return -ENOMEM;
        hold->client = client;
        hold->id = ++service->next_number;
        hold->all = all;
        strcpy(hold->reason, reason);
        if (seconds > 0) {
                int r = sd_event_add_time_relative(service->event, &hold->timer, CLOCK_BOOTTIME,
                                seconds * 1000000, 100000, on_time, hold);

                if (r < 0) {
                        free(hold);
                        return r;
                }
                hold->until_us = qvfd_wall_clock_us() + seconds * 1000000;
        }
        client->n_holds++;
        hold->next = service->holds;
        service->holds = hold;
        *ret_id = hold->id;
        changed(service);
        return 0;
}

int qvfd_hold_release(struct qvfd_client *client, uint64_t id)
{
        for (struct qvfd_hold *hold = client->service->holds; hold; hold = hold->next) {
                if (hold->id != id || hold->client != client)
                        continue;
                end(client->service, hold);
                changed(client->service);
                return 0;
        }
        return -ENOENT;
}

void qvfd_holds_drop(struct qvfd_client *client)
{
        struct qvfd *service = client->service;
        bool any = false;

        for (struct qvfd_hold *hold = service->holds, *next; hold; hold = next) {
                next = hold->next;
                if (hold->client != client)
                        continue;
                end(service, hold);
                any = true;
        }
        if (any)
                changed(service);
}

int qvfd_holds_append(struct qvfd *service, sd_bus_message *message)
{
        int r = sd_bus_message_open_container(message, 'a', "(tsssut)");

        for (const struct qvfd_hold *hold = service->holds; r >= 0 && hold; hold = hold->next)
                r = sd_bus_message_append(message, "(tsssut)", hold->id, hold->all ? "all" : "training",
                                hold->reason, hold->client->sender ? hold->client->sender : "private",
                                (uint32_t)hold->client->pid, hold->until_us);
        return r < 0 ? r : sd_bus_message_close_container(message);
}
