/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with adapters' files: in, out, together, into a model. */
#ifndef QVF_DAEMON_ADAPTER_WORK_H
#define QVF_DAEMON_ADAPTER_WORK_H

#include "daemon/dispatch.h"

struct qvfd_adapter;
struct qvfd_worker;

int qvfd_adapter_import(struct qvfd_call *call);     /* Manager.ImportAdapter */
int qvfd_adapters_merge(struct qvfd_call *call);     /* Manager.MergeAdapters */
int qvfd_data_check(struct qvfd_call *call);         /* Manager.CheckData */
int qvfd_adapter_export(struct qvfd_call *call);     /* Adapter.Export */
int qvfd_adapter_into_model(struct qvfd_call *call); /* Adapter.MergeIntoModel */

/* Tells a worker of a new adapter, so that it can answer at once, and asks what is in it. */
void qvfd_adapter_describe(struct qvfd_adapter *adapter, struct qvfd_worker *worker);

#endif
