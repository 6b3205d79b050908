/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a job whose run did not end well: for train*.c only. */
#ifndef QVF_DAEMON_TRAIN_FAILURE_H
#define QVF_DAEMON_TRAIN_FAILURE_H

#include "daemon/job.h"

/* The worker said so: it waits, or has failed. The job has let go of its worker then. */
void qvfd_train_failed(struct qvfd_job *job, const char *error, const char *message);
void qvfd_train_detach(struct qvfd_job *job);

#endif
