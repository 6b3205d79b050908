/* SPDX-License-Identifier: Apache-2.0 */
/* Copies what a client handed over, in a child process: a file system of the client's own (FUSE) may let a read hang
 * for ever, and a large file takes its time to reach the disk. */
#ifndef QVF_DAEMON_COPY_H
#define QVF_DAEMON_COPY_H

#include <stdint.h>
#include <systemd/sd-bus.h>

#include "common/error.h"

struct qvfd;
struct qvfd_client;
struct qvfd_copy;

/* Result: 0 or a negative errno, with its words. Called once, unless starting failed. */
typedef void (*qvfd_copied)(void *context, int result, const struct qvf_error *error);

/* Copies all of `from` (from its beginning) to `to`, no more than `most` bytes, and syncs it. Both stay the caller's
 * and may be closed at once. When the client leaves, the copy ends with -ECANCELED; NULL: a copy of the service's own. */
int qvfd_copy_start(struct qvfd *service, struct qvfd_client *client, const char *what, int from, int to,
                uint64_t most, qvfd_copied done, void *context, struct qvf_error *error);
void qvfd_copies_drop(struct qvfd_client *client);

/* A regular file, open for reading, or a sealed memfd; nothing here waits for a file system. */
int qvfd_check_input(int fd, const char *what, sd_bus_error *error);
/* A regular file, open for writing. */
int qvfd_check_output(int fd, const char *what, sd_bus_error *error);
/* A pipe or a socket, open for writing. */
int qvfd_check_stream(int fd, const char *what, sd_bus_error *error);

#endif
