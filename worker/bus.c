/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/bus.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/bus_private.h"
#include "worker/process.h"

#define PULSE_US 250000u
#define FLUSH_US 1000000u /* for the last message to a peer who may not read */

static const char *const activities[] = {
        [ACTIVITY_IDLE] = "idle",
        [ACTIVITY_LOAD] = "load",
        [ACTIVITY_TRAIN] = "train",
        [ACTIVITY_PAUSED] = "paused",
        [ACTIVITY_INFER] = "infer",
        [ACTIVITY_FILE] = "file",
};

/* A signal with words and then values (may be NULL). */
static void tell(struct worker_server *server, const char *signal_name, const char *const *words,
                const struct worker_values *values)
{
        sd_bus_message *message = NULL;
        int r = sd_bus_message_new_signal(server->bus, &message, WORKER_PATH, WORKER_INTERFACE, signal_name);

        for (; r >= 0 && *words; words++)
                r = sd_bus_message_append(message, "s", *words);
        if (r >= 0 && values)
                r = worker_values_append(values, message);
        if (r >= 0)
                r = sd_bus_send(server->bus, message, NULL);
        sd_bus_message_unref(message);
        if (r < 0 && r != -ECONNRESET && r != -ENOTCONN) /* then nobody is there to be told */
                qvf_log(QVF_LOG_ERROR, "%s can't be told: %s", signal_name, strerror(-r));
}

/* Nothing may run any more after this: neither destructors nor what is left of the engine. */
static _Noreturn void end_at_once(
                struct worker_server *server, const char *what, const char *message, int status)
{
        uint64_t deadline = worker_now_us() + FLUSH_US;

        qvf_log(QVF_LOG_ERROR, "%s: %s", what, message);
        tell(server, "Failed", (const char *const[]){ what, message, NULL }, NULL);
        while (worker_now_us() < deadline && sd_bus_flush(server->bus) == -EAGAIN)
                usleep(1000);
        _exit(status);
}

static void reply(struct worker_server *server, struct worker_command *command)
{
        sd_bus_message *message = NULL;
        int r;

        if (command->result < 0 && command->kind == COMMAND_INFER)
                worker_output_drop(&server->outputs, command->serial);
        if (!command->call)
                return;
        if (command->result < 0) {
                char name[64];

                snprintf(name, sizeof(name), WORKER_ERROR "%s",
                                command->error_name
                                                ? command->error_name
                                                : worker_error_name(command->result, command->file_error));
                sd_bus_reply_method_errorf(command->call, name, "%s",
                                command->error.code ? command->error.text : strerror(-command->result));
                return;
        }
        r = sd_bus_message_new_method_return(command->call, &message);
        if (r >= 0 && command->values.count > 0)
                r = worker_values_append(&command->values, message);
        if (r >= 0)
                r = sd_bus_send(server->bus, message, NULL);
        sd_bus_message_unref(message);
        if (r < 0)
                sd_bus_reply_method_errno(command->call, r, NULL);
}

static void take(struct worker_server *server, struct worker_event *event)
{
        const char *text = event->text ? event->text : "";

        switch (event->kind) {
        case EVENT_REPLY:
                server->commands_out--;
                reply(server, event->command);
                break;
        case EVENT_TEXT:
                worker_output_text(&server->outputs, event->serial, event->text, event->length);
                break;
        case EVENT_INFER_ENDED:
                worker_output_end(&server->outputs, event->serial, event->word, &event->values);
                break;
        case EVENT_PROGRESS:
                tell(server, "Progress", (const char *const[]){ event->subject, NULL }, &event->values);
                break;
        case EVENT_TRAIN_ENDED:
                tell(server, "TrainEnded", (const char *const[]){ event->subject, event->word, text, NULL },
                                &event->values);
                break;
        case EVENT_WARNING: tell(server, "Warning", (const char *const[]){ text, NULL }, NULL); break;
        case EVENT_FAILED: end_at_once(server, event->word, text, event->status);
        case EVENT_QUIT:
                server->engine_ended = true;
                sd_event_exit(server->event, 0);
                break;
        }
}

