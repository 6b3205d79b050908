/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that may have to change when anything has changed, once for many changes. */
#include "daemon/pass.h"

#include <time.h>

#include "common/log.h"
#include "daemon/connection.h"
#include "daemon/copy.h"
#include "daemon/file_work.h"
#include "daemon/job.h"
#include "daemon/model.h"
#include "daemon/qvfd.h"
#include "daemon/request.h"
#include "daemon/system_bus.h"
#include "daemon/train.h"

enum { SIGNALS_MOST = 4096 }; /* that a client has not read: it will not, and they fill our memory */

static uint64_t clock_us(clockid_t id)
{
        struct timespec now;

        clock_gettime(id, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t qvfd_now_us(void)
{
        return clock_us(CLOCK_BOOTTIME);
}

uint64_t qvfd_wall_clock_us(void)
{
        return clock_us(CLOCK_REALTIME);
}

static void drop_deaf_clients(struct qvfd *service)
{
        for (struct qvfd_connection *c = service->connections, *next; c; c = next) {
                uint64_t waiting = 0;

                next = c->next;
                if (!c->direct || sd_bus_get_n_queued_write(c->bus, &waiting) < 0 || waiting < SIGNALS_MOST)
                        continue;
                qvf_log(QVF_LOG_WARNING, "a client (process %d) reads nothing: its connection is closed",
                                (int)c->pid);
                qvfd_connection_close(c);
        }
}

static void end_when_quiet(struct qvfd *service)
{
        if (!service->active_job && !service->workers)
                sd_event_exit(service->event, 0);
        for (struct qvfd_worker *w = service->workers; !service->active_job && w; w = w->next)
                qvfd_worker_stop(w);
}

static int on_pass(sd_event_source *source, void *userdata)
{
        struct qvfd *service = userdata;

        (void)source;
        drop_deaf_clients(service);
        if (service->stopping) {
                qvfd_jobs_pass(service);
                end_when_quiet(service);
                return 0;
        }
        qvfd_requests_pass(service);
        qvfd_works_pass(service);
        qvfd_jobs_pass(service);
        qvfd_models_unload_idle(service);
        qvfd_system_bus_pass(service);
        qvfd_watch_arm(service);
        return 0;
}

void qvfd_pass_soon(struct qvfd *service)
{
        if (service->pass)
                sd_event_source_set_enabled(service->pass, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        qvfd_pass_soon(userdata);
        return 0;
}

void qvfd_pass_after(struct qvfd *service, uint64_t microseconds)
{
        uint64_t due = clock_us(CLOCK_MONOTONIC) + microseconds, before = 0;
        int enabled = SD_EVENT_OFF;

        if (!service->pass_timer) {
                sd_event_add_time(service->event, &service->pass_timer, CLOCK_MONOTONIC, due, 50000,
                                on_timer, service);
                return;
        }
        sd_event_source_get_enabled(service->pass_timer, &enabled);
        sd_event_source_get_time(service->pass_timer, &before);
        if (enabled != SD_EVENT_OFF && before <= due)
                return;
        sd_event_source_set_time(service->pass_timer, due);
        sd_event_source_set_enabled(service->pass_timer, SD_EVENT_ONESHOT);
}

int qvfd_pass_open(struct qvfd *service)
{
        int r = sd_event_add_defer(service->event, &service->pass, on_pass, service);

        /* After what has come in, so that one look sees all of it. */
        return r < 0 ? r : sd_event_source_set_priority(service->pass, SD_EVENT_PRIORITY_NORMAL + 20);
}

void qvfd_pass_close(struct qvfd *service)
{
        service->pass = sd_event_source_disable_unref(service->pass);
        service->pass_timer = sd_event_source_disable_unref(service->pass_timer);
        service->job_timer = sd_event_source_disable_unref(service->job_timer);
        service->unload_timer = sd_event_source_disable_unref(service->unload_timer);
}

void qvfd_stop(struct qvfd *service)
{
        if (service->stopping)
                return;
        service->stopping = true;
        qvfd_requests_fail_all(service, QVFD_BUS_NAME ".Error.Cancelled", "the service ends");
        if (service->active_job)
                qvfd_train_stop(service->active_job);
        qvfd_pass_soon(service);
}
