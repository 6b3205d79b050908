/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/cgroup.h"
#include "daemon/device.h"
#include "daemon/failure.h"
#include "daemon/journal.h"
#include "daemon/model.h"
#include "daemon/qvfd.h"
#include "daemon/worker_end.h"
#include "daemon/worker_log.h"
#include "daemon/worker_signals.h"

#define OBJECT "/org/qvf/Worker1"
#define INTERFACE "org.qvf.Worker1"
enum { PINGS_MOST = 40 };                      /* in a row: ten minutes at the usual 15 s */
#define STOP_LIMIT_US (UINT64_C(20) * 1000000) /* a checkpoint on a slow card */

static uint64_t monotonic_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Signs of life are due while it has something to do; one that rests sleeps, and so does the timer. */
static bool owes_a_sign(const struct qvfd_worker *worker)
{
        return !worker->rests || worker->n_calls > 0 || worker->n_requests > 0 ||
               worker->state != QVFD_WORKER_READY;
}

static void watch_again(struct qvfd_worker *worker)
{
        int enabled;

        if (!worker->hang_timer || sd_event_source_get_enabled(worker->hang_timer, &enabled) < 0 ||
                        enabled != SD_EVENT_OFF || worker->child.pid == 0)
                return;
        sd_event_source_set_time(worker->hang_timer, worker->heartbeat_us + worker->hang_after_us);
        sd_event_source_set_enabled(worker->hang_timer, SD_EVENT_ONESHOT);
}

static int on_ping(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct qvfd_worker *worker = userdata;

        (void)error;
        if (sd_bus_message_is_method_error(message, NULL))
                return 0;
        worker->pinged = false;
        qvfd_worker_alive(worker);
        return 0;
}

/* A large model comes from a slow disk without a word: as long as the worker answers otherwise, it has some time. */
static bool ask_for_a_sign(struct qvfd_worker *worker)
{
        bool reads = worker->reads ||
                     (worker->state != QVFD_WORKER_READY && worker->state != QVFD_WORKER_ENDING);

        if (!reads || worker->pinged || worker->n_pings >= PINGS_MOST)
                return false;
        worker->pinged = true;
        worker->n_pings++;
        return sd_bus_call_method_async(worker->bus, NULL, NULL, OBJECT, INTERFACE, "Ping", on_ping, worker,
                               NULL) >= 0;
}

static int on_hang_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct qvfd_worker *worker = userdata;
        uint64_t due = worker->heartbeat_us + worker->hang_after_us;

        (void)usec;
        if (!owes_a_sign(worker)) /* the timer is off now, and comes back with the next thing to do */
                return 0;
        if (monotonic_us() < due) {
                sd_event_source_set_time(source, due);
                sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
                return 0;
        }
        if (ask_for_a_sign(worker)) {
                sd_event_source_set_time(source, monotonic_us() + worker->hang_after_us);
                sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
                return 0;
        }
        worker->killed_for_hang = worker->state != QVFD_WORKER_ENDING;
        qvfd_journal(QVF_LOG_WARNING, worker->model ? &worker->model->object : NULL,
                        worker->killed_for_hang ? "the worker gives no sign of life: it is killed"
                                                : "the worker does not end: it is killed");
        qvfd_child_kill(&worker->child, SIGKILL);
        return 0;
}

void qvfd_worker_alive(struct qvfd_worker *worker)
{
        worker->heartbeat_us = monotonic_us();
        if (owes_a_sign(worker))
                watch_again(worker);
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct qvfd_worker *worker = userdata;
        siginfo_t info;

        (void)source;
        (void)fd;
        (void)events;
        if (qvfd_child_reap(&worker->child, &info) <= 0)
                return 0;
        qvfd_worker_log_read(worker);
        qvfd_worker_has_ended(worker, &info);
        return 0;
}

