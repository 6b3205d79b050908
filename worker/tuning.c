/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/tuning.h"

#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "engine/backend/host.h"
#include "engine/backend/loader.h"
#include "worker/sandbox.h"
#include "worker/throwaway.h"

#define BUDGET_MS 2000u

struct task {
        const char *folder, *backend;
        uint32_t index;
};

static void tune(const void *task_, void *text)
{
        const struct qvf_tuning_options options = { .size = sizeof(options), .budget_ms = BUDGET_MS };
        const struct qvf_device_options wanted = { .size = sizeof(wanted) };
        const struct task *task = task_;
        const struct qvf_backend *backend;
        struct qvf_device *device;
        struct qvf_error error = { 0 };
        int r = worker_sandbox_process(&error);

        if (r < 0 || qvf_backend_open(task->folder, task->backend, &backend, &error) < 0 ||
                        !qvf_backend_can_tune(backend))
                return;
        r = backend->device_open(&qvf_host_default, task->index, &wanted, &device);
        r = r < 0 ? r : backend->tune(device, &options, text);
        if (r < 0) {
                fprintf(stderr, "<4>%s: the device can't be tuned: %s\n", task->backend, strerror(-r));
                memset(text, 0, QVF_TUNING_BYTES);
        }
}

void tuning_run(const char *folder, const char *backend, uint32_t index, int64_t limit_ms,
                char ret_text[QVF_TUNING_BYTES])
{
        const struct task task = { folder, backend, index };
        int status, r;

        memset(ret_text, 0, QVF_TUNING_BYTES);
        r = worker_throwaway(tune, &task, ret_text, QVF_TUNING_BYTES, limit_ms, &status);
        ret_text[QVF_TUNING_BYTES - 1] = 0;
        if (r < 0)
                fprintf(stderr, "<4>%s: tuning the device was given up: %s\n", backend, strerror(-r));
        if (r < 0 || qvf_utf8_valid_prefix(ret_text, strlen(ret_text)) != strlen(ret_text))
                ret_text[0] = 0;
}
