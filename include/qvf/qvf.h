/* SPDX-License-Identifier: Apache-2.0 */
/* libqvf: asks qvfd for answers and gives it training jobs, over D-Bus. See examples/ for whole programs, and the
 * interface files org.qvf.Fabric1.*.xml for every option key, property and error that this header does not name.
 *
 * Functions return 0 or one of the negative codes below, and then say more in `failure`, which may be NULL. What
 * they give back through ret_… is untouched on failure. Texts are UTF-8. A client belongs to one thread at a time;
 * a process may have many. A ..._free() takes NULL, and returns NULL. */
#ifndef QVF_QVF_H
#define QVF_QVF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QVF_API __attribute__((visibility("default")))

enum qvf_code {
        QVF_FAILED = -1,    /* what no other code says */
        QVF_INVALID = -2,   /* an argument, an option or a file is wrong */
        QVF_TIMED_OUT = -3, /* no answer in the time that qvf_set_timeout() gives */
        QVF_NOT_FOUND = -4, /* no model, adapter, job or device of that name */
        QVF_DENIED = -5,    /* this user may not */
        QVF_NOT_NOW = -6,   /* Busy, BadState, Exists: the object is not in a state where this can be done */
        QVF_LIMIT = -7,     /* a limit of this client or of the service is reached */
        QVF_NOT_RUNNING = -8, /* there is no qvfd to talk to, or it went away */
        QVF_FORBIDDEN = -9,   /* the policy or a hold does not let it run now */
        QVF_NO_MEMORY = -10,  /* here, or on the device */
        QVF_CANCELLED = -11,
};

struct qvf_failure { /* 1024 bytes, for good */
        int32_t code;
        char name[60];     /* the D-Bus error's last word: "NotFound"; "" where the service did not say */
        char message[960]; /* for people; no control characters */
};

/* ---- The connection ---- */

struct qvf_client;

/* `address` is "system", "user" (the session bus), or the D-Bus address of a private socket of qvfd
 * ("unix:path=/run/user/1000/qvf/socket"). NULL: $QVF_ADDRESS, or else the system bus where qvfd is on it (or can be
 * started by it), or else the session bus. QVF_NOT_RUNNING when there is no qvfd. */
QVF_API int qvf_connect(const char *address, struct qvf_client **ret_client, struct qvf_failure *failure);
/* Sessions and watches of the client end with it: free sessions first. */
QVF_API struct qvf_client *qvf_disconnect(struct qvf_client *client);

/* How long a call may take, of those for which the interface does not say "no time-out". -1: for ever; the default
 * is 25 s. */
QVF_API void qvf_set_timeout(struct qvf_client *client, int milliseconds);
/* Whether the system may ask the user for a password during a call. Default: no. */
QVF_API void qvf_set_interactive(struct qvf_client *client, bool interactive);

/* A descriptor that is readable when qvf_dispatch() has something to do: for poll(), or the event loop of a program. */
QVF_API int qvf_get_fd(const struct qvf_client *client);
/* Waits up to `timeout_ms` (-1: for ever, 0: not at all) and handles what has come: callbacks are called from here,
 * and from every function that waits for an answer. Returns whether anything came (1 or 0), or QVF_NOT_RUNNING when
 * the connection is lost. A callback may use the client, except to disconnect it. */
QVF_API int qvf_dispatch(struct qvf_client *client, int timeout_ms, struct qvf_failure *failure);

/* ---- Values that come back ---- */

enum qvf_type {
        QVF_TYPE_NONE,
        QVF_TYPE_BOOLEAN,
        QVF_TYPE_INTEGER,  /* every signed integer */
        QVF_TYPE_UNSIGNED, /* every unsigned one */
        QVF_TYPE_NUMBER,
        QVF_TYPE_STRING,
        QVF_TYPE_FD,
        QVF_TYPE_LIST, /* of values; structures too */
        QVF_TYPE_MAP,  /* of texts to values */
};

struct qvf_value;

