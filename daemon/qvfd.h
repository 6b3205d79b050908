/* SPDX-License-Identifier: Apache-2.0 */
/* The one context of the service: what every part of it finds the others by. */
#ifndef QVF_DAEMON_QVFD_H
#define QVF_DAEMON_QVFD_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/config/config.h"
#include "daemon/object.h"
#include "daemon/options.h"
#include "daemon/statistics.h"
#include "daemon/store.h"
#include "daemon/watch.h"

#define QVFD_BUS_NAME "org.qvf.Fabric1"
#define QVFD_ROOT "/org/qvf/Fabric1"

enum qvfd_mode { QVFD_SYSTEM, QVFD_USER, QVFD_PRIVATE };

struct qvfd {
        struct qvfd_object object; /* the Manager's */
        sd_event *event;
        struct qvfd_options options;
        enum qvfd_mode mode;
        struct qvf_config config;
        char *config_error;
        struct qvfd_store store;
        struct qvfd_object *objects[QVFD_KINDS];
        struct qvfd_connection *connections;
        struct qvfd_client *clients;
        struct qvfd_authorisation *authorisations;
        struct qvfd_copy *copies;
        struct qvfd_work *works;
        struct qvfd_worker *workers;
        struct qvfd_request *requests; /* those that wait or run, the oldest first */
        struct qvfd_hold *holds;
        struct qvfd_job *active_job; /* the one that has a worker */
        struct qvfd_watch watch;
        struct qvfd_statistics statistics;
        struct qvfd_discovery *discovery; /* while one is under way */
        struct qvfd_system_bus *system_bus;
        struct qvfd_private_socket *socket;
        struct qvfd_hotplug *hotplug;
        sd_event_source *pass, *pass_timer, *unload_timer, *job_timer;
        uint64_t next_number; /* of sessions, requests and holds */
        bool ready, stopping;
};

/* Asks for a look at the queues soon: jobs, requests, idle workers. May be called from anywhere. */
void qvfd_pass_soon(struct qvfd *service);
void qvfd_pass_after(struct qvfd *service, uint64_t microseconds);
/* Ends the service: training is checkpointed, workers go, then the loop ends. */
void qvfd_stop(struct qvfd *service);

uint64_t qvfd_now_us(void);        /* CLOCK_BOOTTIME */
uint64_t qvfd_wall_clock_us(void); /* since 1970 */

#endif
