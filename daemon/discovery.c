/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/discovery.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/text.h"
#include "daemon/device.h"
#include "daemon/failure.h"
#include "daemon/qvfd.h"
#include "daemon/spawn.h"

enum { ANSWER_MOST = 1 << 20, WAITING_MOST = 16, SKIPS_MOST = 24 };
#define LIMIT_US (UINT64_C(180) * 1000000) /* several backends, each with a slow self-test */

struct qvfd_discovery {
        struct qvfd *service;
        struct qvfd_child child;
        sd_event_source *end, *output, *timer;
        int fd;
        struct qvf_text text;
        bool processors_only; /* the first of two: the slow ones must not keep the CPU from being used */
        sd_bus_message *waiting[WAITING_MOST];
        unsigned n_waiting;
};

static void answer(struct qvfd_discovery *discovery, const char *failure)
{
        for (unsigned i = 0; i < discovery->n_waiting; i++) {
                sd_bus_message *message = discovery->waiting[i];

                if (failure)
                        sd_bus_reply_method_errorf(
                                        message, QVFD_BUS_NAME ".Error.WorkerFailed", "%s", failure);
                else
                        sd_bus_reply_method_return(message, "");
                sd_bus_message_unref(message);
        }
        discovery->n_waiting = 0;
}

void qvfd_discovery_free(struct qvfd *service)
{
        struct qvfd_discovery *discovery = service->discovery;

        if (!discovery)
                return;
        answer(discovery, "the service ends");
        sd_event_source_disable_unref(discovery->end);
        sd_event_source_disable_unref(discovery->output);
        sd_event_source_disable_unref(discovery->timer);
        qvfd_child_end(&discovery->child);
        if (discovery->fd >= 0)
                close(discovery->fd);
        qvf_text_exit(&discovery->text);
        free(discovery);
        service->discovery = NULL;
}

static int continue_with_all(struct qvfd_discovery *discovery);

static void finish(struct qvfd_discovery *discovery, const char *failure)
{
        struct qvfd *service = discovery->service;
        bool go_on = discovery->processors_only && !service->stopping;
        _cleanup_json_ struct json_object *found = NULL;

        if (!failure) {
                found = json_tokener_parse(qvf_text_string(&discovery->text));
                if (!json_object_is_type(found, json_type_object))
                        failure = "discovery did not say what it found";
        }
        if (failure)
                qvfd_notice(service, "warning", NULL, "%s", failure);
        else
                qvfd_devices_take(service, found, !discovery->processors_only);
        if (go_on && continue_with_all(discovery) == 0) {
                qvfd_pass_soon(service);
                return;
        }
        if (!service->ready) {
                service->ready = true;
                QVFD_CHANGED(&service->object, "Ready");
        }
        answer(discovery, failure);
        qvfd_discovery_free(service);
        qvfd_pass_soon(service);
}

static void read_output(struct qvfd_discovery *discovery)
{
        char bytes[4096];
        ssize_t n;

        while ((n = read(discovery->fd, bytes, sizeof(bytes))) > 0)
                if (discovery->text.length + (size_t)n <= ANSWER_MOST)
                        qvf_text_append(&discovery->text, bytes, (size_t)n);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                sd_event_source_set_enabled(discovery->output, SD_EVENT_OFF);
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        (void)source;
        (void)fd;
        (void)events;
        read_output(userdata);
        return 0;
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct qvfd_discovery *discovery = userdata;
        char failure[128];
        siginfo_t info;

        (void)source;
        (void)fd;
        (void)events;
        if (qvfd_child_reap(&discovery->child, &info) <= 0)
                return 0;
        read_output(discovery);
        snprintf(failure, sizeof(failure), "looking for devices ended with %s %d",
                        info.si_code == CLD_EXITED ? "status" : "signal", info.si_status);
        finish(discovery, info.si_code == CLD_EXITED && info.si_status == 0 ? NULL : failure);
        return 0;
}

static int on_limit(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        finish(userdata, "looking for devices took too long");
        return 0;
}

