/* SPDX-License-Identifier: Apache-2.0 */
/* The job that has a worker: from bringing its model to the device to the end of its run. */
#ifndef QVF_DAEMON_TRAIN_H
#define QVF_DAEMON_TRAIN_H

#include "daemon/job.h"

struct qvfd_model;

/* Makes it the active job and goes on as far as that goes now; called again until it runs. */
void qvfd_train_start(struct qvfd_job *job);
void qvfd_train_advance(struct qvfd_job *job);
void qvfd_train_pause(struct qvfd_job *job);
void qvfd_train_resume(struct qvfd_job *job);
/* Checkpoints it, and gives the device back. */
void qvfd_train_stop(struct qvfd_job *job);

bool qvfd_train_uses(const struct qvfd_worker *worker);
void qvfd_train_progress(struct qvfd_worker *worker, const char *id, struct json_object *values);
void qvfd_train_ended(struct qvfd_worker *worker, const char *id, const char *verdict, const char *message,
                struct json_object *values);
bool qvfd_train_warning(struct qvfd_worker *worker, const char *text);
void qvfd_train_worker_ended(struct qvfd_worker *worker, enum qvfd_end end);
void qvfd_train_load_failed(struct qvfd_model *model, const char *error, const char *message);

void qvfd_job_emit_ended(struct qvfd_job *job, const char *state, const char *reason);

#endif
