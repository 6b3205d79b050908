/* SPDX-License-Identifier: Apache-2.0 */
/* GPUs that come and go, as udev tells; or, where a unit without netlink keeps udev from telling, as the nodes do. */
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <systemd/sd-device.h>

#include "common/log.h"
#include "daemon/discovery.h"
#include "daemon/qvfd.h"

#define SETTLE_US                                                                                           \
        (UINT64_C(2) * 1000000) /* a card comes with several nodes, and its driver needs a moment */

struct qvfd_hotplug {
        sd_device_monitor *monitor;
        sd_event_source *timer, *nodes;
};

static int on_settled(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        qvfd_discovery_start(userdata, NULL, NULL);
        return 0;
}

static void found(struct qvfd *service, const char *name, bool came)
{
        /* Connectors, and every plug of a monitor, are about card0. */
        if (strncmp(name, "renderD", 7) != 0)
                return;
        qvf_log(QVF_LOG_INFO, "%s %s: devices are looked for anew", name, came ? "came" : "went");
        sd_event_source_set_time_relative(service->hotplug->timer, SETTLE_US);
        sd_event_source_set_enabled(service->hotplug->timer, SD_EVENT_ONESHOT);
}

static int on_node(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        (void)source;
        if (event->len > 0)
                found(userdata, event->name, event->mask & IN_CREATE);
        return 0;
}

static int on_device(sd_device_monitor *monitor, sd_device *device, void *userdata)
{
        struct qvfd *service = userdata;
        sd_device_action_t action;
        const char *name;

        (void)monitor;
        if (sd_device_get_action(device, &action) < 0 || sd_device_get_sysname(device, &name) < 0)
                return 0;
        if (action == SD_DEVICE_ADD || action == SD_DEVICE_REMOVE)
                found(service, name, action == SD_DEVICE_ADD);
        return 0;
}

static int watch_udev(struct qvfd *service)
{
        struct qvfd_hotplug *hotplug = service->hotplug;
        int r = sd_device_monitor_new(&hotplug->monitor);

        if (r >= 0)
                r = sd_device_monitor_filter_add_match_subsystem_devtype(hotplug->monitor, "drm", NULL);
        if (r >= 0)
                r = sd_device_monitor_attach_event(hotplug->monitor, service->event);
        return r < 0 ? r : sd_device_monitor_start(hotplug->monitor, on_device, service);
}

void qvfd_hotplug_start(struct qvfd *service)
{
        struct qvfd_hotplug *hotplug = calloc(1, sizeof(*hotplug));
        int r;

        if (!hotplug)
                return;
        service->hotplug = hotplug;
        r = sd_event_add_time_relative(
                        service->event, &hotplug->timer, CLOCK_MONOTONIC, SETTLE_US, 0, on_settled, service);
        if (r >= 0)
                r = sd_event_source_set_enabled(hotplug->timer, SD_EVENT_OFF);
        if (r >= 0 && watch_udev(service) < 0)
                r = sd_event_add_inotify(service->event, &hotplug->nodes, "/dev/dri",
                                IN_CREATE | IN_DELETE | IN_ONLYDIR, on_node, service);
        if (r < 0)
                qvf_log(QVF_LOG_DEBUG, "devices that come and go are not seen: %s", strerror(-r));
}

void qvfd_hotplug_stop(struct qvfd *service)
{
        if (!service->hotplug)
                return;
        sd_event_source_disable_unref(service->hotplug->timer);
        sd_event_source_disable_unref(service->hotplug->nodes);
        sd_device_monitor_unref(service->hotplug->monitor);
        free(service->hotplug);
        service->hotplug = NULL;
}
