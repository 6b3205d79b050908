/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/system_bus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/connection.h"
#include "daemon/job.h"
#include "daemon/qvfd.h"

#define LOGIN "org.freedesktop.login1"
#define LOGIN_PATH "/org/freedesktop/login1"
#define LOGIN_MANAGER LOGIN ".Manager"
#define PROFILES "net.hadess.PowerProfiles"
#define PROFILES_PATH "/net/hadess/PowerProfiles"
#define NETWORK "org.freedesktop.NetworkManager"
#define NETWORK_PATH "/org/freedesktop/NetworkManager"

struct qvfd_system_bus {
        sd_bus *bus;
        int sleep_lock; /* while held, a sleep waits for us: only as long as logind allows */
        bool idle;
};

static uint64_t clock_us(clockid_t id)
{
        struct timespec now;

        clock_gettime(id, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void take_idle_since(struct qvfd *service, uint64_t monotonic_us)
{
        uint64_t asleep = clock_us(CLOCK_BOOTTIME) - clock_us(CLOCK_MONOTONIC);

        qvf_sensors_set_logind(
                        service->watch.sensors, true, service->system_bus->idle, monotonic_us + asleep);
}

static void take_property(struct qvfd *service, const char *name, sd_bus_message *message)
{
        const char *text;
        uint64_t since;
        uint32_t metered;
        int idle;

        if (strcmp(name, "IdleHint") == 0 && sd_bus_message_read(message, "v", "b", &idle) > 0) {
                service->system_bus->idle = idle;
                take_idle_since(service, clock_us(CLOCK_MONOTONIC));
        } else if (strcmp(name, "IdleSinceHintMonotonic") == 0 &&
                        sd_bus_message_read(message, "v", "t", &since) > 0) {
                take_idle_since(service, since);
        } else if (strcmp(name, "ActiveProfile") == 0 && sd_bus_message_read(message, "v", "s", &text) > 0) {
                qvf_sensors_set_power_profile(service->watch.sensors, text);
        } else if (strcmp(name, "Metered") == 0 && sd_bus_message_read(message, "v", "u", &metered) > 0) {
                qvf_sensors_set_metered(service->watch.sensors, metered);
        } else {
                sd_bus_message_skip(message, "v");
        }
}

static void take_properties(struct qvfd *service, sd_bus_message *message)
{
        if (!service->watch.sensors || sd_bus_message_enter_container(message, 'a', "{sv}") < 0)
                return;
        while (sd_bus_message_enter_container(message, 'e', "sv") > 0) {
                const char *name;

                if (sd_bus_message_read(message, "s", &name) < 0)
                        return;
                take_property(service, name, message);
                if (sd_bus_message_exit_container(message) < 0)
                        return;
        }
}

static int on_properties(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const char *interface;

        (void)error;
        if (sd_bus_message_read(message, "s", &interface) >= 0) {
                take_properties(userdata, message);
                qvfd_watch_decide(userdata, true);
        }
        return 0;
}

static int on_all(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        (void)error;
        if (!sd_bus_message_is_method_error(message, NULL))
                take_properties(userdata, message);
        return 0;
}

/* Property changes of one object, and what they are now. */
static void follow(struct qvfd *service, const char *name, const char *path, const char *interface)
{
        sd_bus *bus = service->system_bus->bus;
        sd_bus_message *message = NULL;

        sd_bus_match_signal_async(bus, NULL, name, path, "org.freedesktop.DBus.Properties",
                        "PropertiesChanged", on_properties, NULL, service);
        if (sd_bus_message_new_method_call(
                            bus, &message, name, path, "org.freedesktop.DBus.Properties", "GetAll") < 0)
                return;
        sd_bus_message_append(message, "s", interface);
        /* These are looked at, not started. */
        sd_bus_message_set_auto_start(message, 0);
        sd_bus_call_async(bus, NULL, message, on_all, service, 0);
        sd_bus_message_unref(message);
}

static int on_lock(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct qvfd *service = userdata;
        int fd;

        (void)error;
        if (sd_bus_message_is_method_error(message, NULL) || sd_bus_message_read(message, "h", &fd) < 0)
                return 0;
        if (service->system_bus->sleep_lock >= 0)
                close(service->system_bus->sleep_lock);
        service->system_bus->sleep_lock = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return 0;
}

static void take_lock(struct qvfd *service)
{
        sd_bus_message *message = NULL;

        if (sd_bus_message_new_method_call(service->system_bus->bus, &message, LOGIN, LOGIN_PATH,
                            LOGIN_MANAGER, "Inhibit") < 0)
                return;
        sd_bus_message_append(message, "ssss", "sleep", "qvfd", "writes checkpoints of training", "delay");
        sd_bus_message_set_auto_start(message, 0);
        sd_bus_call_async(service->system_bus->bus, NULL, message, on_lock, service, 0);
        sd_bus_message_unref(message);
}

static int on_sleep(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct qvfd *service = userdata;
        int sleeps;

        (void)error;
        if (sd_bus_message_read(message, "b", &sleeps) < 0)
                return 0;
        service->watch.suspending = sleeps;
        qvf_log(QVF_LOG_INFO, sleeps ? "the machine goes to sleep: jobs are checkpointed"
                                     : "the machine is awake again");
        qvfd_watch_decide(service, !sleeps);
        qvfd_pass_soon(service);
        if (!sleeps)
                take_lock(service);
        return 0;
}

void qvfd_system_bus_pass(struct qvfd *service)
{
        struct qvfd_system_bus *system = service->system_bus;

        if (!system || !service->watch.suspending || system->sleep_lock < 0 || service->active_job)
                return;
        close(system->sleep_lock);
        system->sleep_lock = -1;
}

void qvfd_system_bus_start(struct qvfd *service)
{
        struct qvfd_system_bus *system = calloc(1, sizeof(*system));
        int r;

        if (!system)
                return;
        system->sleep_lock = -1;
        service->system_bus = system;
        if (service->mode == QVFD_SYSTEM && service->connections) {
                system->bus = sd_bus_ref(service->connections->bus);
        } else {
                r = sd_bus_open_system_with_description(&system->bus, "sensors");
                if (r >= 0)
                        r = sd_bus_attach_event(system->bus, service->event, SD_EVENT_PRIORITY_NORMAL);
                if (r < 0) {
                        qvf_log(QVF_LOG_DEBUG, "no system bus: %s", strerror(-r));
                        qvfd_system_bus_stop(service);
                        return;
                }
                sd_bus_set_exit_on_disconnect(system->bus, 0);
        }
        follow(service, LOGIN, LOGIN_PATH, LOGIN_MANAGER);
        follow(service, PROFILES, PROFILES_PATH, PROFILES);
        follow(service, NETWORK, NETWORK_PATH, NETWORK);
        sd_bus_match_signal_async(system->bus, NULL, LOGIN, LOGIN_PATH, LOGIN_MANAGER, "PrepareForSleep",
                        on_sleep, NULL, service);
        take_lock(service);
}

void qvfd_system_bus_stop(struct qvfd *service)
{
        struct qvfd_system_bus *system = service->system_bus;

        if (!system)
                return;
        if (system->sleep_lock >= 0)
                close(system->sleep_lock);
        if (service->mode != QVFD_SYSTEM && system->bus)
                sd_bus_detach_event(system->bus);
        sd_bus_unref(system->bus);
        free(system);
        service->system_bus = NULL;
}
