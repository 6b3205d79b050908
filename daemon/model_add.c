/* SPDX-License-Identifier: Apache-2.0 */
/* A model comes in: copied, described by a worker that does nothing else, stored. */
#include "daemon/model_add.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/copy.h"
#include "daemon/failure.h"
#include "daemon/file_work.h"
#include "daemon/journal.h"
#include "daemon/model.h"
#include "daemon/qvfd.h"
#include "daemon/stored.h"

static int check_name(struct qvfd_call *call, const char *name, bool replace)
{
        struct qvfd_model *model;
        const char *user;

        if (!qvfd_name_valid(name))
                return qvfd_fail(call->error, "InvalidArgument",
                                "a name is 1 to 64 of a-z, 0-9, \".\", \"_\" and \"-\", and begins with a "
                                "letter or digit");
        model = qvfd_object_find(call->service, QVFD_MODEL, name);
        if (!model)
                return 0;
        if (!replace)
                return qvfd_fail(call->error, "Exists", "there is a model %s already", name);
        user = qvfd_model_user(model);
        return user ? qvfd_fail(call->error, "Busy", "the model %s is used by %s", name, user) : 0;
}

static void on_described(struct qvfd_work *work, struct json_object *info)
{
        struct qvfd *service = work->service;
        struct qvfd_model *model = qvfd_object_find(service, QVFD_MODEL, work->name);
        struct qvf_error words = { 0 };
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        if (model && (!qvfd_json_bool(work->values.json, "replace") || qvfd_model_user(model))) {
                qvfd_work_fail(work, QVFD_BUS_NAME ".Error.Exists",
                                "another one of this name came meanwhile");
                return;
        }
        if (model)
                qvfd_model_remove(model);
        qvfd_json_set_string(info, "description", qvfd_json_string(work->values.json, "description"));
        qvfd_json_set_u64(info, "added", qvfd_wall_clock_us());
        r = qvfd_stored_put(service, service->store.models, work->name, service->store.scratch,
                        work->file[0].name, info, &words);
        if (r == 0)
                r = qvfd_model_new(service, work->name, info, &model);
        if (r < 0 || !model) {
                qvfd_fail_from(&error, r, &words);
                qvfd_work_fail(work, error.name, error.message);
                sd_bus_error_free(&error);
                return;
        }
        work->file[0].name[0] = 0; /* it lies elsewhere now */
        qvfd_object_announce(&model->object);
        qvfd_object_changed(&service->object, (const char *const[]){ "DefaultModel", NULL });
        qvfd_journal(QVF_LOG_INFO, &model->object, "added");
        qvfd_work_return_path(work, model->object.path);
}

static void describe(struct qvfd_work *work)
{
        struct qvf_error words = { 0 };
        sd_bus_message *message = NULL;
        int r = qvfd_worker_new(work->service, &work->own, &words);

        if (r < 0) {
                qvfd_work_fail(work, QVFD_BUS_NAME ".Error.WorkerFailed", words.text);
                return;
        }
        r = qvfd_worker_message(work->own, "DescribeModel", &message);
        if (r >= 0)
                r = sd_bus_message_append(message, "h", work->file[0].fd);
        if (r < 0) {
                sd_bus_message_unref(message);
                message = NULL;
        }
        qvfd_work_ask(work, work->own, message);
}

int qvfd_model_add(struct qvfd_call *call)
{
        struct qvfd_work *work;
        const char *name;
        int file, r = sd_bus_message_read(call->message, "sh", &name, &file);

        if (r < 0)
                return r;
        r = qvfd_work_new(call, &work);
        if (r < 0)
                return r;
        r = qvfd_values_read(call->message, QVFD_G_STORED, &work->values, call->error);
        if (r >= 0)
                r = check_name(call, name, qvfd_json_bool(work->values.json, "replace"));
        if (r >= 0)
                r = qvfd_check_input(file, "the model", call->error);
        if (r >= 0)
                r = qvfd_work_add_file(work, file, false, call->error);
        if (r < 0) {
                qvfd_work_free(work);
                return r;
        }
        snprintf(work->name, sizeof(work->name), "%s", name);
        work->most = (uint64_t)call->service->config.store.model_size_most_bytes;
        work->begin = describe;
        work->done = on_described;
        return qvfd_work_start(call, work);
}
