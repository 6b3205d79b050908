/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QVF_DAEMON_JOB_ADD_H
#define QVF_DAEMON_JOB_ADD_H

#include "daemon/dispatch.h"

/* Manager.Train */
int qvfd_job_add(struct qvfd_call *call);

#endif
