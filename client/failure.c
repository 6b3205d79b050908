/* SPDX-License-Identifier: Apache-2.0 */
/* From errors of D-Bus to codes and words. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/client.h"
#include "common/checked.h"
#include "common/text.h"

static const struct {
        const char *name;
        int code;
} codes[] = {
        { QVF_BUS_NAME ".Error.InvalidArgument", QVF_INVALID },
        { QVF_BUS_NAME ".Error.UnknownOption", QVF_INVALID },
        { QVF_BUS_NAME ".Error.NotFound", QVF_NOT_FOUND },
        { QVF_BUS_NAME ".Error.Exists", QVF_NOT_NOW },
        { QVF_BUS_NAME ".Error.Busy", QVF_NOT_NOW },
        { QVF_BUS_NAME ".Error.BadState", QVF_NOT_NOW },
        { QVF_BUS_NAME ".Error.AccessDenied", QVF_DENIED },
        { QVF_BUS_NAME ".Error.LimitReached", QVF_LIMIT },
        { QVF_BUS_NAME ".Error.NotAllowed", QVF_FORBIDDEN },
        { QVF_BUS_NAME ".Error.OutOfMemory", QVF_NO_MEMORY },
        { QVF_BUS_NAME ".Error.BadFile", QVF_INVALID },
        { QVF_BUS_NAME ".Error.ConfigInvalid", QVF_INVALID },
        { QVF_BUS_NAME ".Error.Cancelled", QVF_CANCELLED },
        { QVF_BUS_NAME ".Error.Unsupported", QVF_INVALID },
        { DBUS_ERROR_INVALID_ARGS, QVF_INVALID },
        { DBUS_ERROR_ACCESS_DENIED, QVF_DENIED },
        { DBUS_ERROR_AUTH_FAILED, QVF_DENIED },
        { DBUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, QVF_DENIED },
        { DBUS_ERROR_UNKNOWN_OBJECT, QVF_NOT_FOUND },
        { DBUS_ERROR_SERVICE_UNKNOWN, QVF_NOT_RUNNING },
        { DBUS_ERROR_NAME_HAS_NO_OWNER, QVF_NOT_RUNNING },
        { DBUS_ERROR_NO_SERVER, QVF_NOT_RUNNING },
        { DBUS_ERROR_DISCONNECTED, QVF_NOT_RUNNING },
        { DBUS_ERROR_NO_MEMORY, QVF_NO_MEMORY },
        { DBUS_ERROR_TIMEOUT, QVF_TIMED_OUT },
        { DBUS_ERROR_TIMED_OUT, QVF_TIMED_OUT },
        { DBUS_ERROR_LIMITS_EXCEEDED, QVF_LIMIT },
        /* The bus says so when the service dies during a call. */
        { DBUS_ERROR_NO_REPLY, QVF_NOT_RUNNING },
};

/* What a service writes goes to terminals. */
static void keep_printable(char *text)
{
        for (unsigned char *c = (unsigned char *)text; *c; c++)
                if (*c < 0x20 || *c == 0x7f)
                        *c = ' ';
        text[qvf_utf8_valid_prefix(text, strlen(text))] = 0;
}

int qvf_fail(struct qvf_failure *failure, int code, const char *name, const char *format, ...)
{
        va_list arguments;

        if (!failure)
                return code;
        failure->code = code;
        snprintf(failure->name, sizeof(failure->name), "%s", name);
        va_start(arguments, format);
        vsnprintf(failure->message, sizeof(failure->message), format, arguments);
        va_end(arguments);
        keep_printable(failure->name);
        keep_printable(failure->message);
        return code;
}

int qvf_fail_from_reply(struct qvf_failure *failure, DBusMessage *reply)
{
        const char *name = dbus_message_get_error_name(reply), *message = NULL, *dot;
        int code = QVF_FAILED;

        if (!name)
                name = "";
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(codes); i++)
                if (strcmp(codes[i].name, name) == 0)
                        code = codes[i].code;
        if (!dbus_message_get_args(reply, NULL, DBUS_TYPE_STRING, &message, DBUS_TYPE_INVALID))
                message = name;
        if (code == QVF_NOT_RUNNING)
                message = "qvfd is not running";
        dot = strrchr(name, '.');
        return qvf_fail(failure, code, dot ? dot + 1 : name, "%s", message);
}
