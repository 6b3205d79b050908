/* SPDX-License-Identifier: Apache-2.0 */
/* A connection and everything that hangs on it; the parts of the library share it. */
#ifndef QVF_CLIENT_CLIENT_H
#define QVF_CLIENT_CLIENT_H

#include <dbus/dbus.h>

#include "client/value.h"
#include "qvf/qvf.h"

#define QVF_BUS_NAME "org.qvf.Fabric1"
#define QVF_BUS_ROOT "/org/qvf/Fabric1"

struct qvf_watcher { /* a qvf_watch() */
        struct qvf_watcher *next;
        uint32_t id;
        bool gone; /* removed while events are told */
        char *kind, *name;
        void (*on_event)(void *context, const struct qvf_event *event);
        void *context;
};

struct qvf_request { /* a request of a session */
        struct qvf_request *next;
        struct qvf_session *session; /* NULL: given up */
        uint32_t number;
        int fd; /* reading end of the pipe; -1: at its end */
        struct qvf_stream stream;
        char partial[4]; /* a character whose other bytes have not come */
        size_t partial_length;
        char *reason; /* of Finished; NULL: it has not come */
        struct qvf_value *stats;
};

struct qvf_session {
        struct qvf_client *client;
        char *id;
};

struct qvf_client {
        DBusConnection *connection;
        bool bus; /* there is a bus between us and qvfd */
        bool lost, interactive;
        bool watching; /* the match rules are set */
        char *owner;   /* bus name of qvfd while it is watched: nobody else's signals count */
        int timeout_ms;
        int epoll, wake; /* `wake` is readable while messages wait in the library */
        DBusWatch *watches[8];
        size_t watch_count;
        struct qvf_watcher *watchers;
        uint32_t last_watch;
        unsigned telling; /* depth of calls to watchers */
        struct qvf_request *requests;
        unsigned reading; /* depth of calls to streams */
};

/* Sets `failure` (if given) and returns `code`. */
int qvf_fail(struct qvf_failure *failure, int code, const char *name, const char *format, ...)
                __attribute__((format(printf, 4, 5)));
/* The same from an error message of D-Bus. */
int qvf_fail_from_reply(struct qvf_failure *failure, DBusMessage *reply);

/* Path of an object, to free(). NULL when no memory is left. */
char *qvf_object_path(const char *kind, const char *name);
/* The other way round: where `path` is below the root, the kind (of a static list) and the name, to free(). */
const char *qvf_path_kind(const char *path, char **ret_name);
const char *qvf_interface_of(const char *kind);

/* The loop (loop.c) */
int qvf_loop_init(struct qvf_client *client, struct qvf_failure *failure);
void qvf_loop_exit(struct qvf_client *client);
int qvf_loop_add_pipe(struct qvf_client *client, int fd);
/* Handles messages one at a time until `call` has its answer (NULL: for one round), or the time is over. */
int qvf_loop_run(struct qvf_client *client, DBusPendingCall *call, int timeout_ms,
                struct qvf_failure *failure);

/* Calls (call.c) */
DBusMessage *qvf_message_new(struct qvf_client *client, const char *path, const char *interface,
                const char *method, struct qvf_failure *failure);
/* Sends, waits, and gives back the answer. Frees `message`, which may be NULL: then `failure` stands already. */
int qvf_message_call(struct qvf_client *client, DBusMessage *message, int timeout_ms,
                DBusMessage **ret_reply, struct qvf_failure *failure);
static inline void qvf_message_unrefp(DBusMessage **message)
{
        if (*message)
                dbus_message_unref(*message);
}

/* Whether what was set can be sent. */
int qvf_options_check(const struct qvf_options *options, struct qvf_failure *failure);
/* Appends a{sv}; false when no memory is left. */
bool qvf_options_append(const struct qvf_options *options, DBusMessageIter *iter);

/* What comes in (watch.c, session.c) */
/* Has the bus tell what qvfd does, and when it goes. Once for a client. */
int qvf_watch_begin(struct qvf_client *client, struct qvf_failure *failure);
/* Whether a signal is from qvfd. */
bool qvf_watch_is_from_service(const struct qvf_client *client, DBusMessage *message);
void qvf_watch_message(struct qvf_client *client, DBusMessage *message);
void qvf_watch_lost(struct qvf_client *client);
void qvf_watch_exit(struct qvf_client *client);
void qvf_requests_message(struct qvf_client *client, DBusMessage *message);
void qvf_requests_readable(struct qvf_client *client, int fd);
/* Ends them all, because the service is gone. */
void qvf_requests_lost(struct qvf_client *client);
void qvf_requests_exit(struct qvf_client *client);

#endif
