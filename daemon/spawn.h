/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes, known by a pidfd: it can't be mistaken for another process, and the loop can wait for it. */
#ifndef QVF_DAEMON_SPAWN_H
#define QVF_DAEMON_SPAWN_H

#include <signal.h>
#include <sys/types.h>

#include "common/error.h"

struct qvfd;

struct qvfd_child {
        pid_t pid; /* 0: none */
        int pidfd;
};
#define QVFD_CHILD_NONE ((struct qvfd_child){ .pidfd = -1 })

/* As fork(): 0 in the child, which dies with this process; 1 here; or a negative errno. */
int qvfd_child_fork(struct qvfd_child *ret_child);
/* 1: it has ended and `ret_info` says how; 0: not yet. */
int qvfd_child_reap(struct qvfd_child *child, siginfo_t *ret_info);
void qvfd_child_kill(const struct qvfd_child *child, int signal);
/* Kills it if it lives still, and forgets it. */
void qvfd_child_end(struct qvfd_child *child);

struct qvfd_spawn {
        const char *const *arguments; /* after the program's name; NULL at the end */
        int fd3, out, err;            /* become 3, 1 and 2; below 0: none, /dev/null, as here */
        int cgroup;                   /* cgroup.procs, open for writing, or below 0 */
};
/* Starts qvf-worker. */
int qvfd_spawn_worker(struct qvfd *service, const struct qvfd_spawn *spawn, struct qvfd_child *ret_child,
                struct qvf_error *error);

#endif
