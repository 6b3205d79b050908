/* SPDX-License-Identifier: Apache-2.0 */
/* org.qvf.Fabric1.Session */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "daemon/copy.h"
#include "daemon/failure.h"
#include "daemon/model.h"
#include "daemon/qvfd.h"
#include "daemon/request.h"
#include "daemon/session.h"
#include "daemon/values.h"
#include "daemon/vtables.h"

enum { MESSAGES_MOST = 1024 };

/* The session's defaults, and over them what the call says. */
static struct json_object *merge(struct json_object *defaults, struct json_object *options)
{
        struct json_object *merged = json_object_new_object();
        bool names_adapters = json_object_object_get_ex(options, "adapter", NULL) ||
                              json_object_object_get_ex(options, "adapters", NULL);

        json_object_object_foreach(defaults, key, value)
        {
                struct json_object *copy = NULL;

                /* Two keys say which adapters: one that is given takes the place of both. */
                if (!(names_adapters && strncmp(key, "adapter", 7) == 0) &&
                                json_object_deep_copy(value, &copy, NULL) == 0)
                        json_object_object_add(merged, key, copy);
        }
        json_object_object_foreach(options, option, given)
        {
                json_object_object_add(merged, option, json_object_get(given));
        }
        return merged;
}

static int ask(struct qvfd_call *call, const char *prompt, struct json_object *messages, int output)
{
        struct qvfd_session *session = (struct qvfd_session *)call->object;
        _cleanup_values_ struct qvfd_values values = { 0 };
        _cleanup_json_ struct json_object *options = NULL;
        struct qvfd_request_parts parts = { .client = session->client,
                .session = session,
                .prompt = prompt,
                .messages = messages,
                .output = output };
        struct qvfd_request *request;
        int r = qvfd_check_stream(output, "the output", call->error);

        if (r >= 0)
                r = qvfd_values_read(call->message, QVFD_G_SAMPLING | QVFD_G_PROMPT, &values, call->error);
        if (r < 0)
                return r;
        parts.model = qvfd_object_find(call->service, QVFD_MODEL, session->model);
        if (!parts.model)
                return qvfd_fail(call->error, "NotFound", "the model %s was removed", session->model);
        parts.options = options = merge(session->defaults, values.json);
        r = qvfd_request_new(call->service, &parts, &request, call->error);
        return r < 0 ? r : sd_bus_reply_method_return(call->message, "u", request->number);
}

static int infer(struct qvfd_call *call)
{
        const char *prompt;
        int output, r = sd_bus_message_read(call->message, "sh", &prompt, &output);

        return r < 0 ? r : ask(call, prompt, NULL, output);
}

static int read_messages(struct qvfd_call *call, struct json_object *list)
{
        const char *role, *text;
        int r = sd_bus_message_enter_container(call->message, 'a', "(ss)");

        while (r >= 0 && (r = sd_bus_message_read(call->message, "(ss)", &role, &text)) > 0) {
                struct json_object *pair = json_object_new_array();

                json_object_array_add(pair, json_object_new_string(role));
                json_object_array_add(pair, json_object_new_string(text));
                json_object_array_add(list, pair);
                if (json_object_array_length(list) > MESSAGES_MOST)
                        return qvfd_fail(
                                        call->error, "LimitReached", "more than %d messages", MESSAGES_MOST);
                if (strcmp(role, "system") != 0 && strcmp(role, "user") != 0 &&
                                strcmp(role, "assistant") != 0)
                        return qvfd_fail(call->error, "InvalidArgument",
                                        "%.32s is no role: system, user, assistant", role);
        }
        if (r >= 0 && json_object_array_length(list) == 0)
                return qvfd_fail(call->error, "InvalidArgument", "there are no messages");
        return r < 0 ? r : sd_bus_message_exit_container(call->message);
}

static int chat(struct qvfd_call *call)
{
        _cleanup_json_ struct json_object *messages = json_object_new_array();
        int output, r = read_messages(call, messages);

        if (r >= 0)
                r = sd_bus_message_read(call->message, "h", &output);
        return r < 0 ? r : ask(call, NULL, messages, output);
}

static int cancel(struct qvfd_call *call)
{
        struct qvfd_request *request;
        uint32_t number;
        int r = sd_bus_message_read(call->message, "u", &number);

        if (r < 0)
                return r;
        request = qvfd_request_find(call->service, number);
        if (request && request->session == (struct qvfd_session *)call->object)
                qvfd_request_cancel(request);
        return sd_bus_reply_method_return(call->message, "");
}

static int set_options(struct qvfd_call *call)
{
        struct qvfd_session *session = (struct qvfd_session *)call->object;
        struct qvfd_values values;
        int r = qvfd_values_read(call->message, QVFD_G_SAMPLING | QVFD_G_PROMPT, &values, call->error);

        if (r < 0)
                return r;
        json_object_put(session->defaults);
        session->defaults = json_object_get(values.json);
        qvfd_values_exit(&values);
        return sd_bus_reply_method_return(call->message, "");
}

static int close_session(struct qvfd_call *call)
{
        int r = sd_bus_reply_method_return(call->message, "");

        qvfd_session_free((struct qvfd_session *)call->object);
        return r;
}

const struct qvfd_method qvfd_session_methods[] = {
        { "Infer", "infer", infer },
        { "Chat", "infer", chat },
        { "Cancel", NULL, cancel },
        { "SetOptions", NULL, set_options },
        { "Close", NULL, close_session },
        { 0 },
};

#define AT(field) offsetof(struct qvfd_session, field)
#define CONSTANT(name, type, field)                                                                         \
        SD_BUS_PROPERTY(name, type, NULL, AT(field), SD_BUS_VTABLE_PROPERTY_CONST)
#define CHANGES(name, type, field)                                                                          \
        SD_BUS_PROPERTY(name, type, NULL, AT(field), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

const sd_bus_vtable qvfd_session_vtable[] = {
        SD_BUS_VTABLE_START(0),
        QVFD_METHOD("Infer", "sha{sv}", SD_BUS_PARAM(prompt) SD_BUS_PARAM(output) SD_BUS_PARAM(options), "u",
                        SD_BUS_PARAM(request)),
        QVFD_METHOD("Chat", "a(ss)ha{sv}", SD_BUS_PARAM(messages) SD_BUS_PARAM(output) SD_BUS_PARAM(options),
                        "u", SD_BUS_PARAM(request)),
        QVFD_METHOD("Cancel", "u", SD_BUS_PARAM(request), "", ),
        QVFD_METHOD("SetOptions", "a{sv}", SD_BUS_PARAM(options), "", ),
        QVFD_METHOD("Close", "", "", "", ),
        SD_BUS_SIGNAL_WITH_NAMES("Finished", "usa{sv}",
                        SD_BUS_PARAM(request) SD_BUS_PARAM(reason) SD_BUS_PARAM(stats), 0),
        CONSTANT("Id", "s", object.name),
        CONSTANT("Model", "s", model),
        CHANGES("Requests", "u", n_requests),
        CHANGES("TokensGenerated", "t", tokens_generated),
        SD_BUS_VTABLE_END,
};
