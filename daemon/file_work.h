/* SPDX-License-Identifier: Apache-2.0 */
/* Work on files that a client handed over: copied in by a child, looked at by a worker, copied out by a child; then the
 * call is answered. One struct carries it through its steps. */
#ifndef QVF_DAEMON_FILE_WORK_H
#define QVF_DAEMON_FILE_WORK_H

#include "daemon/dispatch.h"
#include "daemon/values.h"
#include "daemon/worker.h"

enum { QVFD_WORK_FILES = 3 };

struct qvfd_work {
        struct qvfd *service;
        struct qvfd_work *next;
        struct qvfd_client *client; /* while files are copied */
        sd_bus_message *message;    /* to be answered */
        char name[65];              /* of the model or adapter that is made, or that it is about */
        char model[65];
        struct qvfd_values values;
        uint32_t uid;
        struct {
                char name[32]; /* in the scratch folder; empty: none */
                int fd;        /* that file */
                int given;     /* the client's, or -1 */
                bool out;      /* copied to the client's at the end, not from it at the start */
        } file[QVFD_WORK_FILES];
        unsigned at;                                                      /* the file that is being copied */
        struct qvfd_worker *own;                                          /* a worker for this alone */
        uint64_t most;                                                    /* bytes of one file */
        void (*then)(struct qvfd_work *work, struct qvfd_worker *worker); /* once its model is loaded */
        /* Called when the files are in; goes on to qvfd_work_reply or qvfd_work_out. */
        void (*begin)(struct qvfd_work *work);
        /* What the worker said; by default qvfd_work_out. */
        void (*done)(struct qvfd_work *work, struct json_object *info);
};

int qvfd_work_new(struct qvfd_call *call, struct qvfd_work **ret_work);
/* Adds a file of the client's; `fd` is copied. Below 0: one of the worker's. */
int qvfd_work_add_file(struct qvfd_work *work, int fd, bool out, sd_bus_error *error);
/* Adds data to train on, and what its values name as held out. */
int qvfd_work_add_data(struct qvfd_work *work, int fd, sd_bus_error *error);
/* Copies what comes in, then calls begin. Owns `work` from here on. */
int qvfd_work_start(struct qvfd_call *call, struct qvfd_work *work);
/* Asks a worker; `message` may be NULL after a failure. */
void qvfd_work_ask(struct qvfd_work *work, struct qvfd_worker *worker, sd_bus_message *message);
/* Waits until the model is loaded, then calls `then`. */
void qvfd_work_load(
                struct qvfd_work *work, void (*then)(struct qvfd_work *work, struct qvfd_worker *worker));
/* Copies what goes out, then answers with nothing. */
void qvfd_work_out(struct qvfd_work *work, struct json_object *info);
/* Answers and ends it. */
void qvfd_work_fail(struct qvfd_work *work, const char *error, const char *message);
void qvfd_work_return_path(struct qvfd_work *work, const char *path);
void qvfd_work_free(struct qvfd_work *work);

/* Loads that works wait for: looked at with the queues. */
void qvfd_works_pass(struct qvfd *service);
void qvfd_works_load_failed(struct qvfd_model *model, const char *error, const char *message);

#endif
