/* SPDX-License-Identifier: Apache-2.0 */
/* A backend and one of its devices, opened, with the few things that everybody does with them. */
#ifndef QVF_ENGINE_MODEL_COMPUTE_H
#define QVF_ENGINE_MODEL_COMPUTE_H

#include <stdbool.h>

#include "common/error.h"
#include "qvf/backend.h"

/* How somebody looks at runs while they go on, and takes the device from them between two pieces of work. All calls
 * come from the thread that runs programs. */
struct qvf_compute_watch {
        void *context;
        /* A run has begun, or was seen at a boundary; and it has ended. In between the device may hang. */
        void (*alive)(void *context);
        void (*ended)(void *context);
        /* The run is about to be stopped at its next boundary because wake_fd became readable. */
        void (*woken)(void *context);
        /* The run stands at a boundary, where other programs may run; it goes on afterwards. Below 0: it is given up,
         * and its program can only be freed. */
        int (*boundary)(void *context);
        int wake_fd;
        int boundary_ms; /* a run that takes longer is stopped at a boundary now and then */
        bool lends;      /* else boundary() and wake_fd are left alone: only alive() is called */
        bool keep;       /* the run may not be given up: boundary() must not fail */
};

struct qvf_compute {
        const struct qvf_backend *backend;
        struct qvf_device *device;
        uint32_t layout_version; /* of its info; 0: not known, packed weights are not cached */
        bool separate;           /* not the host's own CPU: it waits whenever it waits for the host */
        bool discrete;           /* a GPU with memory of its own: it wants many rows at a time */
        struct qvf_compute_watch *watch; /* NULL: nobody looks */
};

int qvf_compute_buffer(const struct qvf_compute *compute, uint64_t bytes, enum qvf_buffer_use use,
                const char *what, struct qvf_buffer **ret_buffer, struct qvf_error *error);
/* A new buffer with these bytes in it. */
int qvf_compute_upload(const struct qvf_compute *compute, const void *bytes, uint64_t length,
                const char *what, struct qvf_buffer **ret_buffer, struct qvf_error *error);
void qvf_compute_buffer_free(const struct qvf_compute *compute, struct qvf_buffer *buffer); /* takes NULL */

/* Submits and waits for the end. A lost device is -ENODEV, a hung one -ETIME, a run without memory -ENOMEM; what
 * watch->boundary() returned below 0 comes back as it is. */
int qvf_compute_run(const struct qvf_compute *compute, struct qvf_program *program,
                const struct qvf_args *args, struct qvf_error *error);
/* The second half of it, for a run that was submitted before. */
int qvf_compute_wait(
                const struct qvf_compute *compute, struct qvf_program *program, struct qvf_error *error);

#endif
