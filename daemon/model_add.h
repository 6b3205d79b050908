/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QVF_DAEMON_MODEL_ADD_H
#define QVF_DAEMON_MODEL_ADD_H

#include "daemon/dispatch.h"

/* Manager.AddModel */
int qvfd_model_add(struct qvfd_call *call);

#endif
