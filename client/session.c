/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions, and the answers that come through pipes. A request has ended when its pipe is at its end and its
 * Finished has come, in either order. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "common/text.h"

static void request_free(struct qvf_request *request)
{
        if (request->fd >= 0)
                close(request->fd); /* leaves the epoll by this, too */
        free(request->reason);
        qvf_value_free(request->stats);
        free(request);
}

static void sweep(struct qvf_client *client)
{
        struct qvf_request **at = &client->requests;

        while (client->reading == 0 && *at) {
                struct qvf_request *request = *at;

                if (request->session) {
                        at = &request->next;
                } else {
                        *at = request->next;
                        request_free(request);
                }
        }
}

/* Tells the end; the request is given up before that, so that the callback may free the session. */
static void end(struct qvf_client *client, struct qvf_request *request, const char *reason,
                const struct qvf_failure *failure)
{
        request->session = NULL;
        client->reading++;
        if (request->stream.on_end)
                request->stream.on_end(request->stream.context, reason, request->stats, failure);
        client->reading--;
}

static void end_if_complete(struct qvf_client *client, struct qvf_request *request)
{
        const struct qvf_value *stats = request->stats;
        struct qvf_failure failure = { 0 };
        char name[128];
        DBusMessage *error;

        if (!request->session || request->fd >= 0 || !request->reason)
                return;
        if (strcmp(request->reason, "failed") != 0) {
                end(client, request, request->reason, NULL);
                return;
        }
        qvf_fail(&failure, QVF_FAILED, qvf_value_string(qvf_value_get(stats, "error")), "%s",
                        qvf_value_string(qvf_value_get(stats, "message")));
        snprintf(name, sizeof(name), QVF_BUS_NAME ".Error.%s", failure.name);
        error = dbus_validate_error_name(name, NULL) ? dbus_message_new(DBUS_MESSAGE_TYPE_ERROR) : NULL;
        if (error && dbus_message_set_error_name(error, name))
                failure.code = qvf_fail_from_reply(NULL, error);
        if (error)
                dbus_message_unref(error);
        end(client, request, "failed", &failure);
}

/* Hands on what is whole; the rest of a character waits for its other bytes. */
static void hand_on(struct qvf_client *client, struct qvf_request *request, const char *bytes, size_t length)
{
        size_t whole = qvf_utf8_valid_prefix(bytes, length);

        if (length - whole >= sizeof(request->partial))
                whole = length; /* not UTF-8 at all: better as it is than never */
        memcpy(request->partial, bytes + whole, length - whole);
        request->partial_length = length - whole;
        if (whole > 0 && request->stream.on_text && request->session) {
                client->reading++;
                request->stream.on_text(request->stream.context, bytes, whole);
                client->reading--;
        }
}

static void read_pipe(struct qvf_client *client, struct qvf_request *request)
{
        char bytes[4096 + sizeof(request->partial)];
        size_t kept = request->partial_length;
        ssize_t count;

        memcpy(bytes, request->partial, kept);
        count = read(request->fd, bytes + kept, sizeof(bytes) - kept);
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (count > 0) {
                hand_on(client, request, bytes, kept + (size_t)count);
                return;
        }
        close(request->fd);
        request->fd = -1;
}

void qvf_requests_readable(struct qvf_client *client, int fd)
{
        struct qvf_request *request = client->requests;

        while (request && request->fd != fd)
                request = request->next;
        if (!request)
                return;
        read_pipe(client, request);
        end_if_complete(client, request);
        sweep(client);
}

void qvf_requests_message(struct qvf_client *client, DBusMessage *message)
{
        _cleanup_(qvf_value_freep) struct qvf_value *arguments = NULL;
        _cleanup_free_ char *name = NULL;
        const char *kind;

        if (!dbus_message_is_signal(message, QVF_BUS_NAME ".Session", "Finished") ||
                        !qvf_watch_is_from_service(client, message))
                return;
        arguments = qvf_value_from_message(message);
        kind = qvf_path_kind(dbus_message_get_path(message), &name);
        if (!arguments || !kind)
                return;
        for (struct qvf_request *request = client->requests; request; request = request->next) {
                if (!request->session || strcmp(request->session->id, name) != 0 ||
                                request->number != qvf_value_unsigned(qvf_value_at(arguments, 0)))
                        continue;
                request->reason = strdup(qvf_value_string(qvf_value_at(arguments, 1)));
                request->stats = qvf_value_take(arguments, 2);
                end_if_complete(client, request);
                break;
        }
        sweep(client);
}

void qvf_requests_lost(struct qvf_client *client)
{
        struct qvf_failure failure;

        qvf_fail(&failure, QVF_NOT_RUNNING, "Disconnected", "qvfd went away during the answer");
        for (struct qvf_request *request = client->requests; request; request = request->next)
                if (request->session)
                        end(client, request, "failed", &failure);
        sweep(client);
}

