/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/compute.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
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

/* Waits until the run has ended, the time has passed or somebody wakes us. */
static int wait_a_while(const struct qvf_compute *compute, struct qvf_program *program)
{
        const struct qvf_compute_watch *watch = compute->watch;
        struct pollfd fds[2] = {
                { .fd = compute->backend->event_fd(compute->device), .events = POLLIN },
                { .fd = watch->wake_fd, .events = POLLIN },
        };

        if (!watch->lends)
                return compute->backend->wait(program, watch->boundary_ms);
        poll(fds, 2, watch->boundary_ms);
        return compute->backend->wait(program, 0);
}

static int watched_wait(const struct qvf_compute *compute, struct qvf_program *program)
{
        const struct qvf_backend *backend = compute->backend;
        struct qvf_compute_watch *watch = compute->watch;
        bool lends = watch->lends;
        int state, r = 0;

        for (;;) {
                state = wait_a_while(compute, program);
                if (state != QVF_RUN_GOING)
                        return state;
                if (lends)
                        watch->woken(watch->context);
                backend->pause(program, true);
                /* Whoever watches sees that alive() does not come when this never ends. */
                do
                        state = backend->wait(program, watch->boundary_ms);
                while (state == QVF_RUN_GOING);
                if (state != QVF_RUN_PAUSED)
                        return state;
                watch->alive(watch->context);
                if (lends)
                        r = watch->boundary(watch->context);
                if (r < 0)
                        return r;
                backend->pause(program, false);
                watch->alive(watch->context);
        }
}

int qvf_compute_wait(const struct qvf_compute *compute, struct qvf_program *program, struct qvf_error *error)
{
        const char *name = compute->backend->name;
        int state;

        if (compute->watch) {
                state = watched_wait(compute, program);
                compute->watch->ended(compute->watch->context);
        } else {
                state = compute->backend->wait(program, -1);
        }
        switch (state) {
        case QVF_RUN_DONE: return 0;
        case QVF_RUN_DEVICE_LOST: return qvf_error_set(error, -ENODEV, "the %s device was lost", name);
        case QVF_RUN_HUNG: return qvf_error_set(error, -ETIME, "the %s device hangs", name);
        case QVF_RUN_OUT_OF_MEMORY:
                return qvf_error_set(error, -ENOMEM, "the %s device is out of memory", name);
        case -ECANCELED: return qvf_error_set(error, -ECANCELED, "the run was given up");
        default:
                return qvf_error_set(error, state < 0 ? state : -EIO, "the %s device failed: %s", name,
                                state < 0 ? strerror(-state) : "unknown state");
        }
}

int qvf_compute_run(const struct qvf_compute *compute, struct qvf_program *program,
                const struct qvf_args *args, struct qvf_error *error)
{
        int r;

        if (compute->watch)
                compute->watch->alive(compute->watch->context);
        r = compute->backend->submit(program, args);
        if (r < 0 && compute->watch)
                compute->watch->ended(compute->watch->context);
        if (r < 0)
                return qvf_error_set(error, r, "the %s device did not take the program: %s",
                                compute->backend->name, strerror(-r));
        return qvf_compute_wait(compute, program, error);
}
