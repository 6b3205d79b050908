/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/command.h"

#include <errno.h>
#include <string.h>
#include <time.h>

struct worker_command *worker_command_new(enum worker_command_kind kind)
{
        struct worker_command *command = calloc(1, sizeof(*command));

        if (!command)
                return NULL;
        command->kind = kind;
        command->arrived_us = worker_now_us();
        for (unsigned i = 0; i < WORKER_FILES_MOST; i++)
                command->files[i] = -1;
        return command;
}

struct worker_command *worker_command_free(struct worker_command *command)
{
        if (!command)
                return NULL;
        for (unsigned i = 0; i < WORKER_FILES_MOST; i++)
                qvf_closep(&command->files[i]);
        if (command->options && command->options_exit)
                command->options_exit(command->options);
        if (command->options && command->table)
                worker_options_exit(command->table, command->options);
        free(command->options);
        worker_values_exit(&command->values);
        sd_bus_message_unref(command->call);
        free(command->name);
        free(command);
        return NULL;
}

const char *worker_error_name(int result, bool file_error)
{
        switch (result) {
        case -ENOKEY: return "UnknownOption";
        case -ENOMEM: return "OutOfMemory";
        case -ENOSPC:
        case -EDQUOT: return "DiskFull";
        case -ENODEV:
        case -ETIME: return "NoDevice";
        case -ECANCELED: return "Cancelled";
        case -ENOENT: return file_error ? "BadFile" : "NotFound";
        case -EEXIST: return "Exists";
        case -EBUSY: return "Busy";
        case -EBADFD: return "BadState";
        case -ENOTSUP: return "Unsupported";
        case -ENOBUFS: return "LimitReached";
        case -EINVAL:
        case -E2BIG:
        case -ERANGE: return file_error ? "BadFile" : "InvalidArgument";
        default: return file_error ? "BadFile" : "Internal";
        }
}

struct worker_event *worker_event_new(enum worker_event_kind kind, const char *subject, const char *text)
{
        _cleanup_(worker_event_freep) struct worker_event *event = calloc(1, sizeof(*event));

        if (!event)
                return NULL;
        event->kind = kind;
        if (subject && !(event->subject = strdup(subject)))
                return NULL;
        if (text && !(event->text = strdup(text)))
                return NULL;
        return QVF_TAKE(event);
}

struct worker_event *worker_event_free(struct worker_event *event)
{
        if (!event)
                return NULL;
        worker_command_free(event->command);
        worker_values_exit(&event->values);
        free(event->subject);
        free(event->text);
        free(event);
        return NULL;
}

uint64_t worker_now_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}