void qvf_requests_exit(struct qvf_client *client)
{
        for (struct qvf_request *request = client->requests; request; request = request->next)
                request->session = NULL;
        sweep(client);
}

int qvf_session_open(struct qvf_client *client, const char *model, const struct qvf_options *options,
                struct qvf_session **ret_session, struct qvf_failure *failure)
{
        _cleanup_(qvf_value_freep) struct qvf_value *reply = NULL;
        struct qvf_session *session;
        char *id = NULL;
        int r = qvf_watch_begin(client, failure);

        if (r == 0)
                r = qvf_call(client, "manager", "", "OpenSession", &reply, failure, "sO", model, options);
        if (r < 0)
                return r;
        if (!qvf_path_kind(qvf_value_string(qvf_value_at(reply, 0)), &id))
                return qvf_fail(failure, QVF_FAILED, "", "qvfd answered with no session");
        session = malloc(sizeof(*session));
        if (!session) {
                free(id);
                return qvf_fail(failure, QVF_NO_MEMORY, "", "not enough memory for a session");
        }
        *session = (struct qvf_session){ .client = client, .id = id };
        *ret_session = session;
        return 0;
}

struct qvf_session *qvf_session_free(struct qvf_session *session)
{
        _cleanup_free_ char *path = NULL;
        DBusMessage *message = NULL;

        if (!session)
                return NULL;
        for (struct qvf_request *request = session->client->requests; request; request = request->next)
                if (request->session == session)
                        request->session = NULL;
        sweep(session->client);
        path = qvf_object_path("sessions", session->id);
        if (path)
                message = qvf_message_new(session->client, path, QVF_BUS_NAME ".Session", "Close", NULL);
        if (message) { /* nobody waits for this answer */
                dbus_message_set_no_reply(message, TRUE);
                dbus_connection_send(session->client->connection, message, NULL);
                dbus_connection_flush(session->client->connection);
                dbus_message_unref(message);
        }
        free(session->id);
        free(session);
        return NULL;
}

/* Either `prompt` or messages. */
static int begin(struct qvf_session *session, const char *prompt, const struct qvf_message *messages,
                size_t count, const struct qvf_options *options, const struct qvf_stream *stream,
                uint32_t *ret_request, struct qvf_failure *failure)
{
        _cleanup_(qvf_value_freep) struct qvf_value *reply = NULL;
        struct qvf_client *client = session->client;
        _cleanup_close_ int in = -1, out = -1;
        struct qvf_request *request;
        int ends[2], r;

        if (stream->size < sizeof(*stream))
                return qvf_fail(failure, QVF_INVALID, "", "struct qvf_stream: its size is not set");
        if (pipe2(ends, O_CLOEXEC) < 0)
                return qvf_fail(failure, QVF_FAILED, "", "no pipe can be made: %s", strerror(errno));
        in = ends[0];
        out = ends[1];
        fcntl(in, F_SETFL, O_NONBLOCK);
        if (prompt)
                r = qvf_call(client, "sessions", session->id, "Infer", &reply, failure, "shO", prompt, out,
                                options);
        else
                r = qvf_call(client, "sessions", session->id, "Chat", &reply, failure, "MhO", messages,
                                count, out, options);
        if (r < 0)
                return r;
        request = malloc(sizeof(*request));
        if (!request || qvf_loop_add_pipe(client, in) < 0) {
                free(request);
                return qvf_fail(failure, QVF_NO_MEMORY, "", "not enough memory for a request");
        }
        *request = (struct qvf_request){ .next = client->requests,
                .session = session,
                .number = (uint32_t)qvf_value_unsigned(qvf_value_at(reply, 0)),
                .fd = in,
                .stream = *stream };
        client->requests = request;
        in = -1;
        if (ret_request)
                *ret_request = request->number;
        return 0;
}

int qvf_session_infer(struct qvf_session *session, const char *prompt, const struct qvf_options *options,
                const struct qvf_stream *stream, uint32_t *ret_request, struct qvf_failure *failure)
{
        return begin(session, prompt ? prompt : "", NULL, 0, options, stream, ret_request, failure);
}

int qvf_session_chat(struct qvf_session *session, const struct qvf_message *messages, size_t count,
                const struct qvf_options *options, const struct qvf_stream *stream, uint32_t *ret_request,
                struct qvf_failure *failure)
{
        return begin(session, NULL, messages, count, options, stream, ret_request, failure);
}

int qvf_session_cancel(struct qvf_session *session, uint32_t request, struct qvf_failure *failure)
{
        return qvf_call(session->client, "sessions", session->id, "Cancel", NULL, failure, "u", request);
}

int qvf_session_set_options(
                struct qvf_session *session, const struct qvf_options *options, struct qvf_failure *failure)
{
        return qvf_call(session->client, "sessions", session->id, "SetOptions", NULL, failure, "O", options);
}
