/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the engine's thread share. engine.c runs the loop, the others do the commands. */
#ifndef QVF_WORKER_ENGINE_PRIVATE_H
#define QVF_WORKER_ENGINE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/inference/generator.h"
#include "worker/engine.h"
#include "worker/status.h"
#include "worker/tables.h"

#define WORKER_PAUSES_KEPT 1024u

struct worker_adapter {
        struct worker_adapter *next;
        char *name; /* NULL: dropped, and kept for the requests that use it */
        struct qvf_adapter *adapter;
        unsigned users;
};

struct worker_request;
struct worker_job;

struct worker_counts { /* guarded by the mutex */
        uint64_t tokens_prompt, tokens_generated, tokens_trained, requests, pauses;
        uint32_t pause_us[WORKER_PAUSES_KEPT]; /* of the last pauses, in turn */
        uint32_t waiting;
        const char *training;
};

struct worker_engine {
        pthread_t thread;
        pid_t thread_id;
        struct worker_queue commands, *events;

        /* For worker_engine_pulse(). */
        atomic_int activity;
        atomic_uint beats;
        atomic_uint_fast64_t device_since_us, hang_us, memory_limit;
        pthread_mutex_t mutex;
        struct worker_counts counts;

        /* The thread's own. */
        struct qvf_compute_watch watch;
        struct qvf_compute compute; /* device NULL: not loaded */
        struct qvf_device_info device;
        struct qvf_model *model;
        struct qvf_context *context; /* NULL: loaded without room for answers */
        struct qvf_generator *generator;
        struct worker_adapter *adapters;
        struct worker_request *requests;
        unsigned n_requests;
        uint64_t batch_us; /* when the last batch of answers began */
        struct worker_job *job;
        bool idle_class; /* the device's threads may yield to everything else, and can be brought back */
        bool yielding;   /* and they do */
        bool standing;   /* training stands at a boundary, or there is none */
        bool quit;
        bool failed; /* the device is of no use: nothing is put in order any more */
};

/* engine.c */
void engine_beat(struct worker_engine *engine);
void engine_event(struct worker_engine *engine,
                struct worker_event *event); /* takes it over; NULL is dropped */
/* The process is to end with this status; nothing else is done. */
void engine_fail(struct worker_engine *engine, enum worker_status status, const char *message);
/* Whether a result means that the device is of no use any more; it has failed then. */
bool engine_device_failed(struct worker_engine *engine, int result, const struct qvf_error *error);
/* Numbers were not finite: looks whether the device still computes as it should, and fails if not. */
bool engine_numbers_wrong(struct worker_engine *engine, const struct qvf_error *error);
int engine_self_test(struct worker_engine *engine, uint64_t *ret_digest, struct qvf_error *error);
/* A training run is about to go on; it stops at each boundary where there is something else to do. */
void engine_lend(struct worker_engine *engine, bool on);
/* Does what others want while training stands. -ECANCELED: the training is to end. */
int engine_stand(struct worker_engine *engine, bool may_end);
void engine_reply(struct worker_engine *engine, struct worker_command *command);

/* load.c */
int command_describe(struct worker_engine *engine, struct worker_command *command);
int command_load(struct worker_engine *engine, struct worker_command *command);
void engine_unload(struct worker_engine *engine);

/* priority.c: whether the device's threads (not this one, not the bus') yield to everything else. */
bool engine_may_yield(void);
void engine_yield(struct worker_engine *engine, bool on);

/* adapters.c */
int command_add_adapter(struct worker_engine *engine, struct worker_command *command);
int command_drop_adapter(struct worker_engine *engine, struct worker_command *command);
int command_import(struct worker_engine *engine, struct worker_command *command);
int command_export(struct worker_engine *engine, struct worker_command *command);
int command_merge(struct worker_engine *engine, struct worker_command *command);
int command_merge_into_model(struct worker_engine *engine, struct worker_command *command);
struct worker_adapter *engine_adapter_take(struct worker_engine *engine, const char *name); /* NULL: none */
void engine_adapter_give(struct worker_engine *engine, struct worker_adapter *adapter);
void engine_adapters_exit(struct worker_engine *engine);

/* infer.c */
int command_infer(struct worker_engine *engine, struct worker_command *command);
int command_cancel(struct worker_engine *engine, struct worker_command *command);
/* One batch; false where nobody waits. */
bool engine_answer(struct worker_engine *engine);

/* train.c; COMMAND_STOP is replied to when the job has ended, so that it keeps its command. */
int command_train(struct worker_engine *engine, struct worker_command *command);
int command_check_data(struct worker_engine *engine, struct worker_command *command);
int command_pause(struct worker_engine *engine, struct worker_command *command);
int command_resume(struct worker_engine *engine, struct worker_command *command);
int command_set_training(struct worker_engine *engine, struct worker_command *command);
int command_stop(struct worker_engine *engine, struct worker_command *command);
bool job_paused(const struct worker_job *job);
bool job_stopping(const struct worker_job *job);
/* How long the job must rest now to keep to its part of the time. */
unsigned job_rest_ms(struct worker_job *job);
void job_rested(struct worker_job *job);
/* The next step. */
void job_go_on(struct worker_engine *engine);
void job_end_now(struct worker_engine *engine); /* as the process ends: with a checkpoint */

#endif
