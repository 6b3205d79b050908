/* SPDX-License-Identifier: Apache-2.0 */
/* The training job: how it begins, goes on, rests and ends. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "common/checked.h"
#include "engine/adapters/gguf_adapter.h"
#include "engine/data/chat_tokens.h"
#include "worker/job.h"

#define PROGRESS_US 250000u

struct worker_job *worker_job_free(struct worker_job *job)
{
        if (!job)
                return NULL;
        qvf_train_job_free(job->run);
        qvf_lora_free(job->lora);
        qvf_text_exit(&job->choice.reason);
        worker_data_exit(&job->data);
        worker_command_free(job->stop);
        qvf_closep(&job->folder);
        free(job->name);
        free(job);
        return NULL;
}

bool job_paused(const struct worker_job *job)
{
        return job->paused;
}

bool job_stopping(const struct worker_job *job)
{
        return job->stopping;
}

/* After work of w it rests w · (1/d - 1), so that it works d of the time. */
unsigned job_rest_ms(struct worker_job *job)
{
        uint64_t now = worker_now_us();

        if (job->duty_cycle >= 1 || job->resumed_us == 0)
                return 0;
        if (job->rest_until_us == 0)
                job->rest_until_us = now +
                                     (uint64_t)((double)(now - job->resumed_us) * (1 / job->duty_cycle - 1));
        return now >= job->rest_until_us ? 0 : (unsigned)((job->rest_until_us - now) / 1000 + 1);
}

void job_rested(struct worker_job *job)
{
        job->resumed_us = worker_now_us();
        job->rest_until_us = 0;
}

static void set_training(struct worker_engine *engine)
{
        const struct worker_job *job = engine->job;

        pthread_mutex_lock(&engine->mutex);
        engine->counts.training = !job ? "" : job->paused ? "paused" : "running";
        pthread_mutex_unlock(&engine->mutex);
}

static int start_numbers(
                struct worker_job *job, const struct train_options *options, struct qvf_error *error)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;
        int r;

        if (options->init < 0)
                return qvf_lora_init(job->lora, error);
        r = qvf_adapter_file_open_gguf_fd(options->init, "init", &file, error);
        return r < 0 ? r : qvf_lora_load_file(job->lora, file, error);
}

static int check_folder(int fd, struct qvf_error *error)
{
        struct stat status;

        if (fstat(fd, &status) < 0 || !S_ISDIR(status.st_mode))
                return qvf_error_set(error, -EINVAL, "the job's folder is no folder");
        return 0;
}

static int make_job(struct worker_engine *engine, struct worker_command *command, struct worker_job *job)
{
        const struct train_options *options = command->options;
        struct qvf_error *error = &command->error;
        int r;

        command->file_error = true;
        r = worker_data_open(engine, command->files[0], &options->data, options->seed, &job->data, error);
        if (r < 0)
                return r;
        command->file_error = false;
        r = worker_job_plan(engine, options, &job->data, &job->lora_options, &job->choice, error);
        if (r < 0)
                return r;
        worker_job_options(options, job);
        r = qvf_lora_new(engine->model, &job->lora_options, &job->lora, error);
        r = r < 0 ? r : start_numbers(job, options, error);
        return r < 0 ? r
                     : qvf_train_job_new(job->lora, &job->choice.plan, &job->options, job->data.windows,
                                       job->data.held_out, job->folder, &job->run, error);
}

static void tell_start(const struct worker_job *job, struct worker_values *values)
{
        const struct qvf_train_metrics *metrics = qvf_train_job_metrics(job->run);

        worker_values_t(values, "total_steps", metrics->total_steps);
        worker_values_t(values, "resumed_from", qvf_train_job_resumed_from(job->run));
        worker_values_t(values, "memory", job->choice.peak_bytes);
        worker_values_s(values, "plan", qvf_text_string(&job->choice.reason));
        worker_data_tell(&job->data, values);
        worker_values_u(values, "context", job->data.windows->context);
        worker_values_u(values, "micro_sequences", job->choice.micro_sequences);
}

