/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a request through a worker. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/adapter.h"
#include "daemon/failure.h"
#include "daemon/model.h"
#include "daemon/qvfd.h"
#include "daemon/request_end.h"
#include "daemon/session.h"
#include "daemon/values.h"

static void prepare(struct qvfd_request *request);

static void *number_context(const struct qvfd_request *request)
{
        return (void *)(uintptr_t)request->number;
}

/* Requests may end while a worker thinks: they are found by number. */
static struct qvfd_request *of_context(struct qvfd_worker *worker, void *context)
{
        struct qvfd_request *request = qvfd_request_find(worker->service, (uint32_t)(uintptr_t)context);

        return request && request->worker == worker ? request : NULL;
}

static bool wants_retry(struct qvfd_request *request)
{
        return request->message && !request->retried && !request->cancelled;
}

/* A worker that died took the answer with it; Complete has shown none of it yet and may ask once more. */
static void ask_again(struct qvfd_request *request)
{
        request->retried = true;
        request->state = QVFD_REQUEST_WAITS;
        if (request->worker)
                request->worker->n_requests--;
        request->worker = NULL;
        if (!request->message) /* its pipe was not given away yet */
                return;
        qvfd_request_close_text(request);
        if (request->output >= 0)
                close(request->output);
        request->output = -1;
        qvf_text_exit(&request->text);
        if (qvfd_request_open_text(request) < 0)
                qvfd_request_finish(request, "failed", NULL, QVFD_BUS_NAME ".Error.Internal", "no pipe");
}

static void fail(struct qvfd_request *request, const sd_bus_error *error)
{
        if (sd_bus_error_has_name(error, QVFD_BUS_NAME ".Error.WorkerFailed") && wants_retry(request)) {
                ask_again(request);
                return;
        }
        qvfd_request_finish(request, "failed", NULL, error->name, error->message);
}

static void on_taken(
                void *context, struct qvfd_worker *worker, sd_bus_message *reply, const sd_bus_error *error)
{
        struct qvfd_request *request = of_context(worker, context);

        if (!request)
                return;
        if (!reply) {
                fail(request, error);
                return;
        }
        /* Cancelled between the question and its answer: the worker did not know it yet. */
        if (request->cancelled)
                qvfd_request_cancel(request);
}

static int append_prompt(sd_bus_message *message, const struct qvfd_request *request)
{
        int r;

        if (!request->messages)
                return qvfd_append_string(message, "prompt", request->prompt);
        r = sd_bus_message_open_container(message, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(message, 's', "messages");
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'v', "a(ss)");
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "(ss)");
        for (size_t i = 0; r >= 0 && i < json_object_array_length(request->messages); i++) {
                struct json_object *pair = json_object_array_get_idx(request->messages, i);

                r = sd_bus_message_append(message, "(ss)",
                                json_object_get_string(json_object_array_get_idx(pair, 0)),
                                json_object_get_string(json_object_array_get_idx(pair, 1)));
        }
        for (int i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(message);
        return r;
}

/* Names of adapters as this worker knows them: with their version, so that a replaced one is another one. */
static int append_adapters(sd_bus_message *message, const struct qvfd_request *request)
{
        struct json_object *list = NULL;
        int r;

        json_object_object_get_ex(request->options, "adapters", &list);
        if (!list || json_object_array_length(list) == 0)
                return 0;
        r = sd_bus_message_open_container(message, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(message, 's', "adapters");
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'v', "a(sd)");
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "(sd)");
        for (size_t i = 0; r >= 0 && i < json_object_array_length(list); i++) {
                struct json_object *pair = json_object_array_get_idx(list, i);

                r = sd_bus_message_append(message, "(sd)",
                                json_object_get_string(json_object_array_get_idx(pair, 0)),
                                json_object_get_double(json_object_array_get_idx(pair, 1)));
        }
        for (int i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(message);
        return r;
}

static void run(struct qvfd_request *request)
{
        struct qvfd_worker *worker = request->worker;
        sd_bus_message *message = NULL;
        char number[16];
        int r = qvfd_worker_message(worker, "Infer", &message);

        snprintf(number, sizeof(number), "%" PRIu32, request->number);
        request->state = QVFD_REQUEST_RUNS;
        request->waited_us = qvfd_now_us() - request->asked_us;
        if (r >= 0)
                r = sd_bus_message_append(message, "sh", number, request->output);
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "{sv}");
        if (r >= 0)
                r = append_prompt(message, request);
        if (r >= 0)
                r = append_adapters(message, request);
        if (r >= 0)
                r = qvfd_values_append(message, QVFD_G_SAMPLING, request->options);
        if (r >= 0 && !json_object_object_get_ex(request->options, "seed", NULL))
                r = qvfd_append_u64(message, "seed", qvfd_now_us());
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        if (r < 0) {
                sd_bus_message_unref(message);
                message = NULL;
        }
        qvfd_worker_call(worker, message, on_taken, number_context(request));
        /* The message holds a copy until it is sent; then the worker's is the only one, and closing it is the end. */
        if (request->output >= 0)
                close(request->output);
        request->output = -1;
}