static int on_events(sd_event_source *source, int fd, uint32_t ready, void *server_)
{
        struct worker_server *server = server_;
        struct worker_event *event;

        (void)source;
        (void)fd;
        (void)ready;
        while ((event = (struct worker_event *)worker_queue_take(&server->events))) {
                take(server, event);
                worker_event_free(event);
        }
        return 0;
}

static void tell_heartbeat(struct worker_server *server, enum worker_activity activity)
{
        struct worker_memory memory = worker_memory();

        sd_bus_emit_signal(server->bus, WORKER_PATH, WORKER_INTERFACE, "Heartbeat", "stt",
                        activities[activity], memory.resident, memory.peak);
}

static void check_limits(struct worker_server *server, const struct worker_pulse *pulse)
{
        uint64_t now = worker_now_us();
        char text[160];

        if (pulse->device_since_us > 0 && pulse->hang_us > 0 &&
                        now > pulse->device_since_us + pulse->hang_us) {
                snprintf(text, sizeof(text), "no submission has ended for %" PRIu64 " s",
                                pulse->hang_us / 1000000u);
                end_at_once(server, "hung", text, WORKER_HUNG);
        }
        if (pulse->memory_limit > 0) {
                uint64_t own = worker_memory().own;

                /* Plans are good to 5 %; what is above that is a mistake that must not cost other programs. */
                if (own > pulse->memory_limit + pulse->memory_limit / 20) {
                        snprintf(text, sizeof(text), "%" PRIu64 " bytes are in use, the limit is %" PRIu64,
                                        own, pulse->memory_limit);
                        end_at_once(server, "out-of-memory", text, WORKER_OUT_OF_MEMORY);
                }
        }
}

static int on_pulse(sd_event_source *source, uint64_t time, void *server_)
{
        struct worker_server *server = server_;
        struct worker_pulse pulse = worker_engine_pulse(server->engine);
        bool rests = server->commands_out == 0 &&
                     (pulse.activity == ACTIVITY_IDLE || pulse.activity == ACTIVITY_PAUSED);

        check_limits(server, &pulse);
        if ((pulse.beats != server->beats_told && !rests) || (int)pulse.activity != server->activity_told)
                tell_heartbeat(server, pulse.activity);
        server->beats_told = pulse.beats;
        server->activity_told = (int)pulse.activity;
        if (rests)
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return sd_event_source_set_time(source, time + PULSE_US);
}

void worker_server_command(struct worker_server *server, struct worker_command *command)
{
        int enabled;

        server->commands_out++;
        worker_engine_command(server->engine, command);
        if (sd_event_source_get_enabled(server->pulse_source, &enabled) >= 0 && enabled == SD_EVENT_OFF) {
                sd_event_source_set_time(server->pulse_source, worker_now_us() + PULSE_US);
                sd_event_source_set_enabled(server->pulse_source, SD_EVENT_ON);
        }
}

static void cancel(void *server, uint64_t serial)
{
        struct worker_command *command = worker_command_new(COMMAND_CANCEL);

        if (!command)
                return;
        command->serial = serial;
        worker_server_command(server, command);
}

static void output_ended(
                void *server, const char *name, const char *reason, const struct worker_values *stats)
{
        tell(server, "InferEnded", (const char *const[]){ name, reason, NULL }, stats);
}

/* The peer went away; nobody is there to go on for. What was not checkpointed is computed again. */
static int on_gone(sd_bus_message *message, void *server, sd_bus_error *unused)
{
        (void)message;
        (void)server;
        (void)unused;
        _exit(WORKER_ENDED);
}

static int on_terminate(sd_event_source *source, const struct signalfd_siginfo *info, void *server_)
{
        struct worker_server *server = server_;
        struct worker_command *command = worker_command_new(COMMAND_QUIT);

        (void)source;
        (void)info;
        if (!command)
                return sd_event_exit(server->event, 0);
        worker_server_command(server, command);
        return 0;
}

