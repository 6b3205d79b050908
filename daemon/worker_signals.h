/* SPDX-License-Identifier: Apache-2.0 */
/* What workers say unasked. */
#ifndef QVF_DAEMON_WORKER_SIGNALS_H
#define QVF_DAEMON_WORKER_SIGNALS_H

#include "daemon/worker.h"

int qvfd_worker_on_message(sd_bus_message *message, void *userdata, sd_bus_error *error);
void qvfd_worker_alive(struct qvfd_worker *worker);

#endif
