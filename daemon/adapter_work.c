/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/adapter_work.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/adapter.h"
#include "daemon/copy.h"
#include "daemon/failure.h"
#include "daemon/file_work.h"
#include "daemon/model.h"
#include "daemon/qvfd.h"
#include "daemon/worker.h"

enum { MERGED_MOST = 16 };

static int check_new_name(struct qvfd_call *call, const char *name, struct json_object *options)
{
        struct qvfd_adapter *adapter;
        const char *user;

        if (!qvfd_name_valid(name))
                return qvfd_fail(call->error, "InvalidArgument",
                                "a name is 1 to 64 of a-z, 0-9, \".\", \"_\" and \"-\", and begins with a "
                                "letter or digit");
        adapter = qvfd_adapter_find(call->service, name);
        if (!adapter)
                return 0;
        if (!qvfd_json_bool(options, "replace"))
                return qvfd_fail(call->error, "Exists", "there is an adapter %s already", name);
        user = qvfd_adapter_user(adapter);
        return user ? qvfd_fail(call->error, "Busy", "the adapter %s is used by %s", name, user) : 0;
}

/* The file that the worker wrote becomes an adapter of the store. */
static void store(struct qvfd_work *work, unsigned file, struct json_object *info)
{
        struct qvfd *service = work->service;
        struct qvfd_adapter *adapter = NULL;
        struct qvf_error words = { 0 };
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        qvfd_json_set_string(info, "model", work->model);
        qvfd_json_set_string(info, "description", qvfd_json_string(work->values.json, "description"));
        if (qvfd_adapter_find(service, work->name) && !qvfd_json_bool(work->values.json, "replace"))
                r = qvf_error_set(&words, -EEXIST, "another adapter of this name came meanwhile");
        else
                r = fsync(work->file[file].fd) < 0
                                    ? -errno
                                    : qvfd_adapter_put(service, work->name, service->store.scratch,
                                                      work->file[file].name, info, &adapter, &words);
        if (r < 0 || !adapter) {
                qvfd_fail_from(&error, r, &words);
                qvfd_work_fail(work, error.name, error.message);
                sd_bus_error_free(&error);
                return;
        }
        work->file[file].name[0] = 0;
        qvfd_work_return_path(work, adapter->object.path);
}

static void on_imported(struct qvfd_work *work, struct json_object *info)
{
        store(work, 1, info);
}

static void import(struct qvfd_work *work, struct qvfd_worker *worker)
{
        sd_bus_message *message = NULL;
        int r = qvfd_worker_message(worker, "ImportAdapter", &message);

        if (r >= 0)
                r = sd_bus_message_append(message, "hh", work->file[0].fd, work->file[1].fd);
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "{sv}");
        if (r >= 0 && work->file[2].name[0])
                r = qvfd_append_fd(message, "config", work->file[2].fd);
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        if (r < 0) {
                sd_bus_message_unref(message);
                message = NULL;
        }
        qvfd_work_ask(work, worker, message);
}

static void begin_import(struct qvfd_work *work)
{
        qvfd_work_load(work, import);
}

static int find_model(struct qvfd_call *call, struct qvfd_work *work, const char *name)
{
        struct qvfd_model *model = qvfd_model_find(call->service, name);

        if (!model)
                return qvfd_fail(call->error, "NotFound",
                                name[0] ? "there is no model %.64s" : "there is no model%s", name);
        snprintf(work->model, sizeof(work->model), "%s", model->object.name);
        return 0;
}

int qvfd_adapter_import(struct qvfd_call *call)
{
        struct qvfd_work *work;
        const char *name, *model;
        int file, r = sd_bus_message_read(call->message, "ssh", &name, &model, &file);

        if (r < 0)
                return r;
        r = qvfd_work_new(call, &work);
        if (r < 0)
                return r;
        r = qvfd_values_read(call->message, QVFD_G_STORED | QVFD_G_CONFIG, &work->values, call->error);
        if (r >= 0)
                r = check_new_name(call, name, work->values.json);
        if (r >= 0)
                r = find_model(call, work, model);
        if (r >= 0)
                r = qvfd_check_input(file, "the adapter", call->error);
        if (r >= 0)
                r = qvfd_work_add_file(work, file, false, call->error);
        if (r >= 0)
                r = qvfd_work_add_file(work, -1, false, call->error);
        if (r >= 0 && qvfd_values_fd(&work->values, "config") >= 0) {
                r = qvfd_check_input(qvfd_values_fd(&work->values, "config"), "option config", call->error);
                if (r >= 0)
                        r = qvfd_work_add_file(
                                        work, qvfd_values_fd(&work->values, "config"), false, call->error);
        }
        if (r < 0) {
                qvfd_work_free(work);
                return r;
        }
        snprintf(work->name, sizeof(work->name), "%s", name);
        work->begin = begin_import;
        work->done = on_imported;
        return qvfd_work_start(call, work);
}

