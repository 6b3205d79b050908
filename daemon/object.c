/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/object.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "daemon/connection.h"
#include "daemon/journal.h"
#include "daemon/qvfd.h"
#include "daemon/vtables.h"

static const struct {
        const char *interface, *folder;
        const sd_bus_vtable *vtable;
} kinds[QVFD_KINDS] = {
        [QVFD_MANAGER] = { QVFD_BUS_NAME ".Manager", QVFD_ROOT, qvfd_manager_vtable },
        [QVFD_DEVICE] = { QVFD_BUS_NAME ".Device", QVFD_ROOT "/devices", qvfd_device_vtable },
        [QVFD_MODEL] = { QVFD_BUS_NAME ".Model", QVFD_ROOT "/models", qvfd_model_vtable },
        [QVFD_ADAPTER] = { QVFD_BUS_NAME ".Adapter", QVFD_ROOT "/adapters", qvfd_adapter_vtable },
        [QVFD_JOB] = { QVFD_BUS_NAME ".Job", QVFD_ROOT "/jobs", qvfd_job_vtable },
        [QVFD_SESSION] = { QVFD_BUS_NAME ".Session", QVFD_ROOT "/sessions", qvfd_session_vtable },
};

const char *qvfd_kind_interface(enum qvfd_kind kind)
{
        return kinds[kind].interface;
}

const char *qvfd_kind_folder(enum qvfd_kind kind)
{
        return kinds[kind].folder;
}

const sd_bus_vtable *qvfd_kind_vtable(enum qvfd_kind kind)
{
        return kinds[kind].vtable;
}

int qvfd_object_init(struct qvfd_object *object, struct qvfd *service, enum qvfd_kind kind, const char *name)
{
        struct qvfd_object **end = &service->objects[kind];
        int r = 0;

        *object = (struct qvfd_object){ .service = service, .kind = kind, .name = strdup(name) };
        if (!object->name)
                return -ENOMEM;
        if (kind == QVFD_MANAGER) {
                object->path = strdup(kinds[kind].folder);
                r = object->path ? 0 : -ENOMEM;
        } else {
                r = sd_bus_path_encode(kinds[kind].folder, name, &object->path);
        }
        if (r < 0) {
                free(object->name);
                return r;
        }
        while (*end)
                end = &(*end)->next;
        *end = object;
        return 0;
}

void qvfd_object_announce(struct qvfd_object *object)
{
        if (object->announced)
                return;
        object->announced = true;
        for (struct qvfd_connection *c = object->service->connections; c; c = c->next)
                sd_bus_emit_object_added(c->bus, object->path);
}

void qvfd_object_exit(struct qvfd_object *object)
{
        struct qvfd_object **link;

        if (!object->path)
                return;
        /* sd-bus asks whether the object is still there: it must be, until everybody was told. */
        for (struct qvfd_connection *c = object->service->connections; object->announced && c; c = c->next)
                sd_bus_emit_object_removed(c->bus, object->path);
        for (link = &object->service->objects[object->kind]; *link; link = &(*link)->next)
                if (*link == object) {
                        *link = object->next;
                        break;
                }
        free(object->name);
        free(object->path);
        object->name = object->path = NULL;
}

void *qvfd_object_find(struct qvfd *service, enum qvfd_kind kind, const char *name)
{
        for (struct qvfd_object *object = service->objects[kind]; object; object = object->next)
                if (strcmp(object->name, name) == 0)
                        return object;
        return NULL;
}

unsigned qvfd_object_count(const struct qvfd *service, enum qvfd_kind kind)
{
        unsigned n = 0;

        for (const struct qvfd_object *object = service->objects[kind]; object; object = object->next)
                n++;
        return n;
}

void qvfd_object_changed(struct qvfd_object *object, const char *const *properties)
{
        if (!object->announced)
                return;
        for (struct qvfd_connection *c = object->service->connections; c; c = c->next)
                sd_bus_emit_properties_changed_strv(
                                c->bus, object->path, kinds[object->kind].interface, (char **)properties);
}

void qvfd_notice(struct qvfd *service, const char *level, const struct qvfd_object *subject,
                const char *format, ...)
{
        enum qvf_log_level logged = strcmp(level, "error") == 0     ? QVF_LOG_ERROR
                                    : strcmp(level, "warning") == 0 ? QVF_LOG_WARNING
                                                                    : QVF_LOG_INFO;
        const char *path = subject && subject->path ? subject->path : "/";
        char text[512];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        qvfd_journal(logged, subject, "%s", text);
        for (struct qvfd_connection *c = service->connections; c; c = c->next)
                sd_bus_emit_signal(c->bus, QVFD_ROOT, kinds[QVFD_MANAGER].interface, "Notice", "sos", level,
                                path, text);
}

void qvfd_emit(struct qvfd *service, struct qvfd_object *object, const char *member, const char *types, ...)
{
        for (struct qvfd_connection *c = service->connections; c; c = c->next) {
                sd_bus_message *signal = NULL;
                va_list arguments;
                int r = sd_bus_message_new_signal(
                                c->bus, &signal, object->path, kinds[object->kind].interface, member);

                va_start(arguments, types);
                if (r >= 0)
                        r = sd_bus_message_appendv(signal, types, arguments);
                va_end(arguments);
                if (r >= 0)
                        sd_bus_send(c->bus, signal, NULL);
                sd_bus_message_unref(signal);
        }
}
