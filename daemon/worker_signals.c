/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/worker_signals.h"

#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "daemon/journal.h"
#include "daemon/model.h"
#include "daemon/qvfd.h"
#include "daemon/request.h"
#include "daemon/train.h"
#include "daemon/values.h"

static int on_heartbeat(struct qvfd_worker *worker, sd_bus_message *message)
{
        const char *activity;
        uint64_t resident, peak;
        int r = sd_bus_message_read(message, "stt", &activity, &resident, &peak);

        if (r < 0)
                return r;
        worker->rests = strcmp(activity, "idle") == 0 || strcmp(activity, "paused") == 0;
        worker->reads = strcmp(activity, "load") == 0 || strcmp(activity, "file") == 0;
        worker->n_pings = 0;
        worker->resident_bytes = resident;
        worker->resident_peak_bytes = peak;
        if (strcmp(activity, "train") == 0 || strcmp(activity, "infer") == 0)
                worker->was_useful = true;
        return 0;
}

static int on_progress(struct qvfd_worker *worker, sd_bus_message *message)
{
        _cleanup_json_ struct json_object *values = NULL;
        const char *job;
        int r = sd_bus_message_read(message, "s", &job);

        if (r >= 0)
                r = qvfd_values_from_worker(message, &values);
        if (r >= 0)
                qvfd_train_progress(worker, job, values);
        return r;
}

static int on_train_ended(struct qvfd_worker *worker, sd_bus_message *message)
{
        _cleanup_json_ struct json_object *values = NULL;
        const char *job, *verdict, *text;
        int r = sd_bus_message_read(message, "sss", &job, &verdict, &text);

        if (r >= 0)
                r = qvfd_values_from_worker(message, &values);
        if (r >= 0)
                qvfd_train_ended(worker, job, verdict, text, values);
        return r;
}

static int on_infer_ended(struct qvfd_worker *worker, sd_bus_message *message)
{
        _cleanup_json_ struct json_object *stats = NULL;
        const char *request, *reason;
        int r = sd_bus_message_read(message, "ss", &request, &reason);

        if (r >= 0)
                r = qvfd_values_from_worker(message, &stats);
        if (r >= 0)
                qvfd_request_ended(worker, request, reason, stats);
        return r;
}

static int on_warning(struct qvfd_worker *worker, sd_bus_message *message)
{
        const char *text;
        int r = sd_bus_message_read(message, "s", &text);

        if (r < 0)
                return r;
        if (!qvfd_train_warning(worker, text))
                qvfd_notice(worker->service, "warning", worker->model ? &worker->model->object : NULL, "%s",
                                text);
        return 0;
}

static int on_failed(struct qvfd_worker *worker, sd_bus_message *message)
{
        const char *what, *text;
        int r = sd_bus_message_read(message, "ss", &what, &text);

        if (r < 0)
                return r;
        snprintf(worker->what, sizeof(worker->what), "%s", what);
        snprintf(worker->message, sizeof(worker->message), "%s", text);
        return 0;
}

static const struct {
        const char *member;
        int (*run)(struct qvfd_worker *worker, sd_bus_message *message);
} signals[] = { { "Heartbeat", on_heartbeat }, { "Progress", on_progress }, { "TrainEnded", on_train_ended },
        { "InferEnded", on_infer_ended }, { "Warning", on_warning }, { "Failed", on_failed } };

int qvfd_worker_on_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct qvfd_worker *worker = userdata;

        (void)error;
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(signals); i++) {
                int r;

                if (sd_bus_message_is_signal(message, "org.qvf.Worker1", signals[i].member) <= 0)
                        continue;
                r = signals[i].run(worker, message);
                if (worker->state != QVFD_WORKER_ENDING)
                        qvfd_worker_alive(worker);
                if (r < 0)
                        qvfd_journal(QVF_LOG_WARNING, NULL, "a worker's %s can't be read: %s",
                                        signals[i].member, strerror(-r));
                return 1;
        }
        return 0;
}
