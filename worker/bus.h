/* SPDX-License-Identifier: Apache-2.0 */
/* org.qvf.Worker1 on a connection without a bus: calls become commands for the engine's thread, its events become
 * replies and signals. */
#ifndef QVF_WORKER_BUS_H
#define QVF_WORKER_BUS_H

#include "common/error.h"
#include "worker/status.h"

/* Serves the peer on `fd`, which is taken over, until it goes away or the device fails. */
int worker_serve(int fd, enum worker_status *ret_status, struct qvf_error *error);

#endif