int command_train(struct worker_engine *engine, struct worker_command *command)
{
        const struct train_options *options = command->options;
        _cleanup_(worker_job_freep) struct worker_job *job = NULL;
        int r;

        command->file_error = false;
        if (engine->job)
                return qvf_error_set(
                                &command->error, -EBUSY, "job %s is under way already", engine->job->name);
        r = check_folder(command->files[1], &command->error);
        if (r < 0)
                return r;
        job = calloc(1, sizeof(*job));
        if (!job)
                return -ENOMEM;
        job->folder = command->files[1];
        command->files[1] = -1;
        job->name = QVF_TAKE(command->name);
        job->paused = options->paused;
        job->duty_cycle = options->duty_cycle;
        atomic_store(&engine->activity, ACTIVITY_LOAD);
        r = make_job(engine, command, job);
        if (r < 0) {
                engine_device_failed(engine, r, &command->error);
                return r;
        }
        job->checkpoint_step = qvf_train_job_resumed_from(job->run);
        tell_start(job, &command->values);
        job->memory_before = atomic_load(&engine->memory_limit);
        if (options->memory > 0)
                atomic_store(&engine->memory_limit, options->memory);
        engine->job = QVF_TAKE(job);
        set_training(engine);
        return 0;
}

static uint64_t steps_of(const struct train_options *options, const struct worker_data *data)
{
        const struct qvf_packing_options packing = {
                .rows = data->windows->context,
                .one_each = !options->data.pack,
                .file_order = !options->data.shuffle,
        };
        struct qvf_packing *first;
        uint64_t steps;

        if (options->steps > 0)
                return options->steps;
        if (qvf_packing_new(data->windows, &packing, 0, &first, NULL) < 0)
                return 0;
        steps = (first->n_sequences + (uint64_t)options->batch - 1) / options->batch * options->epochs;
        qvf_packing_free(first);
        return steps;
}

/* The first document as the model sees it. */
static void tell_sample(const struct worker_engine *engine, const struct worker_data *data,
                struct worker_values *values)
{
        _cleanup_text_ struct qvf_text text = { .limit = 4096 };
        uint64_t count;
        const uint32_t *tokens = qvf_dataset_document(data->data, 0, &count);
        size_t length;

        for (uint64_t i = 0; i < count; i++) {
                struct qvf_token_string piece =
                                qvf_tokenizer_piece(engine->model->tokenizer, QVF_DATA_ID(tokens[i]));

                if (memchr(piece.bytes, 0, piece.length) ||
                                qvf_text_append(&text, piece.bytes, piece.length) < 0)
                        break;
        }
        length = qvf_utf8_valid_prefix(qvf_text_string(&text), text.length);
        if (text.bytes)
                text.bytes[length] = 0;
        worker_values_s(values, "sample", qvf_text_string(&text));
}

static void tell_warnings(const struct worker_data *data, struct worker_values *values)
{
        const struct qvf_window_counts *windows = &data->windows->counts;
        const struct {
                uint64_t count;
                const char *words;
        } all[] = {
                { data->data->counts.bad_lines, "lines are bad and are passed over" },
                { data->data->counts.empty_documents, "documents are empty" },
                { windows->documents_split, "documents are longer than the context and are split" },
                { windows->documents_truncated, "documents are cut to the context" },
                { windows->documents_without_counting, "documents have no token that the loss looks at" },
        };
        _cleanup_text_ struct qvf_text lines = { 0 };

        for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
                if (all[i].count > 0)
                        qvf_text_appendf(&lines, "%" PRIu64 " %s\n", all[i].count, all[i].words);
        worker_values_as(values, "warnings", qvf_text_string(&lines));
}

