/* SPDX-License-Identifier: Apache-2.0 */
/* A worker process as seen from here: its connection, its life, its end. config/org.qvf.Worker1.xml is the protocol. */
#ifndef QVF_DAEMON_WORKER_H
#define QVF_DAEMON_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/error.h"
#include "daemon/spawn.h"

struct qvfd;
struct qvfd_model;
struct qvfd_device;
struct qvfd_request;

enum qvfd_worker_state { QVFD_WORKER_BARE, QVFD_WORKER_LOADING, QVFD_WORKER_READY, QVFD_WORKER_ENDING };

/* How it ended. */
enum qvfd_end {
        QVFD_END_ASKED,
        QVFD_END_CRASH,
        QVFD_END_HANG,
        QVFD_END_MEMORY,
        QVFD_END_DEVICE_LOST,
        QVFD_END_WRONG_NUMBERS,
        QVFD_END_UNUSABLE, /* could not be started, or does not speak the protocol */
};
extern const char *const qvfd_end_codes[]; /* "crash", "hang", … as Job.ReasonCode has them */

enum { QVFD_WORKER_ADAPTERS = 64 };

struct qvfd_worker {
        struct qvfd *service;
        struct qvfd_worker *next;
        struct qvfd_model *model;   /* NULL: only describes a file */
        struct qvfd_device *device; /* likewise */
        enum qvfd_worker_state state;
        struct qvfd_child child;
        sd_bus *bus;
        sd_event_source *end_source, *log_source, *hang_timer;
        int log_fd;
        char log_line[1024];
        size_t log_length;
        int cgroup; /* its folder, or -1 */
        uint64_t oom_kills_before;
        uint64_t heartbeat_us, idle_since_us; /* CLOCK_MONOTONIC */
        uint64_t resident_bytes, resident_peak_bytes;
        uint64_t hang_after_us;
        bool rests; /* its last heartbeat said that it has nothing to do: then no more come */
        bool reads; /* it said that it loads or works on a file: that may take longer than a sign of life */
        bool pinged;
        unsigned n_pings;
        bool killed_for_hang;
        char what[32];       /* of its signal Failed */
        char message[512];   /* why it ended, in words; of Failed before it did */
        unsigned sequences;  /* requests that it answers at once */
        unsigned n_requests; /* that it has */
        unsigned n_calls;    /* long calls under way */
        bool was_useful;     /* it computed something since it was loaded */
        struct {
                char *name;
                uint64_t version;
        } adapters[QVFD_WORKER_ADAPTERS]; /* that it knows */
};

/* Called once: with the reply, or with NULL and the error that the service would give. */
typedef void (*qvfd_worker_reply)(
                void *context, struct qvfd_worker *worker, sd_bus_message *reply, const sd_bus_error *error);

/* Starts a process without a model. */
int qvfd_worker_new(struct qvfd *service, struct qvfd_worker **ret_worker, struct qvf_error *error);
/* Asks it to end (SIGTERM), and kills it if it has not after a while. It is freed when it has ended. */
void qvfd_worker_stop(struct qvfd_worker *worker);
/* Kills it and forgets it at once, without a word to anybody. */
void qvfd_worker_free(struct qvfd_worker *worker);

int qvfd_worker_message(struct qvfd_worker *worker, const char *member, sd_bus_message **ret_message);
/* Sends it; owns `message` whatever happens. Where that fails, `reply` is called before this returns. */
void qvfd_worker_call(
                struct qvfd_worker *worker, sd_bus_message *message, qvfd_worker_reply reply, void *context);
/* A call without arguments whose answer nobody waits for; it makes the worker do something. */
void qvfd_worker_tell(struct qvfd_worker *worker, const char *member);

#endif
