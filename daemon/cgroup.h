/* SPDX-License-Identifier: Apache-2.0 */
/* A cgroup of its own for each worker, where systemd has delegated the service's own (Delegate=yes): its memory is limited
 * and counted by itself, and an out-of-memory kill can be told from a crash. */
#ifndef QVF_DAEMON_CGROUP_H
#define QVF_DAEMON_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/* Moves this process into a leaf, so that groups for workers can stand beside it. Does nothing where it may not. */
void qvfd_cgroup_open(void);
/* A group for a worker: its folder, and cgroup.procs open for writing; -1: there are none here. */
int qvfd_cgroup_new(int *ret_procs);
void qvfd_cgroup_limit(int folder, uint64_t memory_bytes); /* 0: none */
bool qvfd_cgroup_was_killed(int folder);                   /* by the kernel, for memory */
void qvfd_cgroup_remove(int folder);                       /* and closes it */
/* Kills for memory on this machine since it started; without a cgroup the best that is known. */
uint64_t qvfd_oom_kills(void);

#endif