static void on_merged(struct qvfd_work *work, struct json_object *info)
{
        store(work, 0, info);
}

static int append_merged(sd_bus_message *message, struct qvfd_work *work)
{
        struct json_object *list = NULL;
        int r = sd_bus_message_open_container(message, 'a', "(hd)");

        json_object_object_get_ex(work->values.json, "adapters", &list);
        for (size_t i = 0; r >= 0 && i < json_object_array_length(list); i++) {
                struct json_object *pair = json_object_array_get_idx(list, i);
                struct qvfd_adapter *adapter = qvfd_adapter_find(
                                work->service, json_object_get_string(json_object_array_get_idx(pair, 0)));
                _cleanup_close_ int fd = adapter ? qvfd_adapter_open_file(adapter) : -ENOENT;

                r = fd < 0 ? fd
                           : sd_bus_message_append(message, "(hd)", fd,
                                             json_object_get_double(json_object_array_get_idx(pair, 1)));
        }
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        if (r >= 0)
                r = sd_bus_message_append(message, "h", work->file[0].fd);
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "{sv}");
        if (r >= 0)
                r = qvfd_values_append(message, QVFD_G_RANK, work->values.json);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static void merge(struct qvfd_work *work, struct qvfd_worker *worker)
{
        sd_bus_message *message = NULL;
        int r = qvfd_worker_message(worker, "MergeAdapters", &message);

        if (r >= 0)
                r = append_merged(message, work);
        if (r < 0) {
                sd_bus_message_unref(message);
                qvfd_work_fail(work, QVFD_BUS_NAME ".Error.NotFound", "an adapter was removed meanwhile");
                return;
        }
        qvfd_work_ask(work, worker, message);
}

static void begin_merge(struct qvfd_work *work)
{
        qvfd_work_load(work, merge);
}

/* The a(sd) that comes next, into the work's options; all of one model. */
static int read_merged(struct qvfd_call *call, struct qvfd_work *work, struct json_object *list)
{
        const char *name;
        double scale;
        int r = sd_bus_message_enter_container(call->message, 'a', "(sd)");

        while (r >= 0 && (r = sd_bus_message_read(call->message, "(sd)", &name, &scale)) > 0) {
                struct qvfd_adapter *adapter = qvfd_adapter_find(call->service, name);
                struct json_object *pair;

                if (!adapter)
                        return qvfd_fail(call->error, "NotFound", "there is no adapter %.64s", name);
                if (!isfinite(scale) || json_object_array_length(list) == MERGED_MOST)
                        return qvfd_fail(call->error, "InvalidArgument",
                                        "up to %d adapters with finite weights", MERGED_MOST);
                if (work->model[0] && strcmp(work->model, adapter->model) != 0)
                        return qvfd_fail(call->error, "InvalidArgument",
                                        "%s belongs to another model than the first", name);
                snprintf(work->model, sizeof(work->model), "%s", adapter->model);
                pair = json_object_new_array();
                json_object_array_add(pair, json_object_new_string(name));
                json_object_array_add(pair, json_object_new_double(scale));
                json_object_array_add(list, pair);
        }
        if (r >= 0 && json_object_array_length(list) == 0)
                return qvfd_fail(call->error, "InvalidArgument", "no adapters are named");
        return r < 0 ? r : sd_bus_message_exit_container(call->message);
}

int qvfd_adapters_merge(struct qvfd_call *call)
{
        _cleanup_json_ struct json_object *list = json_object_new_array();
        struct qvfd_work *work;
        const char *name;
        int r = sd_bus_message_read(call->message, "s", &name);

        if (r < 0)
                return r;
        r = qvfd_work_new(call, &work);
        if (r < 0)
                return r;
        r = read_merged(call, work, list);
        if (r >= 0)
                r = qvfd_values_read(call->message, QVFD_G_STORED | QVFD_G_RANK, &work->values, call->error);
        if (r >= 0)
                r = check_new_name(call, name, work->values.json);
        if (r >= 0)
                r = qvfd_work_add_file(work, -1, false, call->error);
        if (r < 0) {
                qvfd_work_free(work);
                return r;
        }
        json_object_object_add(work->values.json, "adapters", QVF_TAKE(list));
        snprintf(work->name, sizeof(work->name), "%s", name);
        work->begin = begin_merge;
        work->done = on_merged;
        return qvfd_work_start(call, work);
}