static int connect_bus(struct worker_server *server, int fd, struct qvf_error *error)
{
        sd_id128_t id = SD_ID128_NULL;
        struct stat status;
        int r;

        if (fstat(fd, &status) < 0 || !S_ISSOCK(status.st_mode))
                return qvf_error_set(error, -ENOTSOCK, "descriptor %d is no connection", fd);
        r = sd_id128_randomize(&id);

        r = r < 0 ? r : sd_bus_new(&server->bus);
        r = r < 0 ? r : sd_bus_set_fd(server->bus, fd, fd);
        r = r < 0 ? r : sd_bus_set_server(server->bus, 1, id);
        r = r < 0 ? r : sd_bus_set_anonymous(server->bus, 1);
        r = r < 0 ? r : sd_bus_set_trusted(server->bus, 1);
        r = r < 0 ? r : sd_bus_negotiate_fds(server->bus, 1);
        r = r < 0 ? r
                  : sd_bus_add_object_vtable(
                                    server->bus, NULL, WORKER_PATH, WORKER_INTERFACE, worker_vtable, server);
        r = r < 0 ? r : sd_bus_start(server->bus);
        r = r < 0 ? r : sd_bus_attach_event(server->bus, server->event, SD_EVENT_PRIORITY_NORMAL);
        r = r < 0 ? r
                  : sd_bus_match_signal_async(server->bus, NULL, "org.freedesktop.DBus.Local", NULL,
                                    "org.freedesktop.DBus.Local", "Disconnected", on_gone, NULL, server);
        if (r < 0)
                return qvf_error_set(error, r, "descriptor %d is no connection: %s", fd, strerror(-r));
        return 0;
}

/* Lines of the log for whoever started us; warnings are worth a signal. Comes from both threads. */
static void log_line(void *server_, enum qvf_log_level level, const char *line)
{
        static const int syslog_levels[] = { 3, 4, 6, 7 };
        struct worker_server *server = server_;
        struct worker_event *event;

        dprintf(STDERR_FILENO, "<%d>%s\n", syslog_levels[level], line);
        if (level != QVF_LOG_WARNING)
                return;
        event = worker_event_new(EVENT_WARNING, NULL, line);
        if (event)
                worker_queue_put(&server->events, &event->item);
}

static int start(struct worker_server *server, int fd, struct qvf_error *error)
{
        sigset_t signals;
        int r = sd_event_new(&server->event);

        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        r = r < 0 ? r : worker_queue_init(&server->events);
        r = r < 0 ? r
                  : sd_event_add_io(server->event, &server->events_source, server->events.fd, EPOLLIN,
                                    on_events, server);
        r = r < 0 ? r
                  : sd_event_add_time(server->event, &server->pulse_source, CLOCK_MONOTONIC, 0, 1000,
                                    on_pulse, server);
        r = r < 0 ? r : sd_event_source_set_enabled(server->pulse_source, SD_EVENT_OFF);
        r = r < 0 ? r : sd_event_add_signal(server->event, NULL, SIGTERM, on_terminate, server);
        if (r < 0)
                return qvf_error_set(error, r, "no event loop: %s", strerror(-r));
        server->outputs = (struct worker_outputs){
                .event = server->event, .cancel = cancel, .ended = output_ended, .context = server
        };
        r = connect_bus(server, fd, error);
        if (r < 0)
                return r;
        qvf_log_set(log_line, server, QVF_LOG_INFO);
        return worker_engine_new(&server->events, &server->engine);
}

int worker_serve(int fd, enum worker_status *ret_status, struct qvf_error *error)
{
        struct worker_server server = { .activity_told = ACTIVITY_IDLE };
        struct worker_event *event;
        int r;

        signal(SIGPIPE, SIG_IGN);
        r = start(&server, fd, error);
        if (r == 0)
                r = sd_event_loop(server.event);
        if (r < 0 && error->code == 0)
                qvf_error_set(error, r, "the loop ended: %s", strerror(-r));
        if (server.engine && !server.engine_ended)
                _exit(WORKER_PROTOCOL); /* the engine's thread may be anywhere */
        qvf_log_set(NULL, NULL, QVF_LOG_INFO);
        worker_engine_free(server.engine);
        while ((event = (struct worker_event *)worker_queue_take(&server.events)))
                worker_event_free(event);
        worker_queue_exit(&server.events);
        worker_outputs_exit(&server.outputs);
        sd_event_source_disable_unref(server.pulse_source);
        sd_event_source_disable_unref(server.events_source);
        sd_bus_flush_close_unref(server.bus);
        sd_event_unref(server.event);
        *ret_status = server.status;
        return r < 0 ? r : 0;
}