int command_check_data(struct worker_engine *engine, struct worker_command *command)
{
        const struct train_options *options = command->options;
        struct worker_data data = { NULL };
        struct qvf_lora_options lora;
        struct qvf_train_choice choice = { 0 };
        struct qvf_error first_bad;
        uint64_t longest = 0;
        int r;

        atomic_store(&engine->activity, ACTIVITY_FILE);
        r = worker_data_open(engine, command->files[0], &options->data, 0, &data, &command->error);
        command->file_error = r < 0;
        if (r == 0)
                r = worker_job_plan(engine, options, &data, &lora, &choice, &command->error);
        if (r == 0) {
                for (uint64_t i = 0; i < data.data->n_documents; i++)
                        longest = qvf_max_u64(longest, data.data->starts[i + 1] - data.data->starts[i]);
                worker_data_tell(&data, &command->values);
                worker_values_t(&command->values, "sequences", data.windows->count);
                worker_data_first_bad(engine, command->files[0], &options->data, &data, &first_bad);
                worker_values_s(&command->values, "first_bad", first_bad.text);
                worker_values_t(&command->values, "longest", longest);
                worker_values_t(&command->values, "steps", steps_of(options, &data));
                worker_values_t(&command->values, "memory", choice.peak_bytes);
                tell_sample(engine, &data, &command->values);
                tell_warnings(&data, &command->values);
        }
        qvf_text_exit(&choice.reason);
        worker_data_exit(&data);
        return r;
}

static int need_job(const struct worker_engine *engine, struct worker_command *command)
{
        if (engine->job && !engine->job->stopping)
                return 0;
        return qvf_error_set(&command->error, -EBADFD, "no job is under way");
}

int command_pause(struct worker_engine *engine, struct worker_command *command)
{
        int r = need_job(engine, command);

        if (r == 0)
                engine->job->paused = true;
        set_training(engine);
        return r;
}

int command_resume(struct worker_engine *engine, struct worker_command *command)
{
        int r = need_job(engine, command);

        if (r == 0) {
                engine->job->paused = false;
                atomic_store(&engine->activity, ACTIVITY_TRAIN);
        }
        set_training(engine);
        return r;
}

int command_set_training(struct worker_engine *engine, struct worker_command *command)
{
        const struct training_options *options = command->options;
        int r = need_job(engine, command);

        if (r == 0)
                engine->job->duty_cycle = options->duty_cycle;
        return r;
}

int command_stop(struct worker_engine *engine, struct worker_command *command)
{
        int r = need_job(engine, command);

        if (r < 0)
                return r;
        engine->job->stopping = true;
        engine->job->keep = command->flag;
        engine->job->stop = command;
        return 1; /* replied to when the job has ended */
}

static void tell_progress(const struct worker_job *job, struct worker_values *values)
{
        const struct qvf_train_metrics *metrics = qvf_train_job_metrics(job->run);

        worker_values_t(values, "step", metrics->step);
        worker_values_t(values, "total_steps", metrics->total_steps);
        worker_values_d(values, "epoch", metrics->epoch);
        worker_values_d(values, "loss", metrics->loss);
        worker_values_d(values, "accuracy", metrics->accuracy);
        worker_values_d(values, "learning_rate", metrics->learning_rate);
        worker_values_d(values, "gradient_norm", metrics->gradient_norm);
        worker_values_t(values, "tokens", metrics->total_tokens);
        worker_values_d(values, "tokens_per_second", job->tokens_per_second);
        worker_values_d(values, "evaluation_loss", metrics->evaluation_loss);
        worker_values_d(values, "evaluation_accuracy", metrics->evaluation_accuracy);
        worker_values_d(values, "best_evaluation_loss",
                        metrics->best_step > 0 ? metrics->best_evaluation_loss : (double)NAN);
        worker_values_t(values, "best_step", metrics->best_step);
        worker_values_t(values, "skipped_steps", metrics->n_skipped);
        worker_values_t(values, "checkpoint_step", job->checkpoint_step);
        worker_values_d(values, "seconds", job->seconds);
}

