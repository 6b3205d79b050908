/* SPDX-License-Identifier: Apache-2.0 */
/* Objects and their properties, and waiting for a job. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/client.h"

static int standard_call(struct qvf_client *client, const char *path, const char *interface,
                const char *method, const char *argument, struct qvf_value **ret_reply,
                struct qvf_failure *failure)
{
        _cleanup_(qvf_message_unrefp) DBusMessage *reply = NULL;
        DBusMessage *message = qvf_message_new(client, path, interface, method, failure);
        int r;

        if (message && argument &&
                        !dbus_message_append_args(message, DBUS_TYPE_STRING, &argument, DBUS_TYPE_INVALID)) {
                dbus_message_unref(message);
                return qvf_fail(failure, QVF_NO_MEMORY, "", "not enough memory for a message");
        }
        r = qvf_message_call(client, message, client->timeout_ms, &reply, failure);
        if (r < 0)
                return r;
        *ret_reply = qvf_value_from_message(reply);
        return *ret_reply ? 0 : qvf_fail(failure, QVF_NO_MEMORY, "", "not enough memory for the answer");
}

int qvf_list(struct qvf_client *client, const char *kind, struct qvf_value **ret_objects,
                struct qvf_failure *failure)
{
        _cleanup_(qvf_value_freep) struct qvf_value *reply = NULL, *objects = qvf_value_new_map();
        struct qvf_value *all;
        int r;

        if (!qvf_interface_of(kind))
                return qvf_fail(failure, QVF_INVALID, "", "there is no kind of objects '%s'", kind);
        r = standard_call(client, QVF_BUS_ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects",
                        NULL, &reply, failure);
        if (r < 0)
                return r;
        all = qvf_value_count(reply) ? &reply->items[0] : NULL;
        for (size_t i = 0; all && i < qvf_value_count(all); i++) {
                struct qvf_value *interfaces = &all->items[i];
                size_t place = qvf_value_find(interfaces, qvf_interface_of(kind));
                _cleanup_free_ char *name = NULL;
                const char *found = qvf_path_kind(all->keys[i], &name);

                if (!found || strcmp(found, kind) != 0 || place == SIZE_MAX)
                        continue;
                if (!objects || !qvf_value_put(objects, name, qvf_value_take(interfaces, place)))
                        return qvf_fail(failure, QVF_NO_MEMORY, "", "not enough memory for the answer");
        }
        *ret_objects = QVF_TAKE(objects);
        return 0;
}

int qvf_get(struct qvf_client *client, const char *kind, const char *name, struct qvf_value **ret_properties,
                struct qvf_failure *failure)
{
        _cleanup_(qvf_value_freep) struct qvf_value *reply = NULL;
        _cleanup_free_ char *path = NULL;
        struct qvf_value *properties;
        int r;

        if (!qvf_interface_of(kind))
                return qvf_fail(failure, QVF_INVALID, "", "there is no kind of objects '%s'", kind);
        path = qvf_object_path(kind, name);
        if (!path)
                return qvf_fail(failure, QVF_NO_MEMORY, "", "not enough memory for a message");
        r = standard_call(client, path, "org.freedesktop.DBus.Properties", "GetAll", qvf_interface_of(kind),
                        &reply, failure);
        if (r == QVF_NOT_FOUND || (r < 0 && failure && strcmp(failure->name, "UnknownMethod") == 0))
                return qvf_fail(failure, QVF_NOT_FOUND, "NotFound", "there is no %.*s '%s'",
                                (int)strlen(kind) - 1, kind, name);
        if (r < 0)
                return r;
        properties = qvf_value_take(reply, 0);
        if (!properties)
                return qvf_fail(failure, QVF_FAILED, "", "qvfd answered with no properties");
        *ret_properties = properties;
        return 0;
}

struct waiting {
        struct qvf_value *job;
        bool changed, removed, gone;
};

static void on_event(void *context, const struct qvf_event *event)
{
        struct waiting *waiting = context;

        if (strcmp(event->member, "Changed") == 0 || strcmp(event->member, "Ended") == 0)
                waiting->changed = true;
        if (strcmp(event->member, "Removed") == 0)
                waiting->removed = true;
        if (strcmp(event->member, "Gone") == 0)
                waiting->gone = true;
}

static bool has_ended(const struct qvf_value *job)
{
        const char *state = qvf_value_string(qvf_value_get(job, "State"));

        return strcmp(state, "finished") == 0 || strcmp(state, "failed") == 0 ||
               strcmp(state, "cancelled") == 0;
}

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int wait_for_job(struct qvf_client *client, const char *job, int64_t end,
                int (*on_change)(void *context, const struct qvf_value *job), void *context,
                struct waiting *waiting, struct qvf_failure *failure)
{
        for (;;) {
                int64_t left = end - now_ms();
                int r;

                if (waiting->gone)
                        return qvf_fail(failure, QVF_NOT_RUNNING, "Disconnected",
                                        "qvfd went away; the job goes on when it is back");
                if (waiting->removed)
                        return qvf_fail(failure, QVF_NOT_FOUND, "NotFound", "job %s was removed", job);
                if (waiting->changed) {
                        waiting->changed = false;
                        waiting->job = qvf_value_free(waiting->job);
                        r = qvf_get(client, "jobs", job, &waiting->job, failure);
                        if (r < 0)
                                return r;
                        r = on_change ? on_change(context, waiting->job) : 0;
                        if (r != 0)
                                return r;
                        if (has_ended(waiting->job))
                                return 0;
                        continue;
                }
                if (end != INT64_MAX && left <= 0)
                        return qvf_fail(failure, QVF_TIMED_OUT, "", "job %s has not ended yet", job);
                r = qvf_dispatch(client, left < 1000 ? (int)left : 1000, failure);
                if (r < 0)
                        return r;
                if (r == 0 && on_change) { /* lets a signal handler's flag be seen */
                        r = on_change(context, waiting->job);
                        if (r != 0)
                                return r;
                }
        }
}

int qvf_job_wait(struct qvf_client *client, const char *job, int timeout_ms,
                int (*on_change)(void *context, const struct qvf_value *job), void *context,
                struct qvf_value **ret_job, struct qvf_failure *failure)
{
        struct waiting waiting = { .changed = true };
        uint32_t watch;
        int r = qvf_watch(client, "jobs", job, on_event, &waiting, &watch, failure);

        if (r < 0)
                return r;
        r = wait_for_job(client, job, timeout_ms < 0 ? INT64_MAX : now_ms() + timeout_ms, on_change, context,
                        &waiting, failure);
        qvf_unwatch(client, watch);
        if (r == 0 && ret_job)
                *ret_job = QVF_TAKE(waiting.job);
        qvf_value_free(waiting.job);
        return r;
}
