/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "engine/conformance/conformance.h"
#include "worker/engine_private.h"

#define BOUNDARY_MS 1000 /* a run that takes longer shows that it lives */

typedef int (*command_function)(struct worker_engine *engine, struct worker_command *command);

enum { REPLIES_LATER = 1 }; /* of a command_function: the command is no longer the loop's */

static int command_quit(struct worker_engine *engine, struct worker_command *command)
{
        (void)command;
        engine->quit = true;
        return 0;
}

static const struct {
        command_function run;
        bool needs_model, is_file;
} functions[COMMANDS] = {
        [COMMAND_DESCRIBE] = { command_describe, false, true },
        [COMMAND_LOAD] = { command_load, false, false },
        [COMMAND_ADD_ADAPTER] = { command_add_adapter, true, true },
        [COMMAND_DROP_ADAPTER] = { command_drop_adapter, true, false },
        [COMMAND_TRAIN] = { command_train, true, true },
        [COMMAND_CHECK_DATA] = { command_check_data, true, true },
        [COMMAND_PAUSE] = { command_pause, true, false },
        [COMMAND_RESUME] = { command_resume, true, false },
        [COMMAND_SET_TRAINING] = { command_set_training, true, false },
        [COMMAND_STOP] = { command_stop, true, false },
        [COMMAND_INFER] = { command_infer, true, false },
        [COMMAND_CANCEL] = { command_cancel, false, false },
        [COMMAND_IMPORT] = { command_import, true, true },
        [COMMAND_EXPORT] = { command_export, true, true },
        [COMMAND_MERGE] = { command_merge, true, true },
        [COMMAND_MERGE_INTO_MODEL] = { command_merge_into_model, true, true },
        [COMMAND_QUIT] = { command_quit, false, false },
};

void engine_beat(struct worker_engine *engine)
{
        atomic_fetch_add(&engine->beats, 1);
}

void engine_event(struct worker_engine *engine, struct worker_event *event)
{
        if (event)
                worker_queue_put(engine->events, &event->item);
}

void engine_reply(struct worker_engine *engine, struct worker_command *command)
{
        struct worker_event *event = worker_event_new(EVENT_REPLY, NULL, NULL);

        if (!event) {
                worker_command_free(command);
                return;
        }
        event->command = command;
        engine_event(engine, event);
}

void engine_fail(struct worker_engine *engine, enum worker_status status, const char *message)
{
        static const char *const words[] = {
                [WORKER_DEVICE_LOST] = "device-lost",
                [WORKER_HUNG] = "hung",
                [WORKER_OUT_OF_MEMORY] = "out-of-memory",
                [WORKER_WRONG_NUMBERS] = "wrong-numbers",
        };
        struct worker_event *event = worker_event_new(EVENT_FAILED, NULL, message);

        engine->quit = engine->failed = true;
        if (!event)
                _exit(status);
        event->word = words[status];
        event->status = status;
        engine_event(engine, event);
}

bool engine_device_failed(struct worker_engine *engine, int result, const struct qvf_error *error)
{
        if (result != -ENODEV && result != -ETIME)
                return false;
        engine_fail(engine, result == -ETIME ? WORKER_HUNG : WORKER_DEVICE_LOST, error->text);
        return true;
}

static void alive(void *context)
{
        struct worker_engine *engine = context;

        atomic_store(&engine->device_since_us, worker_now_us());
        engine_beat(engine);
}

static void ended(void *context)
{
        struct worker_engine *engine = context;

        atomic_store(&engine->device_since_us, 0);
        engine_beat(engine);
}

/* Threads that yield to others might come to the boundary late, just when somebody waits for it. */
static void woken(void *context)
{
        engine_yield(context, false);
}

static void self_test_case(void *context, const struct qvf_conformance_case *result)
{
        (void)result;
        alive(context);
}

