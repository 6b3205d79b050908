/* SPDX-License-Identifier: Apache-2.0 */
/* What the process gives up, in two steps, both for good and for all of its threads. What is refused fails with EPERM:
 * drivers try many things that they can do without. */
#ifndef QVF_WORKER_SANDBOX_H
#define QVF_WORKER_SANDBOX_H

#include <stdbool.h>

#include "common/error.h"

/* At the start: no new rights, no core file (it would hold what users wrote), no other program, no process, no socket,
 * nothing that reaches into the kernel or another process. */
int worker_sandbox_process(struct qvf_error *error);
/* When the plugin is loaded and its device is open: nothing is opened for writing, made, renamed or removed but below a
 * descriptor of a folder. `strict`: false for drivers, which open their device files again as they like. Code may still
 * be made at run time: drivers compile. */
int worker_sandbox_files(bool strict, struct qvf_error *error);

#endif
