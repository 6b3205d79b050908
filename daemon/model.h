/* SPDX-License-Identifier: Apache-2.0 */
/* Stored models, and the workers that have them loaded. */
#ifndef QVF_DAEMON_MODEL_H
#define QVF_DAEMON_MODEL_H

#include <json-c/json.h>

#include "daemon/object.h"
#include "daemon/worker.h"

struct qvfd_model {
        struct qvfd_object object;
        char *description, *architecture, *format, *digest;
        uint64_t parameters, size_bytes, added_us, last_used_us;
        uint32_t layers, width, vocabulary, context_length;
        int has_chat_template;
        const char *state; /* one of Model.State; not freed */
        char *reason;
        struct qvfd_worker *worker; /* that has it, or loads it */
        unsigned n_failed;          /* loads in a row that failed */
        uint64_t not_before_us;     /* CLOCK_BOOTTIME: no new try until then */
        unsigned n_uses;            /* files' work under way */
};

void qvfd_models_load(struct qvfd *service);
void qvfd_models_free(struct qvfd *service);
/* Of a record (models/NAME.json) and its file; takes neither. */
int qvfd_model_new(struct qvfd *service, const char *name, struct json_object *record,
                struct qvfd_model **ret_model);
void qvfd_model_remove(struct qvfd_model *model); /* also its files */
/* An empty name is the only one, or the first. NULL: none. */
struct qvfd_model *qvfd_model_find(struct qvfd *service, const char *name);
const char *qvfd_model_default(struct qvfd *service);
int qvfd_model_open_file(const struct qvfd_model *model); /* for reading, or a negative errno */

/* Why it can't be removed now: "a job", "a session", …; NULL: it can. */
const char *qvfd_model_user(const struct qvfd_model *model);

/* Makes sure that a worker loads it or has it. `device` and `backend` may be empty. -EAGAIN: not now (devices are
 * still looked for, or the last try failed a moment ago); other errors are final, with words. */
int qvfd_model_need(
                struct qvfd_model *model, const char *device, const char *backend, struct qvf_error *error);
/* The loaded worker, or NULL. */
struct qvfd_worker *qvfd_model_ready(const struct qvfd_model *model);
/* Reads the worker's state into the model's properties. */
void qvfd_model_worker_changed(struct qvfd_model *model);
/* Lets workers go that nobody has asked for longer than idle_unload. */
void qvfd_models_unload_idle(struct qvfd *service);

#endif
