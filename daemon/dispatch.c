/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/dispatch.h"

#include <errno.h>
#include <string.h>

#include "daemon/authorise.h"
#include "daemon/failure.h"
#include "daemon/job.h"
#include "daemon/qvfd.h"
#include "daemon/session.h"
#include "daemon/vtables.h"

static const struct qvfd_method *const methods[QVFD_KINDS] = {
        [QVFD_MANAGER] = qvfd_manager_methods,
        [QVFD_DEVICE] = qvfd_device_methods,
        [QVFD_MODEL] = qvfd_model_methods,
        [QVFD_ADAPTER] = qvfd_adapter_methods,
        [QVFD_JOB] = qvfd_job_methods,
        [QVFD_SESSION] = qvfd_session_methods,
};

static const struct qvfd_method *find_method(enum qvfd_kind kind, const char *member)
{
        for (const struct qvfd_method *method = methods[kind]; method->member; method++)
                if (strcmp(method->member, member) == 0)
                        return method;
        return NULL;
}

static struct qvfd_object *find_object(struct qvfd *service, sd_bus_message *message)
{
        const char *path = sd_bus_message_get_path(message),
                   *interface = sd_bus_message_get_interface(message);

        if (strcmp(path, QVFD_ROOT) == 0)
                return &service->object;
        for (int kind = QVFD_DEVICE; kind < QVFD_KINDS; kind++)
                for (struct qvfd_object *o = service->objects[kind]; o; o = o->next)
                        if (strcmp(o->path, path) == 0 &&
                                        (!interface || strcmp(interface, qvfd_kind_interface(kind)) == 0))
                                return o;
        return NULL;
}

/* What somebody else queued or opened is another matter than one's own. */
static int check_owner(struct qvfd_call *call, const char **action)
{
        if (call->object->kind == QVFD_SESSION &&
                        !qvfd_session_belongs((struct qvfd_session *)call->object, call->client))
                return qvfd_fail(call->error, "NotFound", "there is no session of yours here");
        if (call->object->kind == QVFD_JOB && *action &&
                        ((struct qvfd_job *)call->object)->owner != call->client->uid)
                *action = "manage-jobs";
        return 0;
}

static int run(struct qvfd_call *call, bool authorised)
{
        const struct qvfd_method *method =
                        find_method(call->object->kind, sd_bus_message_get_member(call->message));
        const char *action;
        int r;

        if (!method)
                return -EBADR;
        action = method->action;
        r = check_owner(call, &action);
        if (r == 0 && action && !authorised) {
                r = qvfd_authorise(call, action);
                if (r <= 0) /* 0: asked; the answer goes on from here */
                        return r < 0 ? r : 1;
                r = 0;
        }
        if (r == 0)
                r = sd_bus_message_rewind(call->message, 1);
        return r < 0 ? r : method->run(call);
}

static int enter(struct qvfd *service, sd_bus_message *message, struct qvfd_object *object, bool authorised,
                sd_bus_error *error)
{
        struct qvfd_call call = { .service = service, .message = message, .object = object, .error = error };
        int r = qvfd_client_of(service, message, &call.client);

        if (r < 0)
                return qvfd_fail(error, "AccessDenied", "the caller can't be identified: %s", strerror(-r));
        return run(&call, authorised);
}

int qvfd_dispatch(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct qvfd_object *object = userdata;

        return enter(object->service, message, object, false, error);
}

void qvfd_dispatch_authorised(struct qvfd *service, sd_bus_message *message)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        struct qvfd_object *object = find_object(service, message);
        int r;

        if (object)
                r = enter(service, message, object, true, &error);
        else
                r = qvfd_fail(&error, "NotFound", "%s went away meanwhile",
                                sd_bus_message_get_path(message));
        if (r < 0)
                sd_bus_reply_method_errno(message, r, &error);
        sd_bus_error_free(&error);
}
