/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/model.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/adapter.h"
#include "daemon/job.h"
#include "daemon/qvfd.h"
#include "daemon/request.h"
#include "daemon/session.h"
#include "daemon/stored.h"

static void free_model(struct qvfd_model *model)
{
        qvfd_object_exit(&model->object);
        free(model->description);
        free(model->architecture);
        free(model->format);
        free(model->digest);
        free(model->reason);
        free(model);
}

void qvfd_models_free(struct qvfd *service)
{
        while (service->objects[QVFD_MODEL])
                free_model((struct qvfd_model *)service->objects[QVFD_MODEL]);
}

int qvfd_model_new(struct qvfd *service, const char *name, struct json_object *record,
                struct qvfd_model **ret_model)
{
        struct qvfd_model *model = calloc(1, sizeof(*model));
        int r = model ? qvfd_object_init(&model->object, service, QVFD_MODEL, name) : -ENOMEM;

        if (r < 0) {
                free(model);
                return r;
        }
        model->description = strdup(qvfd_json_string(record, "description"));
        model->architecture = strdup(qvfd_json_string(record, "architecture"));
        model->format = strdup(qvfd_json_string(record, "format"));
        model->digest = strdup(qvfd_json_string(record, "digest"));
        model->reason = strdup("");
        model->parameters = qvfd_json_u64(record, "parameters");
        model->size_bytes = qvfd_json_u64(record, "size");
        model->added_us = qvfd_json_u64(record, "added");
        model->layers = (uint32_t)qvfd_json_u64(record, "layers");
        model->width = (uint32_t)qvfd_json_u64(record, "width");
        model->vocabulary = (uint32_t)qvfd_json_u64(record, "vocabulary");
        model->context_length = (uint32_t)qvfd_json_u64(record, "context_length");
        model->has_chat_template = qvfd_json_bool(record, "chat_template");
        model->state = "stored";
        *ret_model = model;
        return 0;
}

static int load_one(struct qvfd *service, const char *name, struct json_object *record)
{
        struct qvfd_model *model;

        return qvfd_model_new(service, name, record, &model);
}

void qvfd_models_load(struct qvfd *service)
{
        qvfd_stored_load(service, service->store.models, load_one);
}

const char *qvfd_model_default(struct qvfd *service)
{
        return service->objects[QVFD_MODEL] ? service->objects[QVFD_MODEL]->name : "";
}

struct qvfd_model *qvfd_model_find(struct qvfd *service, const char *name)
{
        return qvfd_object_find(service, QVFD_MODEL, name[0] ? name : qvfd_model_default(service));
}

int qvfd_model_open_file(const struct qvfd_model *model)
{
        return qvfd_stored_open(model->object.service->store.models, model->object.name);
}

void qvfd_model_remove(struct qvfd_model *model)
{
        struct qvfd *service = model->object.service;

        if (model->worker) {
                struct qvfd_worker *worker = model->worker;

                model->worker = NULL;
                worker->model = NULL;
                qvfd_worker_stop(worker);
        }
        qvfd_stored_remove(service->store.models, model->object.name);
        free_model(model);
        QVFD_CHANGED(&service->object, "DefaultModel");
}

const char *qvfd_model_user(const struct qvfd_model *model)
{
        struct qvfd *service = model->object.service;

        QVFD_EACH(struct qvfd_job, job, service, QVFD_JOB)
        if (!qvfd_job_has_ended(job) && strcmp(job->model, model->object.name) == 0)
                return "a job";
        QVFD_EACH(struct qvfd_session, session, service, QVFD_SESSION)
        if (strcmp(session->model, model->object.name) == 0)
                return "a session";
        for (const struct qvfd_request *request = service->requests; request; request = request->next)
                if (request->model == model)
                        return "a request";
        QVFD_EACH(struct qvfd_adapter, adapter, service, QVFD_ADAPTER)
        if (strcmp(adapter->model, model->object.name) == 0)
                return "an adapter that belongs to it";
        return model->n_uses ? "work on its files" : NULL;
}

struct qvfd_worker *qvfd_model_ready(const struct qvfd_model *model)
{
        return model->worker && model->worker->state == QVFD_WORKER_READY ? model->worker : NULL;
}

void qvfd_model_worker_changed(struct qvfd_model *model)
{
        const char *state = !model->worker ? (model->n_failed ? "failed" : "stored")
                            : model->worker->state == QVFD_WORKER_READY  ? "loaded"
                            : model->worker->state == QVFD_WORKER_ENDING ? "stored"
                                                                         : "loading";

        if (model->state == state)
                return;
        model->state = state;
        QVFD_CHANGED(model, "State", "Reason", "Device", "WorkerPid");
}
