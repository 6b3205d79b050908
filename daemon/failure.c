/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"

#define PREFIX "org.qvf.Fabric1.Error."
#define WORKER_PREFIX "org.qvf.Worker1.Error."

static const char *const names[] = { "InvalidArgument", "UnknownOption", "NotFound", "Exists", "Busy",
        "BadState", "AccessDenied", "LimitReached", "NotAllowed", "NoDevice", "OutOfMemory", "DiskFull",
        "BadFile", "WorkerFailed", "ConfigInvalid", "Cancelled", "Unsupported", "Internal" };

static const struct {
        int code;
        const char *name;
} codes[] = { { EINVAL, "InvalidArgument" }, { ENOENT, "NotFound" }, { EEXIST, "Exists" }, { EBUSY, "Busy" },
        { EACCES, "AccessDenied" }, { EPERM, "AccessDenied" }, { ENOMEM, "OutOfMemory" },
        { ENOSPC, "DiskFull" }, { EDQUOT, "DiskFull" }, { EFBIG, "LimitReached" }, { EBADMSG, "BadFile" },
        { ENODEV, "NoDevice" }, { ECANCELED, "Cancelled" }, { EOPNOTSUPP, "Unsupported" },
        { ETIMEDOUT, "WorkerFailed" } };

int qvfd_fail(sd_bus_error *error, const char *name, const char *format, ...)
{
        char full[96], text[1024];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        snprintf(full, sizeof(full), PREFIX "%s", name);
        sd_bus_error_set(error, full, text);
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(codes); i++)
                if (strcmp(codes[i].name, name) == 0)
                        return -codes[i].code;
        return -EIO;
}

int qvfd_fail_from(sd_bus_error *error, int code, const struct qvf_error *words)
{
        const char *name = "Internal";

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(codes); i++)
                if (codes[i].code == -code) {
                        name = codes[i].name;
                        break;
                }
        qvfd_fail(error, name, "%s", words && words->text[0] ? words->text : strerror(-code));
        return code;
}

const char *qvfd_error_short(const char *dbus_name)
{
        const char *dot = dbus_name ? strrchr(dbus_name, '.') : NULL;

        for (size_t i = 0; dot && i < QVF_ARRAY_LENGTH(names); i++)
                if (strcmp(names[i], dot + 1) == 0)
                        return names[i];
        return "Internal";
}

void qvfd_error_from_worker(const sd_bus_error *from, const char *ended, sd_bus_error *ret_error)
{
        if (from->name && strncmp(from->name, WORKER_PREFIX, strlen(WORKER_PREFIX)) == 0)
                qvfd_fail(ret_error, qvfd_error_short(from->name), "%s", from->message ? from->message : "");
        else
                qvfd_fail(ret_error, "WorkerFailed", "%s", ended ? ended : "the worker went away");
}
