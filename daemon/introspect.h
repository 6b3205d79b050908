/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QVF_DAEMON_INTROSPECT_H
#define QVF_DAEMON_INTROSPECT_H

struct qvfd;

/* --bus-introspect: prints what an object at this path offers, from the tables that answer calls. A process' exit
 * status. */
int qvfd_introspect(struct qvfd *service, const char *path);

#endif