/* Those that were tested with the driver that they still have, and by this version, need no test again. */
static unsigned list_skips(struct qvfd *service, const struct qvfd_device *again,
                char skips[SKIPS_MOST][512], const char *arguments[])
{
        unsigned n = 0, at = 0;

        arguments[at++] = "--discover";
        if (service->discovery->processors_only)
                arguments[at++] = "cpu";
        QVFD_EACH(struct qvfd_device, device, service, QVFD_DEVICE)
        {
                if (device == again || n == SKIPS_MOST || strcmp(device->version, QVF_VERSION) != 0)
                        continue;
                snprintf(skips[n], 512, "%s:%s:%s", device->backend, device->id, device->driver);
                arguments[at++] = "--skip";
                arguments[at++] = skips[n++];
        }
        arguments[at] = NULL;
        return at;
}

static int start(struct qvfd_discovery *discovery, const struct qvfd_device *again, struct qvf_error *error)
{
        struct qvfd *service = discovery->service;
        const char *arguments[2 * SKIPS_MOST + 5];
        char(*skips)[512] = calloc(SKIPS_MOST, 512);
        _cleanup_free_ void *freed = skips;
        int output[2], r;

        if (!skips || pipe2(output, O_CLOEXEC) < 0)
                return qvf_error_set(error, -ENOMEM, "no pipe");
        fcntl(output[0], F_SETFL, O_NONBLOCK);
        discovery->fd = output[0];
        list_skips(service, again, skips, arguments);
        r = qvfd_spawn_worker(service,
                        &(struct qvfd_spawn){ .arguments = arguments,
                                        .fd3 = -1,
                                        .out = output[1],
                                        .err = -1,
                                        .cgroup = -1 },
                        &discovery->child, error);
        close(output[1]);
        if (r < 0)
                return r;
        r = sd_event_add_io(
                        service->event, &discovery->output, discovery->fd, EPOLLIN, on_output, discovery);
        if (r >= 0)
                r = sd_event_add_io(service->event, &discovery->end, discovery->child.pidfd, EPOLLIN, on_end,
                                discovery);
        if (r >= 0)
                r = sd_event_source_set_priority(discovery->end, SD_EVENT_PRIORITY_NORMAL + 10);
        if (r >= 0)
                r = sd_event_add_time_relative(service->event, &discovery->timer, CLOCK_MONOTONIC, LIMIT_US,
                                1000000, on_limit, discovery);
        return r < 0 ? qvf_error_set(error, r, "%s", strerror(-r)) : 0;
}

/* The same waiting callers, another process. */
static int continue_with_all(struct qvfd_discovery *discovery)
{
        struct qvf_error error = { 0 };

        discovery->end = sd_event_source_disable_unref(discovery->end);
        discovery->output = sd_event_source_disable_unref(discovery->output);
        discovery->timer = sd_event_source_disable_unref(discovery->timer);
        qvfd_child_end(&discovery->child);
        if (discovery->fd >= 0)
                close(discovery->fd);
        discovery->fd = -1;
        qvf_text_clear(&discovery->text);
        discovery->processors_only = false;
        return start(discovery, NULL, &error);
}

int qvfd_discovery_start(struct qvfd *service, sd_bus_message *message, const struct qvfd_device *again)
{
        struct qvfd_discovery *discovery = service->discovery;
        struct qvf_error error = { 0 };
        int r = 0;

        if (!discovery) {
                discovery = calloc(1, sizeof(*discovery));
                if (!discovery)
                        return -ENOMEM;
                discovery->service = service;
                discovery->child = QVFD_CHILD_NONE;
                discovery->fd = -1;
                discovery->text.limit = ANSWER_MOST;
                discovery->processors_only = !service->objects[QVFD_DEVICE];
                service->discovery = discovery;
                r = start(discovery, again, &error);
        }
        if (r < 0) {
                qvfd_notice(service, "error", NULL, "devices can't be looked for: %s", error.text);
                qvfd_discovery_free(service);
                service->ready = true;
                return r;
        }
        if (message && discovery->n_waiting == WAITING_MOST)
                return -EBUSY;
        if (message)
                discovery->waiting[discovery->n_waiting++] = sd_bus_message_ref(message);
        return 0;
}
