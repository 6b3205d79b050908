/* SPDX-License-Identifier: Apache-2.0 */
/* Manager.CheckData, and what a finished job's adapter is told to its worker for. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/adapter.h"
#include "daemon/adapter_work.h"
#include "daemon/copy.h"
#include "daemon/failure.h"
#include "daemon/file_work.h"
#include "daemon/model.h"
#include "daemon/qvfd.h"
#include "daemon/worker.h"

static int append_report(sd_bus_message *reply, struct json_object *report)
{
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        json_object_object_foreach(report, key, value)
        {
                if (r < 0)
                        break;
                if (json_object_is_type(value, json_type_string))
                        r = qvfd_append_string(reply, key, json_object_get_string(value));
                else if (json_object_is_type(value, json_type_double))
                        r = qvfd_append_double(reply, key, json_object_get_double(value));
                else if (json_object_is_type(value, json_type_int))
                        r = qvfd_append_u64(reply, key, json_object_get_uint64(value));
                else if (json_object_is_type(value, json_type_array)) {
                        r = sd_bus_message_open_container(reply, 'e', "sv");
                        if (r >= 0)
                                r = sd_bus_message_append(reply, "s", key);
                        if (r >= 0)
                                r = sd_bus_message_open_container(reply, 'v', "as");
                        if (r >= 0)
                                r = sd_bus_message_open_container(reply, 'a', "s");
                        for (size_t i = 0; r >= 0 && i < json_object_array_length(value); i++)
                                r = sd_bus_message_append(reply, "s",
                                                json_object_get_string(json_object_array_get_idx(value, i)));
                        for (int i = 0; r >= 0 && i < 3; i++)
                                r = sd_bus_message_close_container(reply);
                }
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static void on_checked(struct qvfd_work *work, struct json_object *report)
{
        sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(work->message, &reply);

        if (r >= 0)
                r = append_report(reply, report);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        if (r < 0)
                qvfd_work_fail(work, NULL, "the report can't be sent");
        else
                qvfd_work_free(work);
}

static void check(struct qvfd_work *work, struct qvfd_worker *worker)
{
        sd_bus_message *message = NULL;
        int r = qvfd_worker_message(worker, "CheckData", &message);

        if (r >= 0)
                r = sd_bus_message_append(message, "h", work->file[0].fd);
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "{sv}");
        if (r >= 0)
                r = qvfd_values_append(message, QVFD_G_DATA | QVFD_G_PLAN, work->values.json);
        if (r >= 0 && work->file[1].name[0])
                r = qvfd_append_fd(message, "held_out", work->file[1].fd);
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        if (r < 0) {
                sd_bus_message_unref(message);
                message = NULL;
        }
        qvfd_work_ask(work, worker, message);
}

static void begin_check(struct qvfd_work *work)
{
        qvfd_work_load(work, check);
}

int qvfd_data_check(struct qvfd_call *call)
{
        struct qvfd_model *model;
        struct qvfd_work *work;
        const char *name;
        int file, r = sd_bus_message_read(call->message, "sh", &name, &file);

        if (r < 0)
                return r;
        model = qvfd_model_find(call->service, name);
        if (!model)
                return qvfd_fail(call->error, "NotFound", "there is no model %.64s", name);
        r = qvfd_work_new(call, &work);
        if (r < 0)
                return r;
        r = qvfd_values_read(call->message, QVFD_G_DATA | QVFD_G_PLAN, &work->values, call->error);
        if (r >= 0)
                r = qvfd_work_add_data(work, file, call->error);
        if (r < 0) {
                qvfd_work_free(work);
                return r;
        }
        snprintf(work->model, sizeof(work->model), "%s", model->object.name);
        work->most = (uint64_t)call->service->config.store.data_size_most_bytes;
        work->begin = begin_check;
        work->done = on_checked;
        return qvfd_work_start(call, work);
}

/* What the worker found in it stands in the record too. */
static void remember(const struct qvfd_adapter *adapter)
{
        int folder = adapter->object.service->store.adapters;
        _cleanup_json_ struct json_object *record = NULL;
        char name[80];

        snprintf(name, sizeof(name), "%s.json", adapter->object.name);
        if (qvfd_record_read(folder, name, &record, NULL) < 0)
                return;
        qvfd_json_set_u64(record, "parameters", adapter->parameters);
        qvfd_json_set_u64(record, "rank", adapter->rank);
        qvfd_json_set_number(record, "alpha", adapter->alpha);
        qvfd_record_write(folder, name, record, NULL);
}

static void on_described(
                void *context, struct qvfd_worker *worker, sd_bus_message *reply, const sd_bus_error *error)
{
        _cleanup_free_ char *name = context;
        _cleanup_json_ struct json_object *info = NULL;
        struct qvfd_adapter *adapter = qvfd_adapter_find(worker->service, name);

        (void)error;
        if (!adapter || !reply || qvfd_values_from_worker(reply, &info) < 0)
                return;
        adapter->parameters = qvfd_json_u64(info, "parameters");
        adapter->rank = (uint32_t)qvfd_json_u64(info, "rank");
        adapter->alpha = qvfd_json_number(info, "alpha", adapter->alpha);
        remember(adapter);
        QVFD_CHANGED(adapter, "Parameters", "Rank", "Alpha");
}

void qvfd_adapter_describe(struct qvfd_adapter *adapter, struct qvfd_worker *worker)
{
        _cleanup_close_ int file = qvfd_adapter_open_file(adapter);
        char *name = strdup(adapter->object.name);
        sd_bus_message *message = NULL;
        unsigned at;
        int r = file < 0 || !name ? -ENOENT : qvfd_worker_message(worker, "AddAdapter", &message);

        if (r >= 0)
                r = sd_bus_message_append(message, "sha{sv}", name, file, 1, "replace", "b", 1);
        if (r < 0) {
                sd_bus_message_unref(message);
                free(name);
                return;
        }
        for (at = 0; at < QVFD_WORKER_ADAPTERS; at++)
                if (!worker->adapters[at].name || strcmp(worker->adapters[at].name, name) == 0)
                        break;
        if (at < QVFD_WORKER_ADAPTERS) {
                free(worker->adapters[at].name);
                worker->adapters[at].name = strdup(name);
                worker->adapters[at].version = adapter->version;
        }
        qvfd_worker_call(worker, message, on_described, name);
}
