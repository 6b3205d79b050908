/* SPDX-License-Identifier: Apache-2.0 */
/* What the two threads say to each other. The bus thread makes commands from calls; the engine's thread does them one
 * after the other and hands each back with its result, and tells events besides. */
#ifndef QVF_WORKER_COMMAND_H
#define QVF_WORKER_COMMAND_H

#include "common/error.h"
#include "worker/options.h"
#include "worker/queue.h"
#include "worker/values.h"

#define WORKER_FILES_MOST 3

enum worker_command_kind {
        COMMAND_DESCRIBE,
        COMMAND_LOAD,
        COMMAND_ADD_ADAPTER,
        COMMAND_DROP_ADAPTER,
        COMMAND_TRAIN,
        COMMAND_CHECK_DATA,
        COMMAND_PAUSE,
        COMMAND_RESUME,
        COMMAND_SET_TRAINING,
        COMMAND_STOP,
        COMMAND_INFER,
        COMMAND_CANCEL,
        COMMAND_IMPORT,
        COMMAND_EXPORT,
        COMMAND_MERGE,
        COMMAND_MERGE_INTO_MODEL,
        COMMAND_QUIT, /* after a checkpoint, where there is a job */
        COMMANDS,
};

struct worker_command {
        struct worker_item item;
        enum worker_command_kind kind;
        sd_bus_message *call; /* the bus thread's alone; NULL: nobody waits for a reply */
        uint64_t arrived_us;
        uint64_t serial; /* of a request */
        char *name;      /* of a job, an adapter */
        bool flag;
        int files[WORKER_FILES_MOST];
        void *options; /* the struct that `table` describes */
        const struct worker_option *table;
        void (*options_exit)(void *options); /* what the table does not free; or NULL */

        int result;
        bool file_error;        /* a result below 0 speaks of what is in a file */
        const char *error_name; /* NULL: by the result */
        struct qvf_error error;
        struct worker_values values;
};

struct worker_command *worker_command_new(enum worker_command_kind kind);
struct worker_command *worker_command_free(struct worker_command *command);
QVF_DEFINE_CLEANUP(struct worker_command *, worker_command_free)
/* "BadFile" and its like, for a result below 0. */
const char *worker_error_name(int result, bool file_error);

enum worker_event_kind {
        EVENT_REPLY, /* the command is done */
        EVENT_TEXT,  /* of a request */
        EVENT_INFER_ENDED,
        EVENT_PROGRESS,
        EVENT_TRAIN_ENDED,
        EVENT_WARNING,
        EVENT_FAILED, /* the process ends with `status` */
        EVENT_QUIT,   /* the engine's thread has ended */
};

struct worker_event {
        struct worker_item item;
        enum worker_event_kind kind;
        struct worker_command *command;
        uint64_t serial;
        char *subject;    /* the job */
        const char *word; /* verdict, reason, what failed; lives for ever */
        char *text;
        size_t length;
        int status;
        struct worker_values values;
};

/* NULL where there is no memory. Both texts are copied and may be NULL. */
struct worker_event *worker_event_new(enum worker_event_kind kind, const char *subject, const char *text);
struct worker_event *worker_event_free(struct worker_event *event);
QVF_DEFINE_CLEANUP(struct worker_event *, worker_event_free)

uint64_t worker_now_us(void);

#endif
