/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/qvfd.h"
#include "daemon/request.h"

int qvfd_session_new(struct qvfd_client *client, const char *model, struct json_object *defaults,
                struct qvfd_session **ret_session)
{
        struct qvfd *service = client->service;
        struct qvfd_session *session = calloc(1, sizeof(*session));
        char name[32];
        int r;

        if (!session)
                return -ENOMEM;
        snprintf(name, sizeof(name), "%" PRIu64, ++service->next_number);
        r = qvfd_object_init(&session->object, service, QVFD_SESSION, name);
        if (r < 0) {
                free(session);
                return r;
        }
        session->client = client;
        session->model = strdup(model);
        session->defaults = json_object_get(defaults);
        client->n_sessions++;
        qvfd_object_announce(&session->object);
        *ret_session = session;
        return 0;
}

void qvfd_session_free(struct qvfd_session *session)
{
        qvfd_requests_leave(session);
        session->client->n_sessions--;
        qvfd_object_exit(&session->object);
        json_object_put(session->defaults);
        free(session->model);
        free(session);
}

void qvfd_sessions_drop(struct qvfd_client *client)
{
        QVFD_EACH(struct qvfd_session, session, client->service, QVFD_SESSION)
        if (session->client == client)
                qvfd_session_free(session);
}

bool qvfd_session_belongs(const struct qvfd_session *session, const struct qvfd_client *client)
{
        return session->client == client || client->uid == 0;
}
