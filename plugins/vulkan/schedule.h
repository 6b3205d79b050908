/* SPDX-License-Identifier: Apache-2.0 */
/* The order of a program's operations. Those that have nothing to do with each other come side by side, so that a device
 * does them at the same time, and fewer barriers stand between the rest. */
#ifndef QVF_PLUGINS_VULKAN_SCHEDULE_H
#define QVF_PLUGINS_VULKAN_SCHEDULE_H

#include "qvf/backend.h"

/* Writes the operations in their new order: each one behind all that it reads from or that reads from what it writes over.
 * Operations that are emitted together (fuse.h) stay together, with `adapters` also a ternary product and what an adapter
 * adds to it. `ret_ops` has room for desc->n_ops. */
int vk_schedule(const struct qvf_program_desc *desc, bool adapters, struct qvf_op *ret_ops);

#endif
