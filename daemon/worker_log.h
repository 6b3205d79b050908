/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker writes on its standard error: "<3>text", line by line, into the service's log. */
#ifndef QVF_DAEMON_WORKER_LOG_H
#define QVF_DAEMON_WORKER_LOG_H

#include "daemon/worker.h"

int qvfd_worker_on_log(sd_event_source *source, int fd, uint32_t events, void *userdata);
/* What there is now. */
void qvfd_worker_log_read(struct qvfd_worker *worker);

#endif