/* All of these take NULL, and say what a missing value says: QVF_TYPE_NONE, 0, false, "", NaN. */
QVF_API enum qvf_type qvf_value_type(const struct qvf_value *value);
QVF_API const struct qvf_value *qvf_value_get(const struct qvf_value *map, const char *key);
QVF_API size_t qvf_value_count(const struct qvf_value *list_or_map);
QVF_API const struct qvf_value *qvf_value_at(const struct qvf_value *list_or_map, size_t place);
QVF_API const char *qvf_value_key_at(const struct qvf_value *map, size_t place);
QVF_API bool qvf_value_boolean(const struct qvf_value *value);
QVF_API int64_t qvf_value_integer(
                const struct qvf_value *value); /* numbers are cut, unsigned ones limited */
QVF_API uint64_t qvf_value_unsigned(const struct qvf_value *value);
QVF_API double qvf_value_number(const struct qvf_value *value); /* integers too */
QVF_API const char *qvf_value_string(const struct qvf_value *value);
/* A descriptor out of a list or map: it becomes the caller's, to close. -1: there is none at that place. */
QVF_API int qvf_value_take_fd(struct qvf_value *list_or_map, size_t place);
QVF_API struct qvf_value *qvf_value_free(struct qvf_value *value);

/* ---- Options that are given ---- */

struct qvf_options;

/* A later value of the same key replaces the earlier one. NULL, where no memory is left, may be passed on to all of
 * these; a call with options that lack something for want of memory fails with QVF_NO_MEMORY. */
QVF_API struct qvf_options *qvf_options_new(void);
QVF_API struct qvf_options *qvf_options_free(struct qvf_options *options);
QVF_API void qvf_options_set_boolean(struct qvf_options *options, const char *key, bool value);
QVF_API void qvf_options_set_integer(struct qvf_options *options, const char *key, int64_t value);
QVF_API void qvf_options_set_number(struct qvf_options *options, const char *key, double value);
QVF_API void qvf_options_set_string(struct qvf_options *options, const char *key, const char *value);
/* Texts, up to a NULL. */
QVF_API void qvf_options_set_strings(
                struct qvf_options *options, const char *key, const char *const *values);
/* A copy of the descriptor is taken. */
QVF_API void qvf_options_set_fd(struct qvf_options *options, const char *key, int fd);

/* As if it had never been set. */
QVF_API void qvf_options_unset(struct qvf_options *options, const char *key);

struct qvf_weight {
        const char *name;
        double weight;
};
/* For `adapters`: several at once, each with its scale. */
QVF_API void qvf_options_set_weights(struct qvf_options *options, const char *key,
                const struct qvf_weight *weights, size_t count);

/* ---- Answers ---- */

/* One answer in one call; takes as long as that does. An empty or NULL model: the service's default. The text is the
 * caller's to free(). `options` and `ret_stats` may be NULL. */
QVF_API int qvf_complete(struct qvf_client *client, const char *model, const char *prompt,
                const struct qvf_options *options, char **ret_text, struct qvf_value **ret_stats,
                struct qvf_failure *failure);

struct qvf_session;

/* A conversation: what its requests have in common is computed once. `options` are defaults for all of them. */
QVF_API int qvf_session_open(struct qvf_client *client, const char *model, const struct qvf_options *options,
                struct qvf_session **ret_session, struct qvf_failure *failure);
/* Other defaults for the requests that follow, in place of all earlier ones. */
QVF_API int qvf_session_set_options(
                struct qvf_session *session, const struct qvf_options *options, struct qvf_failure *failure);
/* Closes it; requests that are under way get no more callbacks. */
QVF_API struct qvf_session *qvf_session_free(struct qvf_session *session);

struct qvf_stream {  /* what is told about one request */
        size_t size; /* sizeof(struct qvf_stream) */
        /* A piece of the answer, whole characters, as soon as it is there. Not 0-terminated. */
        void (*on_text)(void *context, const char *text, size_t length);
        /* The last call. `reason`: end, stop, length, context, cancelled or failed; then `failure` says why, which
         * is NULL otherwise. */
        void (*on_end)(void *context, const char *reason, const struct qvf_value *stats,
                        const struct qvf_failure *failure);
        void *context;
};