static void send_progress(struct worker_engine *engine)
{
        struct worker_event *event = worker_event_new(EVENT_PROGRESS, engine->job->name, NULL);

        if (event)
                tell_progress(engine->job, &event->values);
        engine_event(engine, event);
        engine->job->told_us = worker_now_us();
}

static void end_job(struct worker_engine *engine, const char *verdict, const struct qvf_error *error)
{
        struct worker_job *job = engine->job;
        struct worker_event *event =
                        worker_event_new(EVENT_TRAIN_ENDED, job->name, error ? error->text : "");
        struct worker_command *stop = QVF_TAKE(job->stop);

        if (event) {
                event->word = verdict;
                tell_progress(job, &event->values);
                worker_values_bool(&event->values, "stopped_early",
                                qvf_train_job_metrics(job->run)->stopped_early);
                if (error)
                        worker_values_s(&event->values, "error", worker_error_name(error->code, false));
        }
        atomic_store(&engine->memory_limit, job->memory_before);
        engine->job = worker_job_free(job);
        set_training(engine);
        if (stop)
                engine_reply(engine, stop);
        engine_event(engine, event);
}

static void fail_job(struct worker_engine *engine, int r, struct qvf_error *error)
{
        if (error->code == 0)
                qvf_error_set(error, r, "%s", strerror(-r));
        if (engine_device_failed(engine, r, error))
                return;
        if (r == -ENOMEM) {
                engine_fail(engine, WORKER_OUT_OF_MEMORY, error->text);
                return;
        }
        if (r == -ERANGE && engine_numbers_wrong(engine, error))
                return;
        end_job(engine, "failed", error);
}

/* As asked: with a checkpoint of the last whole step. */
static void stop_job(struct worker_engine *engine)
{
        struct worker_job *job = engine->job;
        struct qvf_error error = { 0 };
        int r = job->keep ? qvf_train_job_checkpoint(job->run, &error) : 0;

        if (r == 0 && job->keep)
                job->checkpoint_step = qvf_train_job_metrics(job->run)->step;
        if (r < 0 && job->stop) {
                job->stop->result = r;
                job->stop->error = error;
        }
        end_job(engine, r < 0 ? "failed" : "stopped", r < 0 ? &error : NULL);
}

static void note_step(struct worker_engine *engine, enum qvf_train_event event)
{
        struct worker_job *job = engine->job;
        const struct qvf_train_metrics *metrics = qvf_train_job_metrics(job->run);

        if (event == QVF_TRAIN_STEPPED) {
                job->seconds += metrics->seconds;
                if (metrics->seconds > 0)
                        job->tokens_per_second = (double)metrics->rows / metrics->seconds;
                if (metrics->step % job->options.checkpoint_every == 0)
                        job->checkpoint_step = metrics->step;
                pthread_mutex_lock(&engine->mutex);
                engine->counts.tokens_trained += metrics->tokens;
                pthread_mutex_unlock(&engine->mutex);
        }
        if (event == QVF_TRAIN_EVALUATED || job->checkpoint_step == metrics->step ||
                        worker_now_us() - job->told_us >= PROGRESS_US)
                send_progress(engine);
}

void job_go_on(struct worker_engine *engine)
{
        struct worker_job *job = engine->job;
        enum qvf_train_event event;
        struct qvf_error error = { 0 };
        bool ran = !job->stopping;
        int r = 0;

        if (ran) {
                engine_lend(engine, true);
                r = qvf_train_job_run(job->run, &event, &error);
                engine_lend(engine, false);
        }
        if (engine->failed)
                return;
        if (r < 0 && r != -ECANCELED) {
                fail_job(engine, r, &error);
                return;
        }
        if (r == 0 && ran && event != QVF_TRAIN_FINISHED)
                note_step(engine, event);
        if (r == 0 && ran && event == QVF_TRAIN_FINISHED)
                end_job(engine, "finished", NULL);
        else if (job->stopping)
                stop_job(engine);
}

void job_end_now(struct worker_engine *engine)
{
        if (!engine->job)
                return;
        engine->job->keep = true;
        stop_job(engine);
}