/* Adapter.Export and Adapter.MergeIntoModel have the adapter as their object: the file is looked up by its name when
 * the worker is there. */
static int open_adapter(struct qvfd_work *work)
{
        struct qvfd_adapter *adapter = qvfd_adapter_find(work->service, work->name);

        return adapter ? qvfd_adapter_open_file(adapter) : -ENOENT;
}

static void export_peft(struct qvfd_work *work, struct qvfd_worker *worker)
{
        _cleanup_close_ int adapter = open_adapter(work);
        sd_bus_message *message = NULL;
        int r = adapter < 0 ? adapter : qvfd_worker_message(worker, "ExportPeft", &message);

        if (r >= 0)
                r = sd_bus_message_append(message, "hhh", adapter, work->file[0].fd, work->file[1].fd);
        if (r < 0) {
                sd_bus_message_unref(message);
                qvfd_work_fail(work, QVFD_BUS_NAME ".Error.NotFound", "the adapter was removed meanwhile");
                return;
        }
        qvfd_work_ask(work, worker, message);
}

static void begin_export(struct qvfd_work *work)
{
        int adapter;

        if (strcmp(qvfd_json_string(work->values.json, "format"), "peft") == 0) {
                qvfd_work_load(work, export_peft);
                return;
        }
        /* As it lies in the store: the file that goes out is the adapter's own. */
        adapter = open_adapter(work);
        if (adapter < 0) {
                qvfd_work_fail(work, QVFD_BUS_NAME ".Error.NotFound", "the adapter was removed meanwhile");
                return;
        }
        close(work->file[0].fd);
        work->file[0].fd = adapter;
        qvfd_work_out(work, NULL);
}

static int start_out(struct qvfd_call *call, unsigned groups, void (*begin)(struct qvfd_work *work))
{
        struct qvfd_adapter *adapter = (struct qvfd_adapter *)call->object;
        struct qvfd_work *work;
        int file, config, r = sd_bus_message_read(call->message, "h", &file);

        if (r < 0)
                return r;
        r = qvfd_work_new(call, &work);
        if (r < 0)
                return r;
        r = qvfd_values_read(call->message, groups, &work->values, call->error);
        if (r >= 0)
                r = qvfd_check_output(file, "the file", call->error);
        if (r >= 0)
                r = qvfd_work_add_file(work, file, true, call->error);
        config = qvfd_values_fd(&work->values, "config");
        if (r >= 0 && strcmp(qvfd_json_string(work->values.json, "format"), "peft") == 0) {
                r = config < 0 ? qvfd_fail(call->error, "InvalidArgument", "peft needs the option config")
                               : qvfd_check_output(config, "option config", call->error);
                if (r >= 0)
                        r = qvfd_work_add_file(work, config, true, call->error);
        }
        if (r < 0) {
                qvfd_work_free(work);
                return r;
        }
        snprintf(work->name, sizeof(work->name), "%s", adapter->object.name);
        snprintf(work->model, sizeof(work->model), "%s", adapter->model);
        work->begin = begin;
        return qvfd_work_start(call, work);
}

int qvfd_adapter_export(struct qvfd_call *call)
{
        return start_out(call, QVFD_G_EXPORT | QVFD_G_CONFIG, begin_export);
}

static void into_model(struct qvfd_work *work, struct qvfd_worker *worker)
{
        _cleanup_close_ int adapter = open_adapter(work);
        sd_bus_message *message = NULL;
        int r = adapter < 0 ? adapter : qvfd_worker_message(worker, "MergeIntoModel", &message);

        if (r >= 0)
                r = sd_bus_message_append(message, "hh", adapter, work->file[0].fd);
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "{sv}");
        if (r >= 0)
                r = qvfd_values_append(message, QVFD_G_INTO_MODEL, work->values.json);
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        if (r < 0) {
                sd_bus_message_unref(message);
                qvfd_work_fail(work, QVFD_BUS_NAME ".Error.NotFound", "the adapter was removed meanwhile");
                return;
        }
        qvfd_work_ask(work, worker, message);
}

static void begin_into_model(struct qvfd_work *work)
{
        qvfd_work_load(work, into_model);
}

int qvfd_adapter_into_model(struct qvfd_call *call)
{
        return start_out(call, QVFD_G_INTO_MODEL, begin_into_model);
}
