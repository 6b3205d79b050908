/* SPDX-License-Identifier: Apache-2.0 */
/* Brings a model to a device, and lets it go when nobody asks for it. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/cgroup.h"
#include "daemon/device.h"
#include "daemon/file_work.h"
#include "daemon/journal.h"
#include "daemon/model.h"
#include "daemon/qvfd.h"
#include "daemon/request.h"
#include "daemon/train.h"
#include "daemon/values.h"

enum { WORKERS_MOST = 4, SEQUENCES = 4 };
#define CONTEXT_MOST 2048u

static uint64_t monotonic_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void set_reason(struct qvfd_model *model, const char *reason)
{
        free(model->reason);
        model->reason = strdup(reason);
}

static void on_loaded(
                void *context, struct qvfd_worker *worker, sd_bus_message *reply, const sd_bus_error *error)
{
        struct qvfd_model *model = worker->model;
        _cleanup_json_ struct json_object *info = NULL;

        (void)context;
        if (!model)
                return;
        if (!reply || qvfd_values_from_worker(reply, &info) < 0) {
                /* One that died while it loaded is judged where its end is. */
                if (error && worker->child.pid == 0)
                        return;
                set_reason(model, error && error->message ? error->message
                                                          : "the worker's answer can't be read");
                model->n_failed++;
                model->worker = NULL;
                worker->model = NULL;
                qvfd_worker_stop(worker);
                qvfd_notice(worker->service, "warning", &model->object, "it can't be loaded: %s",
                                model->reason);
                qvfd_requests_fail(model,
                                error && error->name ? error->name : QVFD_BUS_NAME ".Error.Internal",
                                model->reason);
                qvfd_works_load_failed(model, error && error->name ? error->name : "", model->reason);
                qvfd_train_load_failed(model, error && error->name ? error->name : "", model->reason);
                qvfd_model_worker_changed(model);
                return;
        }
        model->n_failed = 0;
        set_reason(model, "");
        worker->state = QVFD_WORKER_READY;
        worker->idle_since_us = monotonic_us();
        worker->sequences = (unsigned)qvfd_json_u64(info, "sequences");
        if (worker->sequences == 0)
                worker->sequences = 1;
        qvfd_journal(QVF_LOG_INFO, &model->object, "loaded on %s in %.2f s", worker->device->description,
                        qvfd_json_number(info, "seconds", 0));
        qvfd_model_worker_changed(model);
        qvfd_pass_soon(worker->service);
}

static uint64_t memory_limit(const struct qvfd *service)
{
        double limit = service->watch.verdict.activity[QVF_INFERENCE].memory_limit_bytes;

        return isfinite(limit) && limit > 0 ? (uint64_t)limit : 0;
}