static int open_bus(struct qvfd_worker *worker, int fd)
{
        int r = sd_bus_new(&worker->bus);

        if (r >= 0)
                r = sd_bus_set_fd(worker->bus, fd, fd);
        if (r < 0) {
                close(fd);
                return r;
        }
        r = sd_bus_set_anonymous(worker->bus, 1);
        if (r >= 0)
                r = sd_bus_negotiate_fds(worker->bus, 1);
        if (r >= 0)
                r = sd_bus_set_trusted(worker->bus, 1);
        if (r >= 0)
                r = sd_bus_start(worker->bus);
        if (r >= 0)
                r = sd_bus_add_filter(worker->bus, NULL, qvfd_worker_on_message, worker);
        return r < 0 ? r
                     : sd_bus_attach_event(worker->bus, worker->service->event, SD_EVENT_PRIORITY_NORMAL);
}

static int watch(struct qvfd_worker *worker)
{
        sd_event *event = worker->service->event;
        int r = sd_event_add_io(event, &worker->end_source, worker->child.pidfd, EPOLLIN, on_end, worker);

        /* What it said last is read before its end is looked at. */
        if (r >= 0)
                r = sd_event_source_set_priority(worker->end_source, SD_EVENT_PRIORITY_NORMAL + 10);
        if (r >= 0)
                r = sd_event_add_io(event, &worker->log_source, worker->log_fd, EPOLLIN, qvfd_worker_on_log,
                                worker);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &worker->hang_timer, CLOCK_MONOTONIC,
                                worker->hang_after_us, 1000000, on_hang_timer, worker);
        return r;
}

static int start(struct qvfd_worker *worker, struct qvf_error *error)
{
        int pair[2], log[2], r;
        _cleanup_close_ int theirs = -1, log_writer = -1, procs = -1;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return qvf_error_set(error, -errno, "no socket: %s", strerror(errno));
        theirs = pair[1];
        if (pipe2(log, O_CLOEXEC | O_NONBLOCK) < 0) {
                close(pair[0]);
                return qvf_error_set(error, -errno, "no pipe: %s", strerror(errno));
        }
        worker->log_fd = log[0];
        log_writer = log[1];
        fcntl(log_writer, F_SETFL, 0); /* the worker's own writes may wait */
        worker->cgroup = qvfd_cgroup_new(&procs);
        r = qvfd_spawn_worker(worker->service,
                        &(struct qvfd_spawn){ .fd3 = theirs,
                                        .out = log_writer,
                                        .err = log_writer,
                                        .cgroup = procs },
                        &worker->child, error);
        if (r < 0) {
                close(pair[0]);
                return r;
        }
        r = open_bus(worker, pair[0]);
        if (r >= 0)
                r = watch(worker);
        return r < 0 ? qvf_error_set(error, r, "a worker can't be spoken to: %s", strerror(-r)) : 0;
}

int qvfd_worker_new(struct qvfd *service, struct qvfd_worker **ret_worker, struct qvf_error *error)
{
        struct qvfd_worker *worker = calloc(1, sizeof(*worker));
        int r;

        if (!worker)
                return qvf_error_set(error, -ENOMEM, "no memory");
        worker->service = service;
        worker->child = QVFD_CHILD_NONE;
        worker->log_fd = worker->cgroup = -1;
        worker->hang_after_us = (uint64_t)(service->config.workers.hang_after_s * 1e6);
        worker->oom_kills_before = qvfd_oom_kills();
        qvfd_worker_alive(worker);
        worker->idle_since_us = worker->heartbeat_us;
        worker->next = service->workers;
        service->workers = worker;
        r = start(worker, error);
        if (r < 0) {
                qvfd_worker_free(worker);
                return r;
        }
        service->statistics.worker_starts++;
        *ret_worker = worker;
        return 0;
}

