/* SPDX-License-Identifier: Apache-2.0 */
/* May this caller? Asks polkit without waiting for it. */
#ifndef QVF_DAEMON_AUTHORISE_H
#define QVF_DAEMON_AUTHORISE_H

#include "daemon/dispatch.h"

struct qvfd_connection;

/* 1: yes. 0: polkit was asked, and qvfd_dispatch_authorised() or an error follows. Negative: no. */
int qvfd_authorise(struct qvfd_call *call, const char *action);
/* Forgets what was asked for a connection that closes. */
void qvfd_authorise_drop(struct qvfd_connection *connection);

#endif