static void on_adapter(
                void *context, struct qvfd_worker *worker, sd_bus_message *reply, const sd_bus_error *error)
{
        struct qvfd_request *request = of_context(worker, context);

        if (!request) /* whoever asks next tries again */
                return;
        if (!reply) {
                fail(request, error);
                return;
        }
        prepare(request);
}

static unsigned find_adapter(const struct qvfd_worker *worker, const char *name)
{
        unsigned i;

        for (i = 0; i < QVFD_WORKER_ADAPTERS; i++)
                if (worker->adapters[i].name && strcmp(worker->adapters[i].name, name) == 0)
                        break;
        return i;
}

/* A place for one more: a free one, or that of one that was forgotten. */
static unsigned place_adapter(struct qvfd_worker *worker)
{
        unsigned i;

        for (i = 0; i < QVFD_WORKER_ADAPTERS; i++)
                if (!worker->adapters[i].name)
                        return i;
        for (i = 0; i < QVFD_WORKER_ADAPTERS; i++)
                if (!qvfd_adapter_find(worker->service, worker->adapters[i].name)) {
                        free(worker->adapters[i].name);
                        worker->adapters[i].name = NULL;
                        return i;
                }
        return 0;
}

static void send_adapter(struct qvfd_request *request, const struct qvfd_adapter *adapter)
{
        struct qvfd_worker *worker = request->worker;
        const char *name = adapter->object.name;
        _cleanup_close_ int file = qvfd_adapter_open_file(adapter);
        unsigned at = find_adapter(worker, name);
        sd_bus_message *message = NULL;
        int r = file < 0 ? file : qvfd_worker_message(worker, "AddAdapter", &message);

        if (at == QVFD_WORKER_ADAPTERS)
                at = place_adapter(worker);
        if (r >= 0)
                r = sd_bus_message_append(message, "sha{sv}", name, file, 1, "replace", "b", 1);
        if (r < 0) {
                sd_bus_message_unref(message);
                message = NULL;
        } else {
                free(worker->adapters[at].name);
                worker->adapters[at].name = strdup(name);
                worker->adapters[at].version = adapter->version;
        }
        qvfd_worker_call(worker, message, on_adapter, number_context(request));
}

/* The worker is told of every adapter that it does not know yet, one after the other. */
static void prepare(struct qvfd_request *request)
{
        struct json_object *list = NULL;

        request->state = QVFD_REQUEST_PREPARES;
        json_object_object_get_ex(request->options, "adapters", &list);
        for (; list && request->preparing < json_object_array_length(list); request->preparing++) {
                const char *name = json_object_get_string(json_object_array_get_idx(
                                json_object_array_get_idx(list, request->preparing), 0));
                const struct qvfd_adapter *adapter = qvfd_adapter_find(request->service, name);
                unsigned at = find_adapter(request->worker, name);

                if (!adapter) {
                        qvfd_request_finish(request, "failed", NULL, QVFD_BUS_NAME ".Error.NotFound",
                                        "the adapter was removed");
                        return;
                }
                if (at < QVFD_WORKER_ADAPTERS && request->worker->adapters[at].version == adapter->version)
                        continue;
                request->preparing++;
                send_adapter(request, adapter);
                return;
        }
        run(request);
}

/* The waiting request of the client that was served longest ago; of one client's, the oldest. */
static struct qvfd_request *choose(struct qvfd *service)
{
        struct qvfd_request *best = NULL;

        for (struct qvfd_request *r = service->requests; r; r = r->next) {
                struct qvfd_worker *worker = qvfd_model_ready(r->model);

                if (r->state != QVFD_REQUEST_WAITS || !worker || worker->n_requests >= worker->sequences)
                        continue;
                if (!best || (r->client && best->client && r->client->served < best->client->served))
                        best = r;
        }
        return best;
}

static void need_models(struct qvfd *service)
{
        for (struct qvfd_request *request = service->requests, *next; request; request = next) {
                struct qvf_error error = { 0 };
                sd_bus_error failure = SD_BUS_ERROR_NULL;
                int r;

                next = request->next;
                if (request->state != QVFD_REQUEST_WAITS || request->model->worker)
                        continue;
                r = qvfd_model_need(request->model, NULL, NULL, &error);
                if (r == -EAGAIN && request->model->not_before_us > qvfd_now_us())
                        qvfd_pass_after(service, request->model->not_before_us - qvfd_now_us());
                if (r == 0 || r == -EAGAIN)
                        continue;
                qvfd_fail_from(&failure, r, &error);
                qvfd_request_finish(request, "failed", NULL, failure.name, failure.message);
                sd_bus_error_free(&failure);
        }
}

void qvfd_requests_pass(struct qvfd *service)
{
        struct qvfd_request *request;

        need_models(service);
        while ((request = choose(service)) != NULL) {
                request->worker = request->model->worker;
                request->worker->n_requests++;
                request->worker->was_useful = true;
                if (request->client)
                        request->client->served = ++service->next_number;
                request->preparing = 0;
                prepare(request);
        }
}