int engine_self_test(struct worker_engine *engine, uint64_t *ret_digest, struct qvf_error *error)
{
        const struct qvf_conformance_options options = { .seed = 1, .quick = true };
        struct qvf_conformance_summary summary;
        int r;

        alive(engine);
        r = qvf_conformance_run(engine->compute.backend, engine->compute.device, &options, self_test_case,
                        engine, &summary, error);
        ended(engine);
        if (r == 0 && summary.failures > 0)
                r = qvf_error_set(error, -EBADMSG, "%u of %u cases of the self-test failed on %s",
                                summary.failures, summary.cases, engine->device.name);
        if (r == 0)
                *ret_digest = summary.digest;
        return r;
}

bool engine_numbers_wrong(struct worker_engine *engine, const struct qvf_error *error)
{
        struct qvf_error found = { 0 };
        uint64_t digest;
        if (engine_self_test(engine, &digest, &found) == 0)
                return false;
        qvf_log(QVF_LOG_ERROR, "%s", error->text);
        engine_fail(engine, WORKER_WRONG_NUMBERS, found.text);
        return true;
}

static void note_pause(struct worker_engine *engine, const struct worker_command *command)
{
        uint64_t took = worker_now_us() - command->arrived_us;

        if (engine->standing || (command->kind != COMMAND_INFER && command->kind != COMMAND_PAUSE))
                return;
        engine->standing = true;
        pthread_mutex_lock(&engine->mutex);
        engine->counts.pause_us[engine->counts.pauses++ % WORKER_PAUSES_KEPT] = (uint32_t)took;
        pthread_mutex_unlock(&engine->mutex);
}

static void run_command(struct worker_engine *engine, struct worker_command *command)
{
        command->file_error = functions[command->kind].is_file;
        engine_beat(engine);
        if (functions[command->kind].needs_model && !engine->model) {
                command->result = qvf_error_set(&command->error, -EBADFD, "no model is loaded");
        } else {
                int r = functions[command->kind].run(engine, command);

                if (r == REPLIES_LATER)
                        return;
                command->result = r;
        }
        engine_beat(engine);
        engine_reply(engine, command);
}

/* Everything but training. False: there was nothing to do. */
static bool work(struct worker_engine *engine)
{
        struct worker_command *command = (struct worker_command *)worker_queue_take(&engine->commands);

        if (command) {
                note_pause(engine, command);
                run_command(engine, command);
                return true;
        }
        return engine_answer(engine);
}

static void set_activity(struct worker_engine *engine, enum worker_activity activity)
{
        atomic_store(&engine->activity, activity);
        engine_beat(engine);
}

int engine_stand(struct worker_engine *engine, bool may_end)
{
        struct worker_job *job = engine->job;
        int r = 0;

        engine->standing = false;
        atomic_store(&engine->device_since_us, 0);
        for (;;) {
                unsigned rest;

                while (!engine->quit && work(engine))
                        ;
                if (engine->quit || job_stopping(job)) {
                        r = may_end ? -ECANCELED : 0;
                        break;
                }
                if (job_paused(job)) {
                        set_activity(engine, ACTIVITY_PAUSED);
                        engine->standing = true;
                        worker_queue_wait(&engine->commands, -1);
                        continue;
                }
                rest = job_rest_ms(job);
                if (rest == 0)
                        break;
                set_activity(engine, ACTIVITY_TRAIN);
                engine->standing = true;
                worker_queue_wait(&engine->commands, (int)rest);
        }
        job_rested(job);
        if (r == 0 && !engine->quit) {
                set_activity(engine, ACTIVITY_TRAIN);
                engine_yield(engine, true);
        }
        engine->standing = false;
        return r;
}

static int at_boundary(void *context)
{
        struct worker_engine *engine = context;
        bool keep = engine->watch.keep;
        int r;

        engine->watch.lends = engine->watch.keep = false;
        r = engine_stand(engine, !keep);
        engine->watch.lends = true;
        engine->watch.keep = keep;
        return r;
}

void engine_lend(struct worker_engine *engine, bool on)
{
        engine->watch.lends = on;
}

