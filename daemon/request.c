/* SPDX-License-Identifier: Apache-2.0 */
/* Taking requests: limits, options, adapters. */
#include "daemon/request.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/adapter.h"
#include "daemon/failure.h"
#include "daemon/model.h"
#include "daemon/qvfd.h"
#include "daemon/request_end.h"
#include "daemon/session.h"

#define MAX_TOKENS 256 /* unless asked otherwise: what an interactive answer needs */
enum {
        BYTES_PER_TOKEN_MOST = 16
}; /* longer than any token of ordinary text: a prompt beyond it has too many tokens */

static unsigned count_all(const struct qvfd *service)
{
        unsigned n = 0;

        for (const struct qvfd_request *r = service->requests; r; r = r->next)
                n++;
        return n;
}

static int check_limits(const struct qvfd_request_parts *parts, uint64_t bytes, sd_bus_error *error)
{
        struct qvfd *service = parts->client->service;
        const struct qvf_clients_config *limits = &service->config.clients;
        uint64_t tokens = qvfd_json_u64(parts->options, "max_tokens");

        if (parts->client->n_requests >= limits->requests)
                return qvfd_fail(error, "LimitReached",
                                "clients.requests: %u requests of this client wait or run",
                                limits->requests);
        if (count_all(service) >= limits->requests_all)
                return qvfd_fail(error, "LimitReached", "clients.requests_all: %u requests wait or run",
                                limits->requests_all);
        if (tokens > limits->tokens)
                return qvfd_fail(error, "LimitReached",
                                "clients.tokens: an answer may have %u tokens, not %" PRIu64, limits->tokens,
                                tokens);
        if (bytes > (uint64_t)limits->prompt_tokens * BYTES_PER_TOKEN_MOST)
                return qvfd_fail(error, "LimitReached",
                                "clients.prompt_tokens: %" PRIu64 " bytes are more than %u tokens", bytes,
                                limits->prompt_tokens);
        if ((double)(parts->client->memory_bytes + bytes) > limits->memory_bytes)
                return qvfd_fail(error, "LimitReached",
                                "clients.memory: the prompts of this client take too much");
        return 0;
}

/* "NAME" or "NAME:SCALE" becomes an entry of `adapters`. */
static int add_adapter(struct json_object *list, const char *text, sd_bus_error *error)
{
        const char *colon = strchr(text, ':');
        char name[80], *end = NULL;
        double scale = colon ? strtod(colon + 1, &end) : 1;
        struct json_object *pair;

        if (colon && (end == colon + 1 || *end))
                return qvfd_fail(error, "InvalidArgument", "option adapter: %.80s is not NAME:SCALE", text);
        snprintf(name, sizeof(name), "%.*s", (int)(colon ? colon - text : (long)strlen(text)), text);
        pair = json_object_new_array();
        json_object_array_add(pair, json_object_new_string(name));
        json_object_array_add(pair, json_object_new_double(scale));
        json_object_array_add(list, pair);
        return 0;
}

static int resolve_adapters(struct qvfd_request *request, sd_bus_error *error)
{
        const char *one = qvfd_json_string(request->options, "adapter");
        struct json_object *list = NULL;
        int r = 0;

        if (!json_object_object_get_ex(request->options, "adapters", &list)) {
                list = json_object_new_array();
                json_object_object_add(request->options, "adapters", list);
        }
        if (one[0])
                r = add_adapter(list, one, error);
        for (size_t i = 0; r == 0 && i < json_object_array_length(list); i++) {
                const char *name = json_object_get_string(
                                json_object_array_get_idx(json_object_array_get_idx(list, i), 0));
                const struct qvfd_adapter *adapter = qvfd_adapter_find(request->service, name);

                if (!adapter)
                        return qvfd_fail(error, "NotFound", "there is no adapter %.64s", name);
                if (strcmp(adapter->model, request->model->object.name) != 0)
                        return qvfd_fail(error, "InvalidArgument",
                                        "the adapter %s belongs to the model %s, not to %s", name,
                                        adapter->model, request->model->object.name);
        }
        return r;
}

static struct json_object *message_of(const char *role, const char *text)
{
        struct json_object *pair = json_object_new_array();

        json_object_array_add(pair, json_object_new_string(role));
        json_object_array_add(pair, json_object_new_string(text));
        return pair;
}

