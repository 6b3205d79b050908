/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as the bus thread sees them: the pipe that an answer goes into, which must never make anybody wait. */
#ifndef QVF_WORKER_OUTPUT_H
#define QVF_WORKER_OUTPUT_H

#include <systemd/sd-event.h>

#include "common/error.h"
#include "worker/values.h"

struct worker_output;

struct worker_outputs {
        sd_event *event;
        struct worker_output *first;
        /* The reader went away, or does not read: nothing more is wanted. */
        void (*cancel)(void *context, uint64_t serial);
        /* All is written and closed, or will never be: the output is gone when this returns. */
        void (*ended)(void *context, const char *name, const char *reason,
                        const struct worker_values *stats);
        void *context;
};

/* Takes the descriptor over, also when this fails. -EEXIST: a request of this name is under way. */
int worker_output_add(struct worker_outputs *outputs, const char *name, uint64_t serial, int fd,
                struct qvf_error *error);
/* One that never began. */
void worker_output_drop(struct worker_outputs *outputs, uint64_t serial);
/* 0: there is none. */
uint64_t worker_output_find(const struct worker_outputs *outputs, const char *name);
void worker_output_text(struct worker_outputs *outputs, uint64_t serial, const char *text, size_t length);
/* No more text comes; takes the contents of `stats` over. */
void worker_output_end(struct worker_outputs *outputs, uint64_t serial, const char *reason,
                struct worker_values *stats);
void worker_outputs_exit(struct worker_outputs *outputs);

#endif
