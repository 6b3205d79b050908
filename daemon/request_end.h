/* SPDX-License-Identifier: Apache-2.0 */
/* How requests end: for request*.c only. */
#ifndef QVF_DAEMON_REQUEST_END_H
#define QVF_DAEMON_REQUEST_END_H

#include "daemon/request.h"

/* Tells who asked, and frees it. `stats` may be NULL; `error` is a full name for the reason "failed". */
void qvfd_request_finish(struct qvfd_request *request, const char *reason, struct json_object *stats,
                const char *error, const char *message);
/* The pipe that Complete's text comes through. */
int qvfd_request_open_text(struct qvfd_request *request);
void qvfd_request_close_text(struct qvfd_request *request);

#endif
