/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/request_end.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/connection.h"
#include "daemon/device.h"
#include "daemon/failure.h"
#include "daemon/model.h"
#include "daemon/qvfd.h"
#include "daemon/session.h"
#include "daemon/values.h"

enum { TEXT_MOST = 4 << 20, ROUNDS_MOST = 16 };

/* The statistics of an answer, in the order of the interface file. */
static const struct {
        const char *key;
        char type;
} stat_keys[] = { { "prompt_tokens", 'u' }, { "reused_tokens", 'u' }, { "generated_tokens", 'u' },
        { "queue_ms", 'd' }, { "first_token_ms", 'd' }, { "prompt_seconds", 'd' },
        { "generation_seconds", 'd' }, { "tokens_per_second", 'd' }, { "seed", 't' } };

static int append_stats(sd_bus_message *message, const struct qvfd_request *request, const char *reason,
                struct json_object *stats, const char *error, const char *words)
{
        int r = sd_bus_message_open_container(message, 'a', "{sv}");

        if (r >= 0)
                r = qvfd_append_string(message, "reason", reason);
        if (r >= 0)
                r = qvfd_append_string(message, "model", request->model->object.name);
        if (r >= 0 && request->worker && request->worker->device)
                r = qvfd_append_string(message, "device", request->worker->device->object.name);
        for (size_t i = 0; r >= 0 && i < sizeof(stat_keys) / sizeof(stat_keys[0]); i++) {
                const char *key = stat_keys[i].key;

                if (!json_object_object_get_ex(stats, key, NULL))
                        continue;
                r = stat_keys[i].type == 'u'
                                    ? qvfd_append_u32(message, key, (uint32_t)qvfd_json_u64(stats, key))
                    : stat_keys[i].type == 't'
                                    ? qvfd_append_u64(message, key, qvfd_json_u64(stats, key))
                                    : qvfd_append_double(message, key, qvfd_json_number(stats, key, 0));
        }
        if (r >= 0 && error)
                r = qvfd_append_string(message, "error", qvfd_error_short(error));
        if (r >= 0 && error)
                r = qvfd_append_string(message, "message", words ? words : "");
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static void answer_complete(struct qvfd_request *request, const char *reason, struct json_object *stats,
                const char *error, const char *words)
{
        sd_bus_message *reply = NULL;
        int r;

        if (error) {
                sd_bus_reply_method_errorf(request->message, error, "%s", words ? words : "");
                return;
        }
        if (request->cancelled) {
                sd_bus_reply_method_errorf(request->message, QVFD_BUS_NAME ".Error.Cancelled", "cancelled");
                return;
        }
        r = sd_bus_message_new_method_return(request->message, &reply);
        /* A worker that writes half a character is a bug there, and no message of ours. */
        if (r >= 0)
                r = sd_bus_message_append(reply, "s",
                                qvf_utf8_valid_prefix(qvf_text_string(&request->text),
                                                request->text.length) == request->text.length
                                                ? qvf_text_string(&request->text)
                                                : "");
        if (r >= 0)
                r = append_stats(reply, request, reason, stats, NULL, NULL);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        if (r < 0)
                sd_bus_reply_method_errno(request->message, r, NULL);
        sd_bus_message_unref(reply);
}

static void tell_session(struct qvfd_request *request, const char *reason, struct json_object *stats,
                const char *error, const char *words)
{
        struct qvfd_client *client = request->client;
        sd_bus_message *signal = NULL;
        int r = sd_bus_message_new_signal(client->connection->bus, &signal, request->session->object.path,
                        qvfd_kind_interface(QVFD_SESSION), "Finished");

        if (r >= 0 && client->sender)
                r = sd_bus_message_set_destination(signal, client->sender);
        if (r >= 0)
                r = sd_bus_message_append(signal, "us", request->number, reason);
        if (r >= 0)
                r = append_stats(signal, request, reason, stats, error, words);
        if (r >= 0)
                sd_bus_send(client->connection->bus, signal, NULL);
        sd_bus_message_unref(signal);
}

static void count(struct qvfd_request *request, struct json_object *stats, const char *error)
{
        struct qvfd_statistics *statistics = &request->service->statistics;
        uint64_t generated = qvfd_json_u64(stats, "generated_tokens");

        if (error)
                statistics->requests_failed++;
        statistics->tokens_generated += generated;
        statistics->tokens_prompt += qvfd_json_u64(stats, "prompt_tokens");
        if (generated > 0 && json_object_object_get_ex(stats, "first_token_ms", NULL))
                qvfd_samples_add(&statistics->first_token_ms, qvfd_json_number(stats, "first_token_ms", 0));
        if (request->session) {
                request->session->tokens_generated += generated;
                request->session->n_requests--;
                QVFD_CHANGED(request->session, "Requests", "TokensGenerated");
        }
        request->model->last_used_us = qvfd_wall_clock_us();
}

/* The time in our own queue comes on top of what the worker knows of. */
static void add_queue_time(struct qvfd_request *request, struct json_object *stats)
{
        static const char *const keys[] = { "queue_ms", "first_token_ms" };
        double waited_ms = (double)request->waited_us / 1000;

        for (unsigned i = 0; i < 2; i++)
                if (json_object_object_get_ex(stats, keys[i], NULL))
                        qvfd_json_set_number(
                                        stats, keys[i], qvfd_json_number(stats, keys[i], 0) + waited_ms);
}

void qvfd_request_finish(struct qvfd_request *request, const char *reason, struct json_object *stats,
                const char *error, const char *message)
{
        struct qvfd *service = request->service;
        struct qvfd_request **link = &service->requests;
        struct qvfd_client *client = request->client;

        if (stats)
                add_queue_time(request, stats);
        if (request->output >= 0)
                close(request->output);
        if (request->message)
                answer_complete(request, reason, stats, error, message);
        else if (request->session && client)
                tell_session(request, reason, stats, error, message);
        count(request, stats, error);
        while (*link != request)
                link = &(*link)->next;
        *link = request->next;
        if (request->worker)
                request->worker->n_requests--;
        qvfd_request_close_text(request);
        sd_bus_message_unref(request->message);
        json_object_put(request->options);
        json_object_put(request->messages);
        json_object_put(request->stats);
        free(request->prompt);
        free(request->reason);
        qvf_text_exit(&request->text);
        if (client) {
                client->n_requests--;
                client->memory_bytes -= request->memory_bytes;
        }
        free(request);
        qvfd_pass_soon(service);
}

static int on_text(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct qvfd_request *request = userdata;
        char bytes[4096];
        ssize_t n = -1;

        (void)source;
        (void)events;
        for (int round = 0; round < ROUNDS_MOST && (n = read(fd, bytes, sizeof(bytes))) > 0; round++)
                if (qvf_text_append(&request->text, bytes, (size_t)n) < 0)
                        qvfd_request_cancel(request);
        if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
                return 0;
        qvfd_request_close_text(request);
        if (request->state == QVFD_REQUEST_DRAINS) {
                struct json_object *stats = request->stats;
                char *reason = request->reason;

                request->stats = NULL;
                request->reason = NULL;
                qvfd_request_finish(request, reason, stats, NULL, NULL);
                json_object_put(stats);
                free(reason);
        }
        return 0;
}

int qvfd_request_open_text(struct qvfd_request *request)
{
        int ends[2], r;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        request->text_fd = ends[0];
        request->output = ends[1];
        request->text.limit = TEXT_MOST;
        r = sd_event_add_io(
                        request->service->event, &request->text_source, ends[0], EPOLLIN, on_text, request);
        return r < 0 ? r : 0;
}

void qvfd_request_close_text(struct qvfd_request *request)
{
        request->text_source = sd_event_source_disable_unref(request->text_source);
        if (request->text_fd >= 0)
                close(request->text_fd);
        request->text_fd = -1;
}
