/* SPDX-License-Identifier: Apache-2.0 */
/* A qvfd of one's own: --private. */
#ifndef QVF_CTL_DAEMON_H
#define QVF_CTL_DAEMON_H

#include "common/error.h"

struct ctl_daemon;

/* Uses the private qvfd that runs, or starts one and waits until it answers; gives the address of its socket, which
 * lives as long as the daemon's struct. An exit code, with its words in `error`. */
int ctl_daemon_start(struct ctl_daemon **ret_daemon, const char **ret_address, struct qvf_error *error);
/* Ends it where it was started here. */
struct ctl_daemon *ctl_daemon_stop(struct ctl_daemon *daemon);

/* Where a program of the project is: beside this one, or where it is installed; to free(). NULL: nowhere. */
char *ctl_find_program(const char *name);

#endif
