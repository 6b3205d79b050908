/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QVF_DAEMON_PASS_H
#define QVF_DAEMON_PASS_H

struct qvfd;

/* The loop's part that looks at all queues: made once, asked for with qvfd_pass_soon(). */
int qvfd_pass_open(struct qvfd *service);
void qvfd_pass_close(struct qvfd *service);

#endif