/* Packed weights of a file are kept for the next time, beside the store's models. */
static int cache_folder(struct qvfd *service)
{
        if (mkdirat(service->store.root, "cache", 0700) < 0 && errno != EEXIST)
                return -errno;
        return openat(service->store.root, "cache", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* One worker answers and trains: where a job waits for it, the smaller number holds. */
static unsigned threads_of(const struct qvfd_worker *worker)
{
        const struct qvf_activity_verdict *verdict = worker->service->watch.verdict.activity;
        unsigned answers = verdict[QVF_INFERENCE].threads, training = verdict[QVF_TRAINING].threads;

        if (training == 0 || !qvfd_train_uses(worker))
                return answers;
        return answers == 0 || training < answers ? training : answers;
}

static void load(struct qvfd_worker *worker, int file)
{
        struct qvfd *service = worker->service;
        _cleanup_close_ int cache = cache_folder(service);
        sd_bus_message *message = NULL;
        int r = qvfd_worker_message(worker, "Load", &message);

        if (r >= 0)
                r = sd_bus_message_append(message, "h", file);
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "{sv}");
        if (r >= 0)
                r = qvfd_append_string(message, "backend", worker->device->backend);
        if (r >= 0)
                r = qvfd_append_string(message, "device", worker->device->id);
        if (r >= 0 && worker->device->tuning[0])
                r = qvfd_append_string(message, "tuning", worker->device->tuning);
        if (r >= 0)
                r = qvfd_append_u32(message, "threads", threads_of(worker));
        if (r >= 0)
                r = qvfd_append_u64(message, "memory", memory_limit(service));
        if (r >= 0)
                r = qvfd_append_u32(message, "hang_seconds", (uint32_t)(worker->hang_after_us / 1000000));
        if (r >= 0)
                r = qvfd_append_u32(message, "sequences", SEQUENCES);
        if (r >= 0)
                r = qvfd_append_u32(message, "context_length",
                                worker->model->context_length && worker->model->context_length < CONTEXT_MOST
                                                ? worker->model->context_length
                                                : CONTEXT_MOST);
        if (r >= 0 && cache >= 0)
                r = qvfd_append_fd(message, "cache", cache);
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        if (r < 0) {
                sd_bus_message_unref(message);
                message = NULL;
        }
        qvfd_worker_call(worker, message, on_loaded, NULL);
}

/* Room for one more: the one that has been idle for longest goes. */
static bool make_room(struct qvfd *service)
{
        struct qvfd_worker *oldest = NULL;
        unsigned n = 0;

        for (struct qvfd_worker *w = service->workers; w; w = w->next) {
                if (w->state == QVFD_WORKER_ENDING)
                        continue;
                n++;
                if (w->state == QVFD_WORKER_READY && w->n_requests == 0 && w->n_calls == 0 &&
                                !qvfd_train_uses(w) && (!oldest || w->idle_since_us < oldest->idle_since_us))
                        oldest = w;
        }
        if (n < WORKERS_MOST)
                return true;
        if (oldest)
                qvfd_worker_stop(oldest);
        return false;
}

int qvfd_model_need(struct qvfd_model *model, const char *device_name, const char *backend,
                struct qvf_error *error)
{
        struct qvfd *service = model->object.service;
        struct qvfd_device *device;
        struct qvfd_worker *worker;
        _cleanup_close_ int file = -1;
        int r;

        if (model->worker)
                return 0;
        if (service->stopping || service->options.dry_run || model->not_before_us > qvfd_now_us())
                return qvf_error_set(error, -EAGAIN, "not now");
        device = qvfd_device_choose(service, device_name, backend);
        if (!device)
                return service->ready && !service->discovery
                                       ? qvf_error_set(error, -ENODEV,
                                                         "no device can be used: see `qvfctl devices`")
                                       : qvf_error_set(error, -EAGAIN, "devices are still looked for");
        if (!make_room(service))
                return qvf_error_set(error, -EAGAIN, "another model has to go first");
        file = qvfd_model_open_file(model);
        if (file < 0)
                return qvf_error_set(error, file, "its file can't be opened: %s", strerror(-file));
        r = qvfd_worker_new(service, &worker, error);
        if (r < 0)
                return r;
        model->worker = worker;
        worker->model = model;
        worker->device = device;
        worker->state = QVFD_WORKER_LOADING;
        if (qvfd_device_is_software(device))
                worker->hang_after_us *= 2;
        qvfd_cgroup_limit(worker->cgroup, memory_limit(service));
        qvfd_model_worker_changed(model);
        load(worker, file);
        return 0;
}

static bool is_idle(const struct qvfd_worker *worker)
{
        return worker->state == QVFD_WORKER_READY && worker->model && worker->n_requests == 0 &&
               worker->n_calls == 0 && worker->model->n_uses == 0 && !qvfd_train_uses(worker) &&
               !qvfd_requests_wait_for(worker->model);
}

static int on_unload_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        qvfd_models_unload_idle(userdata);
        return 0;
}

void qvfd_models_unload_idle(struct qvfd *service)
{
        double after_s = service->config.workers.idle_unload_s;
        uint64_t now = monotonic_us(), next = UINT64_MAX;

        for (struct qvfd_worker *w = service->workers; w && isfinite(after_s); w = w->next) {
                uint64_t due = w->idle_since_us + (uint64_t)(after_s * 1e6);

                if (!is_idle(w))
                        continue;
                if (due <= now) {
                        qvfd_journal(QVF_LOG_INFO, &w->model->object, "unloaded: nobody asked for %.0f s",
                                        after_s);
                        qvfd_worker_stop(w);
                } else if (due < next) {
                        next = due;
                }
        }
        if (next == UINT64_MAX) {
                if (service->unload_timer)
                        sd_event_source_set_enabled(service->unload_timer, SD_EVENT_OFF);
                return;
        }
        if (!service->unload_timer)
                sd_event_add_time(service->event, &service->unload_timer, CLOCK_MONOTONIC, next, 1000000,
                                on_unload_timer, service);
        sd_event_source_set_time(service->unload_timer, next);
        sd_event_source_set_enabled(service->unload_timer, SD_EVENT_ONESHOT);
}
