/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: a client, a model, and defaults for its requests. */
#ifndef QVF_DAEMON_SESSION_H
#define QVF_DAEMON_SESSION_H

#include <json-c/json.h>

#include "daemon/client.h"
#include "daemon/object.h"

struct qvfd_session {
        struct qvfd_object object;
        struct qvfd_client *client;
        char *model;
        struct json_object *defaults; /* options of Manager.Complete */
        uint32_t n_requests;
        uint64_t tokens_generated;
};

/* Takes a reference to `defaults`. */
int qvfd_session_new(struct qvfd_client *client, const char *model, struct json_object *defaults,
                struct qvfd_session **ret_session);
void qvfd_session_free(struct qvfd_session *session); /* cancels its requests */
void qvfd_sessions_drop(struct qvfd_client *client);
bool qvfd_session_belongs(const struct qvfd_session *session, const struct qvfd_client *client);

#endif
