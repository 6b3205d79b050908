/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of methods, and what is made of them alone. */
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"

DBusMessage *qvf_message_new(struct qvf_client *client, const char *path, const char *interface,
                const char *method, struct qvf_failure *failure)
{
        DBusMessage *message = NULL;

        if (dbus_validate_member(method, NULL))
                message = dbus_message_new_method_call(
                                client->bus ? QVF_BUS_NAME : NULL, path, interface, method);
        if (message)
                dbus_message_set_allow_interactive_authorization(message, client->interactive);
        else
                qvf_fail(failure, QVF_NO_MEMORY, "", "not enough memory for a message");
        return message;
}

int qvf_message_call(struct qvf_client *client, DBusMessage *message, int timeout_ms,
                DBusMessage **ret_reply, struct qvf_failure *failure)
{
        _cleanup_(qvf_message_unrefp) DBusMessage *mine = message, *reply = NULL;
        DBusPendingCall *call = NULL;
        int r;

        if (!message)
                return QVF_NO_MEMORY;
        /* INT_MAX: libdbus starts no timer. A closed connection gives no pending call. */
        if (!dbus_connection_send_with_reply(client->connection, message, &call, INT_MAX))
                return qvf_fail(failure, QVF_NO_MEMORY, "", "not enough memory for a message");
        if (!call)
                return qvf_fail(failure, QVF_NOT_RUNNING, "Disconnected", "the connection to qvfd is lost");
        r = qvf_loop_run(client, call, timeout_ms, failure);
        if (r > 0)
                reply = dbus_pending_call_steal_reply(call);
        else
                dbus_pending_call_cancel(call);
        dbus_pending_call_unref(call);
        if (r < 0)
                return r;
        if (dbus_message_get_type(reply) == DBUS_MESSAGE_TYPE_ERROR)
                return qvf_fail_from_reply(failure, reply);
        if (ret_reply)
                *ret_reply = QVF_TAKE(reply);
        return 0;
}

struct arguments { /* of a qvf_call() while they are appended */
        DBusMessageIter iter;
        va_list list;
        struct qvf_failure *failure;
};

static int no_memory(struct arguments *arguments)
{
        return qvf_fail(arguments->failure, QVF_NO_MEMORY, "", "not enough memory for a message");
}

static int append_text(struct arguments *arguments, int type)
{
        const char *text = va_arg(arguments->list, const char *);

        if (!text)
                text = "";
        if (type == DBUS_TYPE_STRING ? !dbus_validate_utf8(text, NULL) : !dbus_validate_path(text, NULL))
                return qvf_fail(arguments->failure, QVF_INVALID, "", "a text is not %s",
                                type == DBUS_TYPE_STRING ? "UTF-8" : "an object path");
        return dbus_message_iter_append_basic(&arguments->iter, type, &text) ? 0 : no_memory(arguments);
}

static int append_pairs(struct arguments *arguments, const char *signature)
{
        bool weights = strcmp(signature, "(sd)") == 0;
        const void *items = va_arg(arguments->list, const void *);
        size_t count = va_arg(arguments->list, size_t);
        DBusMessageIter list, pair;

        if (!dbus_message_iter_open_container(&arguments->iter, DBUS_TYPE_ARRAY, signature, &list))
                return no_memory(arguments);
        for (size_t i = 0; i < count; i++) {
                const struct qvf_weight *weight = (const struct qvf_weight *)items + (weights ? i : 0);
                const struct qvf_message *message = (const struct qvf_message *)items + (weights ? 0 : i);
                const char *first = weights ? weight->name : message->role;

                if (!dbus_validate_utf8(first, NULL) ||
                                (!weights && !dbus_validate_utf8(message->text, NULL)))
                        return qvf_fail(arguments->failure, QVF_INVALID, "", "a text is not UTF-8");
                if (!dbus_message_iter_open_container(&list, DBUS_TYPE_STRUCT, NULL, &pair) ||
                                !dbus_message_iter_append_basic(&pair, DBUS_TYPE_STRING, &first) ||
                                !dbus_message_iter_append_basic(&pair,
                                                weights ? DBUS_TYPE_DOUBLE : DBUS_TYPE_STRING,
                                                weights ? (const void *)&weight->weight
                                                        : (const void *)&message->text) ||
                                !dbus_message_iter_close_container(&list, &pair))
                        return no_memory(arguments);
        }
        return dbus_message_iter_close_container(&arguments->iter, &list) ? 0 : no_memory(arguments);
}

static int append_options(struct arguments *arguments)
{
        const struct qvf_options *options = va_arg(arguments->list, const struct qvf_options *);
        int r = qvf_options_check(options, arguments->failure);

        if (r < 0)
                return r;
        return qvf_options_append(options, &arguments->iter) ? 0 : no_memory(arguments);
}

static int append_number(struct arguments *arguments, int type)
{
        DBusBasicValue value;

        switch (type) {
        case DBUS_TYPE_BOOLEAN: value.bool_val = va_arg(arguments->list, int) != 0; break;
        case DBUS_TYPE_INT32: value.i32 = va_arg(arguments->list, int32_t); break;
        case DBUS_TYPE_UINT32: value.u32 = va_arg(arguments->list, uint32_t); break;
        case DBUS_TYPE_INT64: value.i64 = va_arg(arguments->list, int64_t); break;
        case DBUS_TYPE_UINT64: value.u64 = va_arg(arguments->list, uint64_t); break;
        case DBUS_TYPE_DOUBLE: value.dbl = va_arg(arguments->list, double); break;
        case DBUS_TYPE_UNIX_FD: value.fd = va_arg(arguments->list, int); break;
        default: return qvf_fail(arguments->failure, QVF_INVALID, "", "no argument is written '%c'", type);
        }
        return dbus_message_iter_append_basic(&arguments->iter, type, &value) ? 0 : no_memory(arguments);
}

