/* SPDX-License-Identifier: Apache-2.0 */
/* What the end of a worker means, and who has to know. */
#ifndef QVF_DAEMON_WORKER_END_H
#define QVF_DAEMON_WORKER_END_H

#include "daemon/worker.h"

/* Reads the end of a process; the words go into worker->message. */
enum qvfd_end qvfd_worker_judge(struct qvfd_worker *worker, const siginfo_t *info);
/* Tells its job, its requests, its model and its device, and frees it. */
void qvfd_worker_has_ended(struct qvfd_worker *worker, const siginfo_t *info);

#endif
