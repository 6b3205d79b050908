/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/worker_end.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "daemon/cgroup.h"
#include "daemon/device.h"
#include "daemon/file_work.h"
#include "daemon/journal.h"
#include "daemon/model.h"
#include "daemon/qvfd.h"
#include "daemon/request.h"
#include "daemon/train.h"

enum { FAILURES_MOST = 6 }; /* of a load in a row, before those who wait are told */

const char *const qvfd_end_codes[] = { "", "crash", "hang", "memory", "device-lost", "wrong-numbers",
        "internal" };

static const struct { /* as config/org.qvf.Worker1.xml has them */
        int status;
        enum qvfd_end end;
        const char *words;
} statuses[] = {
        { 0, QVFD_END_ASKED, "ended" },
        { 65, QVFD_END_DEVICE_LOST, "the device was lost" },
        { 66, QVFD_END_HANG, "the device hung" },
        { 67, QVFD_END_MEMORY, "memory ran out" },
        { 68, QVFD_END_WRONG_NUMBERS, "the device gives wrong numbers" },
        { 69, QVFD_END_UNUSABLE, "it could not understand us" },
        { 70, QVFD_END_UNUSABLE, "its sandbox could not be put on" },
        { 126, QVFD_END_UNUSABLE, "it could not be started" },
        { 127, QVFD_END_UNUSABLE, "it could not be started" },
};

static enum qvfd_end judge_signal(struct qvfd_worker *worker, int number, const char **ret_words)
{
        if (worker->killed_for_hang) {
                *ret_words = "no sign of life: killed";
                return QVFD_END_HANG;
        }
        if (number == SIGKILL && (qvfd_cgroup_was_killed(worker->cgroup) ||
                                                 qvfd_oom_kills() > worker->oom_kills_before)) {
                *ret_words = "the system ran out of memory and killed it";
                return QVFD_END_MEMORY;
        }
        *ret_words = NULL;
        return QVFD_END_CRASH;
}

enum qvfd_end qvfd_worker_judge(struct qvfd_worker *worker, const siginfo_t *info)
{
        enum qvfd_end end = QVFD_END_CRASH;
        const char *words = NULL;
        char said[sizeof(worker->message)];

        if (worker->state == QVFD_WORKER_ENDING && !worker->killed_for_hang) {
                snprintf(worker->message, sizeof(worker->message), "the worker was asked to end");
                return QVFD_END_ASKED;
        }
        if (info->si_code == CLD_EXITED) {
                for (size_t i = 0; i < QVF_ARRAY_LENGTH(statuses); i++)
                        if (statuses[i].status == info->si_status) {
                                end = statuses[i].end;
                                words = statuses[i].words;
                        }
        } else {
                end = judge_signal(worker, info->si_status, &words);
        }
        strcpy(said, worker->message);
        if (!words && info->si_code == CLD_EXITED)
                snprintf(worker->message, sizeof(worker->message), "the worker ended with status %d",
                                info->si_status);
        else if (!words)
                snprintf(worker->message, sizeof(worker->message), "the worker was killed by signal %d (%s)",
                                info->si_status, strsignal(info->si_status));
        else
                snprintf(worker->message, sizeof(worker->message), "the worker: %s%s%.400s", words,
                                said[0] ? ": " : "", said);
        return end;
}

static void count(struct qvfd *service, enum qvfd_end end)
{
        if (end == QVFD_END_HANG)
                service->statistics.worker_hangs++;
        else if (end == QVFD_END_MEMORY)
                service->statistics.worker_out_of_memory++;
        else if (end != QVFD_END_ASKED)
                service->statistics.worker_crashes++;
}

/* A load that keeps on failing is tried ever later, on whatever device is then the best. */
static void judge_model(
                struct qvfd_model *model, struct qvfd_worker *worker, enum qvfd_end end, bool was_loading)
{
        struct qvfd *service = model->object.service;
        const struct qvf_workers_config *config = &service->config.workers;

        if (end != QVFD_END_ASKED && was_loading) {
                double wait_s = config->retry_after_s;

                for (unsigned i = 0; i < model->n_failed && wait_s < config->retry_most_s; i++)
                        wait_s *= 2;
                if (wait_s > config->retry_most_s)
                        wait_s = config->retry_most_s;
                model->n_failed++;
                model->not_before_us = qvfd_now_us() + (uint64_t)(wait_s * 1e6);
                free(model->reason);
                model->reason = strdup(worker->message);
        }
        if (end == QVFD_END_UNUSABLE || model->n_failed >= FAILURES_MOST)
                qvfd_requests_fail(model, QVFD_BUS_NAME ".Error.WorkerFailed", worker->message);
        if (end == QVFD_END_UNUSABLE || model->n_failed >= FAILURES_MOST)
                qvfd_works_load_failed(model, QVFD_BUS_NAME ".Error.WorkerFailed", worker->message);
        model->worker = NULL;
        qvfd_model_worker_changed(model);
}

void qvfd_worker_has_ended(struct qvfd_worker *worker, const siginfo_t *info)
{
        struct qvfd *service = worker->service;
        struct qvfd_model *model = worker->model;
        bool was_loading = worker->state == QVFD_WORKER_LOADING;
        enum qvfd_end end;

        sd_event_source_set_enabled(worker->end_source, SD_EVENT_OFF);
        sd_event_source_set_enabled(worker->hang_timer, SD_EVENT_OFF);
        /* What it said before it died counts; then those who wait for an answer are told that none comes. */
        while (worker->state != QVFD_WORKER_ENDING && !worker->message[0] &&
                        sd_bus_process(worker->bus, NULL) > 0 && worker->n_calls == 0)
                ;
        end = qvfd_worker_judge(worker, info);
        while (sd_bus_process(worker->bus, NULL) > 0)
                ;
        count(service, end);
        if (end != QVFD_END_ASKED) {
                qvfd_notice(service, "warning", model ? &model->object : NULL, "%s%s%s", worker->message,
                                worker->device ? " on " : "",
                                worker->device ? worker->device->description : "");
                /* Memory is no fault of a driver, and a program that cannot start is none either. */
                if (worker->device && end != QVFD_END_MEMORY && end != QVFD_END_UNUSABLE)
                        qvfd_device_crashed(worker->device, worker->message);
        }
        qvfd_train_worker_ended(worker, end);
        qvfd_requests_worker_ended(worker, end);
        if (model && model->worker == worker)
                judge_model(model, worker, end, was_loading);
        qvfd_worker_free(worker);
        qvfd_pass_soon(service);
}
