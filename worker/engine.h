/* SPDX-License-Identifier: Apache-2.0 */
/* The engine on a thread of its own: packing weights, tokenising, compiling programs and syncing files take seconds,
 * and the bus must be answered all the while. Everything that touches the device is done by this one thread. Training
 * lends it to the rest at each boundary where somebody waits: commands and answers are served from inside of the
 * training run that stands there. */
#ifndef QVF_WORKER_ENGINE_H
#define QVF_WORKER_ENGINE_H

#include "worker/command.h"

enum worker_activity {
        ACTIVITY_IDLE,
        ACTIVITY_LOAD,
        ACTIVITY_TRAIN,
        ACTIVITY_PAUSED,
        ACTIVITY_INFER,
        ACTIVITY_FILE,
};

struct worker_pulse { /* what the bus thread sees of the engine */
        enum worker_activity activity;
        unsigned beats;           /* moves on while work goes on */
        uint64_t device_since_us; /* the device owes us the end of a submission since then; 0: nothing is under way */
        uint64_t hang_us, memory_limit;
};

struct worker_engine;

/* Commands are taken by worker_engine_command(); events come through `events`, EVENT_QUIT as the last. */
int worker_engine_new(struct worker_queue *events, struct worker_engine **ret_engine);
/* After EVENT_QUIT. */
struct worker_engine *worker_engine_free(struct worker_engine *engine);
QVF_DEFINE_CLEANUP(struct worker_engine *, worker_engine_free)

void worker_engine_command(struct worker_engine *engine, struct worker_command *command);
struct worker_pulse worker_engine_pulse(struct worker_engine *engine);
void worker_engine_statistics(struct worker_engine *engine, struct worker_values *values);

#endif
