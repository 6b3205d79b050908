/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/file_work.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/copy.h"
#include "daemon/failure.h"
#include "daemon/model.h"
#include "daemon/qvfd.h"

enum { WORKS_MOST = 32 };

int qvfd_work_new(struct qvfd_call *call, struct qvfd_work **ret_work)
{
        struct qvfd_work *work;
        unsigned n = 0;

        for (work = call->service->works; work; work = work->next)
                n++;
        if (n >= WORKS_MOST)
                return qvfd_fail(
                                call->error, "LimitReached", "more than %d calls work on files", WORKS_MOST);
        work = calloc(1, sizeof(*work));
        if (!work)
                return -ENOMEM;
        work->service = call->service;
        work->client = call->client;
        work->message = sd_bus_message_ref(call->message);
        work->uid = call->client->uid;
        work->most = (uint64_t)call->service->config.store.adapter_size_most_bytes;
        for (unsigned i = 0; i < QVFD_WORK_FILES; i++)
                work->file[i].fd = work->file[i].given = -1;
        work->next = call->service->works;
        call->service->works = work;
        *ret_work = work;
        return 0;
}

void qvfd_work_free(struct qvfd_work *work)
{
        struct qvfd *service = work->service;
        struct qvfd_work **link = &service->works;

        while (*link != work)
                link = &(*link)->next;
        *link = work->next;
        for (unsigned i = 0; i < QVFD_WORK_FILES; i++) {
                if (work->file[i].fd >= 0)
                        close(work->file[i].fd);
                if (work->file[i].given >= 0)
                        close(work->file[i].given);
                if (work->file[i].name[0])
                        unlinkat(service->store.scratch, work->file[i].name, 0);
        }
        if (work->own)
                qvfd_worker_stop(work->own);
        qvfd_values_exit(&work->values);
        sd_bus_message_unref(work->message);
        free(work);
}

void qvfd_work_fail(struct qvfd_work *work, const char *error, const char *message)
{
        sd_bus_reply_method_errorf(work->message,
                        error && strchr(error, '.') ? error : QVFD_BUS_NAME ".Error.Internal", "%s",
                        message ? message : "");
        qvfd_work_free(work);
}

void qvfd_work_return_path(struct qvfd_work *work, const char *path)
{
        sd_bus_reply_method_return(work->message, "o", path);
        qvfd_work_free(work);
}

static void fail_from(struct qvfd_work *work, int code, const struct qvf_error *words)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;

        qvfd_fail_from(&error, code, words);
        qvfd_work_fail(work, error.name, error.message);
        sd_bus_error_free(&error);
}

int qvfd_work_add_file(struct qvfd_work *work, int fd, bool out, sd_bus_error *error)
{
        struct qvf_error words = { 0 };
        unsigned i;

        for (i = 0; i < QVFD_WORK_FILES && work->file[i].name[0]; i++)
                ;
        if (i == QVFD_WORK_FILES)
                return -E2BIG;
        work->file[i].fd = qvfd_scratch_file(&work->service->store, work->file[i].name, &words);
        if (work->file[i].fd < 0) {
                work->file[i].name[0] = 0;
                return qvfd_fail_from(error, work->file[i].fd, &words);
        }
        work->file[i].out = out;
        if (fd >= 0) {
                work->file[i].given = fcntl(fd, F_DUPFD_CLOEXEC, 3);
                if (work->file[i].given < 0)
                        return -errno;
        }
        return 0;
}

int qvfd_work_add_data(struct qvfd_work *work, int fd, sd_bus_error *error)
{
        int held_out = qvfd_values_fd(&work->values, "held_out");
        int r = qvfd_check_input(fd, "the data", error);

        if (r >= 0)
                r = qvfd_work_add_file(work, fd, false, error);
        if (r >= 0 && held_out >= 0)
                r = qvfd_check_input(held_out, "option held_out", error);
        if (r >= 0 && held_out >= 0)
                r = qvfd_work_add_file(work, held_out, false, error);
        return r;
}

static void copy_next(struct qvfd_work *work, bool out);