static int append(struct arguments *arguments, const char *signature)
{
        int r = 0;

        for (; r == 0 && *signature; signature++)
                switch (*signature) {
                case 's': r = append_text(arguments, DBUS_TYPE_STRING); break;
                case 'o': r = append_text(arguments, DBUS_TYPE_OBJECT_PATH); break;
                case 'O': r = append_options(arguments); break;
                case 'W': r = append_pairs(arguments, "(sd)"); break;
                case 'M': r = append_pairs(arguments, "(ss)"); break;
                default: r = append_number(arguments, *signature); break;
                }
        return r;
}

/* Those of which the interface files say that they have no time-out. */
static bool takes_long(const char *method)
{
        static const char *const methods[] = { "AddModel", "ImportAdapter", "MergeAdapters", "CheckData",
                "Complete", "MergeIntoModel", "Export", "Load", "Reset", "Discover", "Train" };

        for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
                if (strcmp(methods[i], method) == 0)
                        return true;
        return false;
}

static int call(struct qvf_client *client, const char *kind, const char *name, const char *method,
                struct qvf_value **ret_reply, struct qvf_failure *failure, const char *signature,
                va_list list)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_(qvf_message_unrefp) DBusMessage *message = NULL, *reply = NULL;
        struct arguments arguments = { .failure = failure };
        struct qvf_value *value;
        int r;

        if (!qvf_interface_of(kind))
                return qvf_fail(failure, QVF_INVALID, "", "there is no kind of objects '%s'", kind);
        path = qvf_object_path(kind, name ? name : "");
        if (!path)
                return qvf_fail(failure, QVF_NO_MEMORY, "", "not enough memory for a message");
        message = qvf_message_new(client, path, qvf_interface_of(kind), method, failure);
        if (!message)
                return QVF_NO_MEMORY;
        dbus_message_iter_init_append(message, &arguments.iter);
        va_copy(arguments.list, list);
        r = append(&arguments, signature);
        va_end(arguments.list);
        if (r < 0)
                return r;
        r = qvf_message_call(client, QVF_TAKE(message), takes_long(method) ? -1 : client->timeout_ms, &reply,
                        failure);
        if (r < 0 || !ret_reply)
                return r;
        value = qvf_value_from_message(reply);
        if (!value)
                return qvf_fail(failure, QVF_NO_MEMORY, "", "not enough memory for the answer");
        *ret_reply = value;
        return 0;
}

int qvf_call(struct qvf_client *client, const char *kind, const char *name, const char *method,
                struct qvf_value **ret_reply, struct qvf_failure *failure, const char *signature, ...)
{
        _cleanup_(qvf_value_freep) struct qvf_value *properties = NULL;
        struct qvf_failure mine = { 0 }, other;
        va_list list;
        int r;

        va_start(list, signature);
        r = call(client, kind, name, method, ret_reply, &mine, signature, list);
        va_end(list);
        /* Those who answer for an object that is not there say what they like: whether it is there is asked. */
        if (r < 0 && strcmp(kind, "manager") != 0 && strncmp(mine.name, "Unknown", 7) == 0 &&
                        qvf_get(client, kind, name, &properties, &other) == QVF_NOT_FOUND) {
                r = QVF_NOT_FOUND;
                mine = other;
        }
        if (r < 0 && failure)
                *failure = mine;
        return r;
}

/* The text at a place of the reply, as a copy; QVF_FAILED where there is none. */
static int copy_text(
                const struct qvf_value *reply, size_t place, char **ret_text, struct qvf_failure *failure)
{
        const struct qvf_value *value = qvf_value_at(reply, place);
        char *text;

        if (qvf_value_type(value) != QVF_TYPE_STRING)
                return qvf_fail(failure, QVF_FAILED, "", "qvfd answered with something else than a text");
        text = strdup(qvf_value_string(value));
        if (!text)
                return qvf_fail(failure, QVF_NO_MEMORY, "", "not enough memory for the answer");
        *ret_text = text;
        return 0;
}

int qvf_complete(struct qvf_client *client, const char *model, const char *prompt,
                const struct qvf_options *options, char **ret_text, struct qvf_value **ret_stats,
                struct qvf_failure *failure)
{
        _cleanup_(qvf_value_freep) struct qvf_value *reply = NULL;
        int r = qvf_call(client, "manager", "", "Complete", &reply, failure, "ssO", model, prompt, options);

        if (r == 0)
                r = copy_text(reply, 0, ret_text, failure);
        if (r == 0 && ret_stats)
                *ret_stats = qvf_value_take(reply, 1);
        return r;
}

int qvf_train(struct qvf_client *client, const char *model, int data_fd, const struct qvf_options *options,
                char **ret_job, struct qvf_failure *failure)
{
        _cleanup_(qvf_value_freep) struct qvf_value *reply = NULL;
        _cleanup_free_ char *path = NULL;
        char *name = NULL;
        int r = qvf_call(client, "manager", "", "Train", &reply, failure, "shO", model, data_fd, options);

        if (r == 0)
                r = copy_text(reply, 0, &path, failure);
        if (r < 0)
                return r;
        if (!qvf_path_kind(path, &name))
                return qvf_fail(failure, QVF_FAILED, "", "qvfd answered with no job");
        *ret_job = name;
        return 0;
}