void qvfd_worker_stop(struct qvfd_worker *worker)
{
        if (worker->state == QVFD_WORKER_ENDING)
                return;
        worker->state = QVFD_WORKER_ENDING;
        if (worker->model)
                qvfd_model_worker_changed(worker->model);
        qvfd_worker_alive(worker);
        worker->hang_after_us = STOP_LIMIT_US;
        sd_event_source_set_time_relative(worker->hang_timer, STOP_LIMIT_US);
        sd_event_source_set_enabled(worker->hang_timer, SD_EVENT_ONESHOT);
        qvfd_child_kill(&worker->child, SIGTERM);
}

void qvfd_worker_free(struct qvfd_worker *worker)
{
        struct qvfd_worker **link = &worker->service->workers;

        while (*link != worker)
                link = &(*link)->next;
        *link = worker->next;
        sd_event_source_disable_unref(worker->end_source);
        sd_event_source_disable_unref(worker->log_source);
        sd_event_source_disable_unref(worker->hang_timer);
        if (worker->bus) {
                sd_bus_detach_event(worker->bus);
                sd_bus_close_unref(worker->bus);
        }
        qvfd_child_end(&worker->child);
        if (worker->log_fd >= 0)
                close(worker->log_fd);
        if (worker->cgroup >= 0)
                qvfd_cgroup_remove(worker->cgroup);
        for (unsigned i = 0; i < QVFD_WORKER_ADAPTERS; i++)
                free(worker->adapters[i].name);
        free(worker);
}

int qvfd_worker_message(struct qvfd_worker *worker, const char *member, sd_bus_message **ret_message)
{
        return sd_bus_message_new_method_call(worker->bus, ret_message, NULL, OBJECT, INTERFACE, member);
}

struct pending {
        struct qvfd_worker *worker;
        qvfd_worker_reply reply;
        void *context;
};

static int on_reply(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
        struct pending pending = *(struct pending *)userdata;
        const sd_bus_error *failure = sd_bus_message_get_error(message);
        sd_bus_error error = SD_BUS_ERROR_NULL;

        (void)ret_error;
        free(userdata);
        pending.worker->n_calls--;
        qvfd_worker_alive(pending.worker);
        if (failure)
                qvfd_error_from_worker(failure, pending.worker->message[0] ? pending.worker->message : NULL,
                                &error);
        pending.reply(pending.context, pending.worker, failure ? NULL : message, &error);
        sd_bus_error_free(&error);
        return 0;
}

void qvfd_worker_call(
                struct qvfd_worker *worker, sd_bus_message *message, qvfd_worker_reply reply, void *context)
{
        struct pending *pending = calloc(1, sizeof(*pending));
        int r = pending && message ? 0 : -ENOMEM;

        if (r == 0) {
                *pending = (struct pending){ worker, reply, context };
                r = sd_bus_call_async(worker->bus, NULL, message, on_reply, pending, UINT64_MAX);
        }
        sd_bus_message_unref(message);
        if (r < 0) {
                sd_bus_error error = SD_BUS_ERROR_NULL;

                free(pending);
                qvfd_fail(&error, "WorkerFailed", "the worker can't be asked: %s", strerror(-r));
                reply(context, worker, NULL, &error);
                sd_bus_error_free(&error);
                return;
        }
        if (worker->rests && worker->n_calls == 0) /* what it rested does not count */
                worker->heartbeat_us = monotonic_us();
        worker->n_calls++;
        watch_again(worker);
}

static int ignore_reply(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *failure = sd_bus_message_get_error(message);

        (void)userdata;
        (void)error;
        if (failure)
                qvf_log(QVF_LOG_DEBUG, "a worker says: %s",
                                failure->message ? failure->message : failure->name);
        return 0;
}

void qvfd_worker_tell(struct qvfd_worker *worker, const char *member)
{
        worker->rests = false;
        qvfd_worker_alive(worker);
        sd_bus_call_method_async(
                        worker->bus, NULL, NULL, OBJECT, INTERFACE, member, ignore_reply, NULL, NULL);
}