static void on_copied(void *context, int result, const struct qvf_error *error)
{
        struct qvfd_work *work = context;
        bool out = work->file[work->at].out;

        if (result < 0) {
                fail_from(work, result, error);
                return;
        }
        work->at++;
        copy_next(work, out);
}

static void copy_next(struct qvfd_work *work, bool out)
{
        struct qvf_error error = { 0 };
        int r;

        while (work->at < QVFD_WORK_FILES &&
                        (work->file[work->at].given < 0 || work->file[work->at].out != out))
                work->at++;
        if (work->at == QVFD_WORK_FILES) {
                work->client = NULL;
                if (out) {
                        sd_bus_reply_method_return(work->message, "");
                        qvfd_work_free(work);
                } else {
                        work->begin(work);
                }
                return;
        }
        r = out ? qvfd_copy_start(work->service, NULL, "the file", work->file[work->at].fd,
                                  work->file[work->at].given, UINT64_MAX, on_copied, work, &error)
                : qvfd_copy_start(work->service, work->client, "the file", work->file[work->at].given,
                                  work->file[work->at].fd, work->most, on_copied, work, &error);
        if (r < 0)
                fail_from(work, r, &error);
}

int qvfd_work_start(struct qvfd_call *call, struct qvfd_work *work)
{
        (void)call;
        work->at = 0;
        copy_next(work, false);
        return 1;
}

void qvfd_work_out(struct qvfd_work *work, struct json_object *info)
{
        (void)info;
        work->at = 0;
        copy_next(work, true);
}

static void on_answer(
                void *context, struct qvfd_worker *worker, sd_bus_message *reply, const sd_bus_error *error)
{
        struct qvfd_work *work = context;
        _cleanup_json_ struct json_object *info = NULL;
        const char *signature = reply ? sd_bus_message_get_signature(reply, 1) : "";

        if (worker->model)
                worker->model->n_uses--;
        if (!reply) {
                qvfd_work_fail(work, error->name, error->message);
                return;
        }
        if (strcmp(signature, "a{sv}") == 0 && qvfd_values_from_worker(reply, &info) < 0) {
                qvfd_work_fail(work, NULL, "the worker's answer can't be read");
                return;
        }
        if (!info)
                info = json_object_new_object();
        if (work->done)
                work->done(work, info);
        else
                qvfd_work_out(work, info);
}

void qvfd_work_ask(struct qvfd_work *work, struct qvfd_worker *worker, sd_bus_message *message)
{
        if (worker->model)
                worker->model->n_uses++;
        worker->was_useful = true;
        qvfd_worker_call(worker, message, on_answer, work);
}

void qvfd_work_load(struct qvfd_work *work, void (*then)(struct qvfd_work *work, struct qvfd_worker *worker))
{
        work->then = then;
        qvfd_pass_soon(work->service);
}

void qvfd_works_pass(struct qvfd *service)
{
        for (struct qvfd_work *work = service->works, *next; work; work = next) {
                struct qvfd_model *model;
                struct qvf_error error = { 0 };
                int r;

                next = work->next;
                if (!work->then)
                        continue;
                model = qvfd_object_find(service, QVFD_MODEL, work->model);
                if (!model) {
                        qvfd_work_fail(work, QVFD_BUS_NAME ".Error.NotFound", "the model was removed");
                        continue;
                }
                if (qvfd_model_ready(model)) {
                        void (*then)(struct qvfd_work *, struct qvfd_worker *) = work->then;

                        work->then = NULL;
                        then(work, model->worker);
                        continue;
                }
                r = qvfd_model_need(model, NULL, NULL, &error);
                if (r == -EAGAIN && model->not_before_us > qvfd_now_us())
                        qvfd_pass_after(service, model->not_before_us - qvfd_now_us());
                if (r < 0 && r != -EAGAIN)
                        fail_from(work, r, &error);
        }
}

void qvfd_works_load_failed(struct qvfd_model *model, const char *error, const char *message)
{
        for (struct qvfd_work *work = model->object.service->works, *next; work; work = next) {
                next = work->next;
                if (work->then && strcmp(work->model, model->object.name) == 0)
                        qvfd_work_fail(work, error, message);
        }
}
