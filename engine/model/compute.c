/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/compute.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

int qvf_compute_buffer(const struct qvf_compute *compute, uint64_t bytes, enum qvf_buffer_use use,
                const char *what, struct qvf_buffer **ret_buffer, struct qvf_error *error)
{
        int r = compute->backend->buffer_new(compute->device, bytes, use, ret_buffer);

        if (r < 0)
                return qvf_error_set(error, r, "no %" PRIu64 " bytes on the %s device for the %s: %s", bytes,
                                compute->backend->name, what, strerror(-r));
        return 0;
}

int qvf_compute_upload(const struct qvf_compute *compute, const void *bytes, uint64_t length,
                const char *what, struct qvf_buffer **ret_buffer, struct qvf_error *error)
{
        struct qvf_buffer *buffer;
        int r = qvf_compute_buffer(compute, length, QVF_BUFFER_DEVICE, what, &buffer, error);

        if (r < 0)
                return r;
        r = compute->backend->buffer_upload(buffer, 0, bytes, length);
        if (r < 0) {
                compute->backend->buffer_free(buffer);
                return qvf_error_set(error, r, "the %s can't be brought to the %s device: %s", what,
                                compute->backend->name, strerror(-r));
        }
        *ret_buffer = buffer;
        return 0;
}

void qvf_compute_buffer_free(const struct qvf_compute *compute, struct qvf_buffer *buffer)
{
        if (buffer)
                compute->backend->buffer_free(buffer);
}

int qvf_compute_wait(const struct qvf_compute *compute, struct qvf_program *program, struct qvf_error *error)
{
        const char *name = compute->backend->name;
        int state = compute->backend->wait(program, -1);

        switch (state) {
        case QVF_RUN_DONE: return 0;
        case QVF_RUN_DEVICE_LOST: return qvf_error_set(error, -ENODEV, "the %s device was lost", name);
        case QVF_RUN_HUNG: return qvf_error_set(error, -ENODEV, "the %s device hangs", name);
        case QVF_RUN_OUT_OF_MEMORY:
                return qvf_error_set(error, -ENOMEM, "the %s device is out of memory", name);
        default:
                return qvf_error_set(error, state < 0 ? state : -EIO, "the %s device failed: %s", name,
                                state < 0 ? strerror(-state) : "unknown state");
        }
}

int qvf_compute_run(const struct qvf_compute *compute, struct qvf_program *program,
                const struct qvf_args *args, struct qvf_error *error)
{
        int r = compute->backend->submit(program, args);

        if (r < 0)
                return qvf_error_set(error, r, "the %s device did not take the program: %s",
                                compute->backend->name, strerror(-r));
        return qvf_compute_wait(compute, program, error);
}