static void *run_thread(void *context)
{
        struct worker_engine *engine = context;

        engine->thread_id = gettid();
        while (!engine->quit) {
                if (engine->job) {
                        if (engine_stand(engine, true) == 0 || job_stopping(engine->job))
                                job_go_on(engine);
                        continue;
                }
                engine->standing = true;
                if (work(engine))
                        continue;
                set_activity(engine, ACTIVITY_IDLE);
                worker_queue_wait(&engine->commands, -1);
        }
        /* A lost device may hang again whatever is asked of it. */
        if (engine->failed)
                return NULL;
        job_end_now(engine);
        engine_unload(engine);
        engine_event(engine, worker_event_new(EVENT_QUIT, NULL, NULL));
        return NULL;
}

int worker_engine_new(struct worker_queue *events, struct worker_engine **ret_engine)
{
        struct worker_engine *engine = calloc(1, sizeof(*engine));
        int r;

        if (!engine)
                return -ENOMEM;
        r = worker_queue_init(&engine->commands);
        if (r < 0) {
                free(engine);
                return r;
        }
        pthread_mutex_init(&engine->mutex, NULL);
        engine->events = events;
        engine->counts.training = "";
        engine->watch = (struct qvf_compute_watch){
                .context = engine,
                .alive = alive,
                .ended = ended,
                .woken = woken,
                .boundary = at_boundary,
                .wake_fd = engine->commands.fd,
                .boundary_ms = BOUNDARY_MS,
        };
        r = -pthread_create(&engine->thread, NULL, run_thread, engine);
        if (r < 0) {
                worker_queue_exit(&engine->commands);
                free(engine);
                return r;
        }
        *ret_engine = engine;
        return 0;
}

struct worker_engine *worker_engine_free(struct worker_engine *engine)
{
        struct worker_item *item;

        if (!engine)
                return NULL;
        pthread_join(engine->thread, NULL);
        while ((item = worker_queue_take(&engine->commands)))
                worker_command_free((struct worker_command *)item);
        worker_queue_exit(&engine->commands);
        pthread_mutex_destroy(&engine->mutex);
        free(engine);
        return NULL;
}

void worker_engine_command(struct worker_engine *engine, struct worker_command *command)
{
        worker_queue_put(&engine->commands, &command->item);
}

struct worker_pulse worker_engine_pulse(struct worker_engine *engine)
{
        return (struct worker_pulse){
                .activity = atomic_load(&engine->activity),
                .beats = atomic_load(&engine->beats),
                .device_since_us = atomic_load(&engine->device_since_us),
                .hang_us = atomic_load(&engine->hang_us),
                .memory_limit = atomic_load(&engine->memory_limit),
        };
}

static int compare_u32(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return x < y ? -1 : x > y;
}

void worker_engine_statistics(struct worker_engine *engine, struct worker_values *values)
{
        struct worker_counts counts;
        uint32_t kept;

        pthread_mutex_lock(&engine->mutex);
        counts = engine->counts;
        pthread_mutex_unlock(&engine->mutex);
        kept = counts.pauses < WORKER_PAUSES_KEPT ? (uint32_t)counts.pauses : WORKER_PAUSES_KEPT;
        qsort(counts.pause_us, kept, sizeof(*counts.pause_us), compare_u32);
        worker_values_t(values, "tokens_prompt", counts.tokens_prompt);
        worker_values_t(values, "tokens_generated", counts.tokens_generated);
        worker_values_t(values, "tokens_trained", counts.tokens_trained);
        worker_values_t(values, "requests", counts.requests);
        worker_values_u(values, "waiting", counts.waiting);
        worker_values_s(values, "training", counts.training);
        worker_values_t(values, "pauses", counts.pauses);
        worker_values_d(values, "pause_ms_p50", kept ? counts.pause_us[kept / 2] / 1e3 : 0);
        worker_values_d(values, "pause_ms_p99", kept ? counts.pause_us[(kept - 1) * 99 / 100] / 1e3 : 0);
        worker_values_d(values, "pause_ms_most", kept ? counts.pause_us[kept - 1] / 1e3 : 0);
}
