/* SPDX-License-Identifier: Apache-2.0 */
/* What the bus thread's files share: bus.c connects and tells, calls.c takes the calls. */
#ifndef QVF_WORKER_BUS_PRIVATE_H
#define QVF_WORKER_BUS_PRIVATE_H

#include "worker/engine.h"
#include "worker/output.h"
#include "worker/status.h"

#define WORKER_PATH "/org/qvf/Worker1"
#define WORKER_INTERFACE "org.qvf.Worker1"
#define WORKER_ERROR WORKER_INTERFACE ".Error."

struct worker_server {
        sd_event *event;
        sd_bus *bus;
        struct worker_engine *engine;
        struct worker_queue events;
        struct worker_outputs outputs;
        sd_event_source *pulse_source, *events_source;
        uint64_t next_serial;
        unsigned commands_out; /* that the engine's thread has not done */
        unsigned beats_told;
        int activity_told;
        enum worker_status status;
        bool engine_ended;
};

extern const sd_bus_vtable worker_vtable[];

/* Hands a command to the engine's thread, whose pulse is felt from now on as long as there is something to do. */
void worker_server_command(struct worker_server *server, struct worker_command *command);

#endif
