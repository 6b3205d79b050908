/* SPDX-License-Identifier: Apache-2.0 */
/* org.qvf.Fabric1.Model */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "daemon/adapter.h"
#include "daemon/device.h"
#include "daemon/failure.h"
#include "daemon/file_work.h"
#include "daemon/job.h"
#include "daemon/model.h"
#include "daemon/qvfd.h"
#include "daemon/request.h"
#include "daemon/request_end.h"
#include "daemon/session.h"
#include "daemon/train.h"
#include "daemon/train_failure.h"
#include "daemon/vtables.h"

/* All that hangs on a model ends at once: its worker goes with it. */
static void free_of_users(struct qvfd *service, struct qvfd_model *model)
{
        const char *name = model->object.name;

        QVFD_EACH(struct qvfd_session, session, service, QVFD_SESSION)
        if (strcmp(session->model, name) == 0)
                qvfd_session_free(session);
        for (struct qvfd_request *request = service->requests, *next; request; request = next) {
                next = request->next;
                if (request->model == model)
                        qvfd_request_finish(request, "failed", NULL, QVFD_BUS_NAME ".Error.Cancelled",
                                        "the model was removed");
        }
        QVFD_EACH(struct qvfd_job, job, service, QVFD_JOB)
        {
                if (qvfd_job_has_ended(job) || strcmp(job->model, name) != 0)
                        continue;
                if (job->phase != QVFD_PHASE_NONE)
                        qvfd_train_detach(job);
                qvfd_job_end(job, QVFD_CANCELLED, "user", "its model was removed");
        }
        QVFD_EACH(struct qvfd_adapter, adapter, service, QVFD_ADAPTER)
        if (strcmp(adapter->model, name) == 0 && !qvfd_adapter_user(adapter))
                qvfd_adapter_remove(adapter);
}

static int remove_model(struct qvfd_call *call)
{
        struct qvfd_model *model = (struct qvfd_model *)call->object;
        _cleanup_values_ struct qvfd_values values = { 0 };
        const char *user;
        int r = qvfd_values_read(call->message, QVFD_G_FORCE, &values, call->error);

        if (r < 0)
                return r;
        if (qvfd_json_bool(values.json, "force"))
                free_of_users(call->service, model);
        user = qvfd_model_user(model);
        if (user)
                return qvfd_fail(
                                call->error, "Busy", "the model %s is used by %s", model->object.name, user);
        qvfd_model_remove(model);
        return sd_bus_reply_method_return(call->message, "");
}

static void on_loaded(struct qvfd_work *work, struct qvfd_worker *worker)
{
        (void)worker;
        qvfd_work_out(work, NULL); /* no files: just the answer */
}

static int load(struct qvfd_call *call)
{
        struct qvfd_model *model = (struct qvfd_model *)call->object;
        struct qvfd_work *work;
        int r;

        if (!qvfd_allowed(call->service, QVF_INFERENCE))
                return qvfd_fail(call->error, "NotAllowed", "%s",
                                qvfd_allowed_reason(call->service, QVF_INFERENCE));
        r = qvfd_work_new(call, &work);
        if (r < 0)
                return r;
        work->client = NULL;
        strcpy(work->model, model->object.name);
        qvfd_work_load(work, on_loaded);
        return 1;
}

static int unload(struct qvfd_call *call)
{
        struct qvfd_model *model = (struct qvfd_model *)call->object;

        if (model->worker &&
                        (qvfd_train_uses(model->worker) || qvfd_requests_wait_for(model) || model->n_uses))
                return qvfd_fail(call->error, "Busy", "the model %s is at work", model->object.name);
        if (model->worker)
                qvfd_worker_stop(model->worker);
        return sd_bus_reply_method_return(call->message, "");
}

const struct qvfd_method qvfd_model_methods[] = {
        { "Remove", "manage-models", remove_model },
        { "Load", "infer", load },
        { "Unload", "infer", unload },
        { 0 },
};

static int get_worker(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const struct qvfd_model *model = userdata;
        const struct qvfd_worker *worker = model->worker;

        (void)bus;
        (void)path;
        (void)interface;
        (void)error;
        if (strcmp(property, "Device") == 0)
                return sd_bus_message_append(
                                reply, "s", worker && worker->device ? worker->device->object.name : "");
        if (strcmp(property, "WorkerPid") == 0)
                return sd_bus_message_append(reply, "u", worker ? (uint32_t)worker->child.pid : 0);
        return sd_bus_message_append(reply, "t", worker ? worker->resident_bytes : 0);
}

#define AT(field) offsetof(struct qvfd_model, field)
#define CONSTANT(name, type, field)                                                                         \
        SD_BUS_PROPERTY(name, type, NULL, AT(field), SD_BUS_VTABLE_PROPERTY_CONST)
#define CHANGES(name, type, field)                                                                          \
        SD_BUS_PROPERTY(name, type, NULL, AT(field), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

const sd_bus_vtable qvfd_model_vtable[] = {
        SD_BUS_VTABLE_START(0),
        QVFD_METHOD("Remove", "a{sv}", SD_BUS_PARAM(options), "", ),
        QVFD_METHOD("Load", "", "", "", ),
        QVFD_METHOD("Unload", "", "", "", ),
        CONSTANT("Name", "s", object.name),
        CHANGES("Description", "s", description),
        CHANGES("Architecture", "s", architecture),
        CHANGES("Format", "s", format),
        CHANGES("Parameters", "t", parameters),
        CHANGES("SizeBytes", "t", size_bytes),
        CHANGES("Layers", "u", layers),
        CHANGES("Width", "u", width),
        CHANGES("Vocabulary", "u", vocabulary),
        CHANGES("ContextLength", "u", context_length),
        CHANGES("HasChatTemplate", "b", has_chat_template),
        CHANGES("Digest", "s", digest),
        CHANGES("Added", "t", added_us),
        CHANGES("State", "s", state),
        CHANGES("Reason", "s", reason),
        SD_BUS_PROPERTY("Device", "s", get_worker, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("WorkerBytes", "t", get_worker, 0, 0),
        SD_BUS_PROPERTY("WorkerPid", "u", get_worker, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("LastUsed", "t", NULL, AT(last_used_us), 0),
        SD_BUS_VTABLE_END,
};
