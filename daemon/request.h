/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: who waits, whose turn it is, and what became of it. Clients take turns, however much one of them asks. */
#ifndef QVF_DAEMON_REQUEST_H
#define QVF_DAEMON_REQUEST_H

#include <json-c/json.h>
#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "common/text.h"
#include "daemon/client.h"
#include "daemon/worker.h"

struct qvfd_model;
struct qvfd_session;

enum qvfd_request_state {
        QVFD_REQUEST_WAITS,
        QVFD_REQUEST_PREPARES,
        QVFD_REQUEST_RUNS,
        QVFD_REQUEST_DRAINS
};

struct qvfd_request {
        struct qvfd *service;
        struct qvfd_request *next;
        uint32_t number;
        struct qvfd_client *client;   /* NULL: it left */
        struct qvfd_session *session; /* NULL: of Complete, or closed */
        struct qvfd_model *model;
        struct qvfd_worker *worker; /* while it prepares or runs */
        enum qvfd_request_state state;
        struct json_object *options;  /* of Manager.Complete; adapters resolved */
        struct json_object *messages; /* pairs of role and text, or NULL: the prompt as it is */
        char *prompt;
        uint64_t memory_bytes, asked_us, waited_us;
        int output;              /* the client's, or the writing end of `text`'s pipe; -1: given away */
        sd_bus_message *message; /* of Complete, to be answered; NULL: a session's */
        int text_fd;             /* of Complete: what the worker writes comes out here */
        sd_event_source *text_source;
        struct qvf_text text;
        char *reason; /* once it has ended but the text has not all come */
        struct json_object *stats;
        bool cancelled, retried;
        unsigned preparing; /* the adapter that is asked for now */
};

/* What a request is made of. All but `output` is taken over by the request; `output` is copied. */
struct qvfd_request_parts {
        struct qvfd_client *client;
        struct qvfd_session *session;
        struct qvfd_model *model;
        struct json_object *options, *messages;
        const char *prompt;
        int output;              /* -1: Complete's */
        sd_bus_message *message; /* Complete's */
};

/* Checks limits and policy, and queues it. */
int qvfd_request_new(struct qvfd *service, const struct qvfd_request_parts *parts,
                struct qvfd_request **ret_request, sd_bus_error *error);
struct qvfd_request *qvfd_request_find(struct qvfd *service, uint32_t number);
void qvfd_request_cancel(struct qvfd_request *request);
bool qvfd_request_uses_adapter(const struct qvfd_request *request, const char *name);

/* Gives workers what they have room for. */
void qvfd_requests_pass(struct qvfd *service);
bool qvfd_requests_wait_for(const struct qvfd_model *model);
bool qvfd_requests_run(const struct qvfd *service);
void qvfd_request_ended(struct qvfd_worker *worker, const char *number, const char *reason,
                struct json_object *stats);
void qvfd_requests_worker_ended(struct qvfd_worker *worker, enum qvfd_end end);
/* All that wait for this model. */
void qvfd_requests_fail(struct qvfd_model *model, const char *error, const char *message);
/* All of them: the policy does not let anything run, or the service ends. */
void qvfd_requests_fail_all(struct qvfd *service, const char *error, const char *message);
void qvfd_requests_leave(struct qvfd_session *session);
void qvfd_requests_drop(struct qvfd_client *client);

#endif