/* Return at once; qvf_dispatch() then calls the functions of `stream`, which is copied. `options` may be NULL. */
QVF_API int qvf_session_infer(struct qvf_session *session, const char *prompt,
                const struct qvf_options *options, const struct qvf_stream *stream, uint32_t *ret_request,
                struct qvf_failure *failure);

struct qvf_message {
        const char *role; /* "system", "user", "assistant" */
        const char *text;
};
QVF_API int qvf_session_chat(struct qvf_session *session, const struct qvf_message *messages, size_t count,
                const struct qvf_options *options, const struct qvf_stream *stream, uint32_t *ret_request,
                struct qvf_failure *failure);
/* Ends a request: on_end follows, with "cancelled". */
QVF_API int qvf_session_cancel(struct qvf_session *session, uint32_t request, struct qvf_failure *failure);

/* ---- Training ---- */

/* Queues a job. `data_fd` is a regular file or a sealed memfd; the service copies it, and the caller may close it. The
 * id is the caller's to free(). Options: those of Manager.Train. */
QVF_API int qvf_train(struct qvf_client *client, const char *model, int data_fd,
                const struct qvf_options *options, char **ret_job, struct qvf_failure *failure);

/* Calls `on_change` with all properties of the job, now, after each change, at least once a second and after a
 * signal of the system, until it has ended (its State is
 * finished, failed or cancelled), `on_change` returns another number than 0, or `timeout_ms` is over (-1: never).
 * Returns 0 when the job has ended, QVF_TIMED_OUT, or what `on_change` returned. `ret_job` may be NULL. */
QVF_API int qvf_job_wait(struct qvf_client *client, const char *job, int timeout_ms,
                int (*on_change)(void *context, const struct qvf_value *job), void *context,
                struct qvf_value **ret_job, struct qvf_failure *failure);

/* ---- Everything else ---- */

/* `kind` is "manager" (its name is ""), "devices", "models", "adapters", "jobs" or "sessions" everywhere below. */

/* All objects of a kind: a map of their names to maps of their properties. */
QVF_API int qvf_list(struct qvf_client *client, const char *kind, struct qvf_value **ret_objects,
                struct qvf_failure *failure);
/* The properties of one object. */
QVF_API int qvf_get(struct qvf_client *client, const char *kind, const char *name,
                struct qvf_value **ret_properties, struct qvf_failure *failure);

/* Any method of an object. One letter of `signature` for each argument that follows: those of D-Bus (b: int, i: int32_t,
 * u: uint32_t, x: int64_t, t: uint64_t, d: double, s and o: const char *, h: int) and O: const struct qvf_options *,
 * which may be NULL; W: const struct qvf_weight *, size_t; M: const struct qvf_message *, size_t. The reply
 * (may be NULL) is a list of what the method returns. */
QVF_API int qvf_call(struct qvf_client *client, const char *kind, const char *name, const char *method,
                struct qvf_value **ret_reply, struct qvf_failure *failure, const char *signature, ...);

struct qvf_event {
        const char *kind;   /* "" when it is "Gone" */
        const char *name;   /* of the object, "" for the manager */
        const char *member; /* a signal of the interface files, or "Changed", "Added", "Removed"; "Gone":
                                          * qvfd left the bus or the connection is lost */
        const struct qvf_value *
                        content; /* the signal's arguments (a list), or for Changed and Added the properties */
};

/* Calls `on_event` for what happens to one object, to all of a kind (name NULL), or to all (kind NULL). */
QVF_API int qvf_watch(struct qvf_client *client, const char *kind, const char *name,
                void (*on_event)(void *context, const struct qvf_event *event), void *context,
                uint32_t *ret_watch, struct qvf_failure *failure);
/* No more calls after this; also from within one. */
QVF_API void qvf_unwatch(struct qvf_client *client, uint32_t watch);

/* Version of the library, "0.1.0". */
QVF_API const char *qvf_version(void);

#ifdef __cplusplus
}
#endif

#endif