/* A prompt becomes the user's turn where the model has a template, unless told otherwise. */
static int make_messages(struct qvfd_request *request, sd_bus_error *error)
{
        const char *system = qvfd_json_string(request->options, "system");
        struct json_object *chat = NULL;
        bool wanted = json_object_object_get_ex(request->options, "chat", &chat)
                                      ? json_object_get_boolean(chat)
                                      : request->model->has_chat_template;

        if (request->messages || wanted || system[0]) {
                if (!request->model->has_chat_template)
                        return qvfd_fail(error, "Unsupported", "the model %s has no chat template",
                                        request->model->object.name);
        }
        if (request->messages || (!wanted && !system[0]))
                return 0;
        request->messages = json_object_new_array();
        if (system[0])
                json_object_array_add(request->messages, message_of("system", system));
        json_object_array_add(request->messages, message_of("user", request->prompt));
        return 0;
}

static int copy_output(struct qvfd_request *request, int output)
{
        if (output < 0)
                return qvfd_request_open_text(request);
        request->output = fcntl(output, F_DUPFD_CLOEXEC, 3);
        return request->output < 0 ? -errno : 0;
}

static void free_early(struct qvfd_request *request)
{
        qvfd_request_close_text(request);
        if (request->output >= 0)
                close(request->output);
        json_object_put(request->options);
        json_object_put(request->messages);
        free(request->prompt);
        free(request);
}

static uint64_t bytes_of(const struct qvfd_request_parts *parts)
{
        uint64_t bytes = parts->prompt ? strlen(parts->prompt) : 0;

        for (size_t i = 0; parts->messages && i < json_object_array_length(parts->messages); i++)
                bytes += strlen(json_object_get_string(json_object_array_get_idx(
                                json_object_array_get_idx(parts->messages, i), 1)));
        return bytes + strlen(qvfd_json_string(parts->options, "system"));
}

static void put_in_queue(struct qvfd_request *request)
{
        struct qvfd_request **end = &request->service->requests;

        while (*end)
                end = &(*end)->next;
        *end = request;
        request->number = (uint32_t)++request->service->next_number;
        request->client->n_requests++;
        request->client->memory_bytes += request->memory_bytes;
        if (request->session) {
                request->session->n_requests++;
                QVFD_CHANGED(request->session, "Requests");
        }
}

int qvfd_request_new(struct qvfd *service, const struct qvfd_request_parts *parts,
                struct qvfd_request **ret_request, sd_bus_error *error)
{
        struct qvfd_request *request;
        uint64_t bytes = bytes_of(parts);
        int r;

        if (!json_object_object_get_ex(parts->options, "max_tokens", NULL))
                qvfd_json_set_u64(parts->options, "max_tokens",
                                MAX_TOKENS < service->config.clients.tokens
                                                ? MAX_TOKENS
                                                : service->config.clients.tokens);
        service->statistics.requests++;
        r = check_limits(parts, bytes, error);
        if (r == 0 && !qvfd_allowed(service, QVF_INFERENCE)) {
                qvfd_watch_decide(service, true);
                if (!qvfd_allowed(service, QVF_INFERENCE))
                        r = qvfd_fail(error, "NotAllowed", "%s",
                                        qvfd_allowed_reason(service, QVF_INFERENCE));
        }
        if (r == 0 && service->options.dry_run)
                r = qvfd_fail(error, "NotAllowed", "this is a dry run");
        request = r == 0 ? calloc(1, sizeof(*request)) : NULL;
        if (!request) {
                service->statistics.requests_refused++;
                return r < 0 ? r : -ENOMEM;
        }
        request->service = service;
        request->client = parts->client;
        request->session = parts->session;
        request->model = parts->model;
        request->options = json_object_get(parts->options);
        request->messages = json_object_get(parts->messages);
        request->prompt = strdup(parts->prompt ? parts->prompt : "");
        request->memory_bytes = bytes;
        request->asked_us = qvfd_now_us();
        request->output = request->text_fd = -1;
        r = resolve_adapters(request, error);
        if (r == 0)
                r = make_messages(request, error);
        if (r == 0)
                r = copy_output(request, parts->output);
        if (r < 0) {
                service->statistics.requests_refused++;
                free_early(request);
                return r;
        }
        request->message = sd_bus_message_ref(parts->message);
        put_in_queue(request);
        *ret_request = request;
        qvfd_pass_soon(service);
        return 0;
}

struct qvfd_request *qvfd_request_find(struct qvfd *service, uint32_t number)
{
        for (struct qvfd_request *r = service->requests; r; r = r->next)
                if (r->number == number)
                        return r;
        return NULL;
}

bool qvfd_request_uses_adapter(const struct qvfd_request *request, const char *name)
{
        struct json_object *list = NULL;

        json_object_object_get_ex(request->options, "adapters", &list);
        for (size_t i = 0; list && i < json_object_array_length(list); i++)
                if (strcmp(json_object_get_string(
                                           json_object_array_get_idx(json_object_array_get_idx(list, i), 0)),
                                    name) == 0)
                        return true;
        return false;
}
