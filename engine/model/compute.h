/* SPDX-License-Identifier: Apache-2.0 */
/* A backend and one of its devices, opened, with the few things that everybody does with them. */
#ifndef QVF_ENGINE_MODEL_COMPUTE_H
#define QVF_ENGINE_MODEL_COMPUTE_H

#include "common/error.h"
#include "qvf/backend.h"

struct qvf_compute {
        const struct qvf_backend *backend;
        struct qvf_device *device;
        uint32_t layout_version; /* of its info; 0: not known, packed weights are not cached */
};

int qvf_compute_buffer(const struct qvf_compute *compute, uint64_t bytes, enum qvf_buffer_use use,
                const char *what, struct qvf_buffer **ret_buffer, struct qvf_error *error);
/* A new buffer with these bytes in it. */
int qvf_compute_upload(const struct qvf_compute *compute, const void *bytes, uint64_t length,
                const char *what, struct qvf_buffer **ret_buffer, struct qvf_error *error);
void qvf_compute_buffer_free(const struct qvf_compute *compute, struct qvf_buffer *buffer); /* takes NULL */

/* Submits and waits for the end. A lost or hung device is -ENODEV, a run without memory -ENOMEM. */
int qvf_compute_run(const struct qvf_compute *compute, struct qvf_program *program,
                const struct qvf_args *args, struct qvf_error *error);
/* The second half of it, for a run that was submitted before. */
int qvf_compute_wait(
                const struct qvf_compute *compute, struct qvf_program *program, struct qvf_error *error);

#endif