bool qvfd_requests_wait_for(const struct qvfd_model *model)
{
        for (const struct qvfd_request *r = model->object.service->requests; r; r = r->next)
                if (r->model == model)
                        return true;
        return false;
}

bool qvfd_requests_run(const struct qvfd *service)
{
        for (const struct qvfd_request *r = service->requests; r; r = r->next)
                if (r->state == QVFD_REQUEST_RUNS)
                        return true;
        return false;
}

void qvfd_request_ended(struct qvfd_worker *worker, const char *number, const char *reason,
                struct json_object *stats)
{
        struct qvfd_request *request =
                        qvfd_request_find(worker->service, (uint32_t)strtoul(number, NULL, 10));
        const char *error = qvfd_json_string(stats, "error");
        char full[96];
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        worker->idle_since_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
        if (!request || request->worker != worker || request->state != QVFD_REQUEST_RUNS)
                return;
        if (strcmp(reason, "failed") == 0) {
                snprintf(full, sizeof(full), QVFD_BUS_NAME ".Error.%s", qvfd_error_short(error));
                if (!strchr(error, '.')) /* the worker names it without a prefix */
                        snprintf(full, sizeof(full), QVFD_BUS_NAME ".Error.%.60s",
                                        error[0] ? error : "Internal");
                qvfd_request_finish(request, reason, stats, full, qvfd_json_string(stats, "message"));
                return;
        }
        if (request->text_source) { /* the last of the text is still in the pipe */
                request->state = QVFD_REQUEST_DRAINS;
                request->reason = strdup(reason);
                request->stats = json_object_get(stats);
                return;
        }
        qvfd_request_finish(request, reason, stats, NULL, NULL);
}

void qvfd_request_cancel(struct qvfd_request *request)
{
        sd_bus_message *message = NULL;
        char number[16];

        request->cancelled = true;
        if (request->state == QVFD_REQUEST_WAITS || request->state == QVFD_REQUEST_PREPARES) {
                qvfd_request_finish(request, "cancelled", NULL, NULL, NULL);
                return;
        }
        snprintf(number, sizeof(number), "%" PRIu32, request->number);
        if (request->worker && qvfd_worker_message(request->worker, "CancelInfer", &message) >= 0 &&
                        sd_bus_message_append(message, "s", number) >= 0)
                sd_bus_send(request->worker->bus, message, NULL);
        sd_bus_message_unref(message);
}

void qvfd_requests_worker_ended(struct qvfd_worker *worker, enum qvfd_end end)
{
        for (struct qvfd_request *request = worker->service->requests, *next; request; request = next) {
                next = request->next;
                if (request->worker != worker)
                        continue;
                if (request->state == QVFD_REQUEST_DRAINS)
                        continue;
                if (wants_retry(request) || (end == QVFD_END_ASKED && request->state != QVFD_REQUEST_RUNS))
                        ask_again(request);
                else
                        qvfd_request_finish(request, "failed", NULL, QVFD_BUS_NAME ".Error.WorkerFailed",
                                        worker->message);
        }
        for (struct qvfd_request *request = worker->service->requests; request; request = request->next)
                if (request->worker == worker)
                        request->worker = NULL;
}

void qvfd_requests_fail(struct qvfd_model *model, const char *error, const char *message)
{
        for (struct qvfd_request *request = model->object.service->requests, *next; request;
                        request = next) {
                next = request->next;
                if (request->model == model && request->state == QVFD_REQUEST_WAITS)
                        qvfd_request_finish(request, "failed", NULL, error, message);
        }
}

void qvfd_requests_fail_all(struct qvfd *service, const char *error, const char *message)
{
        for (struct qvfd_request *request = service->requests, *next; request; request = next) {
                next = request->next;
                if (request->state == QVFD_REQUEST_RUNS)
                        qvfd_request_cancel(request);
                else
                        qvfd_request_finish(request, "failed", NULL, error, message);
        }
}

void qvfd_requests_leave(struct qvfd_session *session)
{
        struct qvfd *service = session->object.service;

        for (struct qvfd_request *request = service->requests, *next; request; request = next) {
                uint32_t number = request->number;

                next = request->next;
                if (request->session != session)
                        continue;
                qvfd_request_cancel(request);
                request = qvfd_request_find(service, number);
                if (request)
                        request->session = NULL;
        }
}

void qvfd_requests_drop(struct qvfd_client *client)
{
        struct qvfd *service = client->service;

        for (struct qvfd_request *request = service->requests, *next; request; request = next) {
                uint32_t number = request->number;

                next = request->next;
                if (request->client != client)
                        continue;
                /* The client must outlive the cancelling: it is being dropped by who called. */
                request->client = NULL;
                request->message = sd_bus_message_unref(request->message);
                qvfd_request_cancel(request);
                request = qvfd_request_find(service, number);
                if (request)
                        request->session = NULL;
        }
}
