/* SPDX-License-Identifier: Apache-2.0 */
/* Requests for answers, from call to last token. What they write goes to the bus thread, which has the pipes. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <math.h>
#include <string.h>

#include "common/checked.h"
#include "worker/engine_private.h"

#define REQUESTS_MOST 256u
#define TOKENS_KEPT 32u /* at the start, where a full context drops its middle */

struct worker_request {
        struct worker_request *next;
        struct worker_engine *engine;
        uint64_t serial, seed;
        struct qvf_request *request; /* the generator's */
        struct worker_adapter *adapters[QVF_CONTEXT_ADAPTERS_MOST];
        uint32_t n_adapters;
        bool jsonl;
        uint64_t arrived_us, first_us, last_us;
        uint64_t started_us; /* when its turn came; 0: it has not */
        struct qvf_request_stats stats;
};

static void count(struct worker_engine *engine, const struct qvf_request_stats *stats)
{
        pthread_mutex_lock(&engine->mutex);
        if (stats) {
                engine->counts.tokens_prompt += stats->prompt_tokens;
                engine->counts.tokens_generated += stats->generated_tokens;
        } else {
                engine->counts.requests++;
        }
        engine->counts.waiting = engine->n_requests;
        pthread_mutex_unlock(&engine->mutex);
}

static void tell_stats(const struct worker_request *self, struct worker_values *values)
{
        uint64_t started = self->started_us ? self->started_us : self->last_us;
        uint64_t first = self->first_us ? self->first_us : self->last_us;
        double writing = (double)(self->last_us - first) * 1e-6;
        uint32_t further = self->stats.generated_tokens > 1 ? self->stats.generated_tokens - 1 : 0;

        worker_values_u(values, "prompt_tokens", self->stats.prompt_tokens);
        worker_values_u(values, "reused_tokens", self->stats.reused_tokens);
        worker_values_u(values, "generated_tokens", self->stats.generated_tokens);
        worker_values_d(values, "queue_ms", (double)(started - self->arrived_us) * 1e-3);
        worker_values_d(values, "first_token_ms", (double)(first - self->arrived_us) * 1e-3);
        worker_values_d(values, "prompt_seconds", (double)(first - started) * 1e-6);
        worker_values_d(values, "generation_seconds", writing);
        worker_values_d(values, "tokens_per_second", writing > 0 ? further / writing : 0);
        worker_values_t(values, "seed", self->seed);
}

static void request_end(struct worker_request *self, const char *reason, const struct qvf_error *error)
{
        struct worker_engine *engine = self->engine;
        struct worker_event *event = worker_event_new(EVENT_INFER_ENDED, NULL, NULL);
        struct worker_request **link = &engine->requests;

        while (*link && *link != self)
                link = &(*link)->next;
        if (*link)
                *link = self->next;
        engine->n_requests--;
        for (uint32_t i = 0; i < self->n_adapters; i++)
                engine_adapter_give(engine, self->adapters[i]);
        count(engine, &self->stats);
        if (event) {
                event->serial = self->serial;
                event->word = reason;
                tell_stats(self, &event->values);
                if (error) {
                        worker_values_s(&event->values, "error", worker_error_name(error->code, false));
                        worker_values_s(&event->values, "message", error->text);
                }
        }
        engine_event(engine, event);
        free(self);
}

static void send_text(struct worker_request *self, const char *text, size_t length)
{
        struct worker_event *event = length ? worker_event_new(EVENT_TEXT, NULL, NULL) : NULL;

        if (!event)
                return;
        event->text = malloc(length);
        if (!event->text) {
                worker_event_free(event);
                return;
        }
        memcpy(event->text, text, length);
        event->length = length;
        event->serial = self->serial;
        engine_event(self->engine, event);
}

static void send_line(struct worker_request *self, const struct qvf_token_event *token)
{
        struct json_object *line = json_object_new_object(), *best = NULL;
        const char *text;

        json_object_object_add(line, "id", json_object_new_int(token->id));
        json_object_object_add(line, "text", json_object_new_string_len(token->text, (int)token->length));
        if (isfinite(token->log_probability))
                json_object_object_add(line, "log_probability",
                                json_object_new_double((double)token->log_probability));
        for (uint32_t i = 0; token->id >= 0 && i < token->n_best && token->best[i].id >= 0; i++) {
                struct json_object *item = json_object_new_object();

                best = best ? best : json_object_new_array();
                json_object_object_add(item, "id", json_object_new_int(token->best[i].id));
                json_object_object_add(item, "log_probability",
                                json_object_new_double((double)token->best[i].log_probability));
                json_object_array_add(best, item);
        }
        if (best)
                json_object_object_add(line, "best", best);
        text = json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
        send_text(self, text, strlen(text));
        send_text(self, "\n", 1);
        json_object_put(line);
}

static void on_token(void *context, struct qvf_request *request, const struct qvf_token_event *token)
{
        struct worker_request *self = context;

        qvf_request_stats(request, &self->stats);
        self->last_us = worker_now_us();
        if (self->first_us == 0)
                self->first_us = self->last_us;
        if (self->started_us == 0)
                self->started_us = self->engine->batch_us;
        if (self->jsonl)
                send_line(self, token);
        else
                send_text(self, token->text, token->length);
}

static void on_finished(void *context, struct qvf_request *request, enum qvf_finish finish,
                const struct qvf_error *error)
{
        struct worker_request *self = context;
        struct worker_engine *engine = self->engine;

        qvf_request_stats(request, &self->stats);
        self->last_us = worker_now_us();
        if (finish == QVF_FINISH_FAILED && error &&
                        (engine_device_failed(engine, error->code, error) ||
                                        (error->code == -EDOM && engine_numbers_wrong(engine, error))))
                return; /* the process ends: Failed is all that is said */
        request_end(self, qvf_finish_name(finish), finish == QVF_FINISH_FAILED ? error : NULL);
}

static int make_prompt(struct worker_engine *engine, const struct infer_options *options, int32_t **ret_ids,
                size_t *ret_count, struct qvf_error *error)
{
        _cleanup_free_ struct qvf_chat_message *messages = NULL;

        if (!options->prompt == !options->n_messages)
                return qvf_error_set(error, -EINVAL, "give a prompt or messages, one of both");
        if (options->prompt)
                return qvf_tokenizer_encode(engine->model->tokenizer, options->prompt,
                                strlen(options->prompt), QVF_ENCODE_ADD_SPECIAL, ret_ids, ret_count, error);
        messages = calloc(options->n_messages, sizeof(*messages));
        if (!messages)
                return -ENOMEM;
        for (uint32_t i = 0; i < options->n_messages; i++)
                messages[i] = (struct qvf_chat_message){ .role = options->messages[i].role,
                        .content = options->messages[i].text };
        return qvf_model_chat(engine->model, messages, options->n_messages, true, ret_ids, ret_count, error);
}

static int take_adapters(struct worker_request *self, const struct infer_options *options,
                struct qvf_adapter_choice *choices, struct qvf_error *error)
{
        for (uint32_t i = 0; i < options->n_adapters; i++) {
                struct worker_adapter *adapter =
                                engine_adapter_take(self->engine, options->adapters[i].name);

                if (!adapter)
                        return qvf_error_set(error, -ENOENT, "no adapter '%s' is loaded",
                                        options->adapters[i].name);
                self->adapters[self->n_adapters++] = adapter;
                choices[i] = (struct qvf_adapter_choice){ adapter->adapter,
                        (float)options->adapters[i].scale };
        }
        return 0;
}

static struct qvf_sampling sampling_of(const struct infer_options *options)
{
        return (struct qvf_sampling){
                .temperature = (float)options->temperature,
                .top_k = options->top_k,
                .top_p = (float)options->top_p,
                .min_p = (float)options->min_p,
                .typical_p = (float)options->typical_p,
                .repetition_penalty = (float)options->repetition_penalty,
                .presence_penalty = (float)options->presence_penalty,
                .frequency_penalty = (float)options->frequency_penalty,
                .penalty_window = options->penalty_window,
                .bias = options->bias,
                .n_bias = options->n_bias,
                .seed = options->seed,
                .n_best = options->best,
        };
}

static int add_request(
                struct worker_request *self, const struct infer_options *options, struct qvf_error *error)
{
        const struct qvf_request_callbacks callbacks = { self, on_token, on_finished };
        struct qvf_adapter_choice choices[QVF_CONTEXT_ADAPTERS_MOST];
        _cleanup_free_ int32_t *ids = NULL;
        struct qvf_request_options wanted = {
                .sampling = sampling_of(options),
                .stops = (const char *const *)options->stops,
                .n_stops = options->n_stops,
                .max_tokens = options->max_tokens,
                .adapters = choices,
                .n_adapters = options->n_adapters,
                .shift = options->shift,
                .ignore_end = options->ignore_end,
                .show_special = options->show_special,
        };
        size_t n = 0;
        int r = make_prompt(self->engine, options, &ids, &n, error);

        r = r < 0 ? r : take_adapters(self, options, choices, error);
        r = r < 0 ? r
                  : qvf_sampling_check(&wanted.sampling, self->engine->model->info->vocabulary_size, error);
        if (r < 0)
                return r;
        if (n > UINT32_MAX)
                return qvf_error_set(error, -E2BIG, "the prompt has %zu tokens", n);
        wanted.prompt = ids;
        wanted.n_prompt = (uint32_t)n;
        wanted.keep = (uint32_t)qvf_min_u64(n, TOKENS_KEPT);
        return qvf_generator_add(self->engine->generator, &wanted, &callbacks, &self->request, error);
}

int command_infer(struct worker_engine *engine, struct worker_command *command)
{
        const struct infer_options *options = command->options;
        struct worker_request *self;
        int r;

        if (!engine->generator)
                return qvf_error_set(&command->error, -EBADFD, "the model was loaded without answers");
        if (engine->n_requests >= REQUESTS_MOST)
                return qvf_error_set(
                                &command->error, -ENOBUFS, "%u requests wait already", engine->n_requests);
        self = calloc(1, sizeof(*self));
        if (!self)
                return -ENOMEM;
        self->engine = engine;
        self->serial = command->serial;
        self->seed = options->seed;
        self->jsonl = options->format == 1;
        self->arrived_us = command->arrived_us;
        r = add_request(self, options, &command->error);
        if (r < 0) {
                for (uint32_t i = 0; i < self->n_adapters; i++)
                        engine_adapter_give(engine, self->adapters[i]);
                free(self);
                return r;
        }
        self->next = engine->requests;
        engine->requests = self;
        engine->n_requests++;
        /* Before the reply: who sees that nothing is asked for any more must see that something is done. */
        atomic_store(&engine->activity, ACTIVITY_INFER);
        count(engine, NULL);
        return 0;
}

int command_cancel(struct worker_engine *engine, struct worker_command *command)
{
        for (struct worker_request *self = engine->requests; self; self = self->next)
                if (self->serial == command->serial) {
                        qvf_generator_cancel(engine->generator, self->request);
                        break;
                }
        return 0;
}

/* Those whose turn came with the batch that began then. */
static void note_turns(struct worker_engine *engine, uint64_t batch_us)
{
        for (struct worker_request *self = engine->requests; self; self = self->next) {
                struct qvf_request_stats stats;

                if (self->started_us > 0)
                        continue;
                qvf_request_stats(self->request, &stats);
                if (stats.running)
                        self->started_us = batch_us;
        }
}

bool engine_answer(struct worker_engine *engine)
{
        struct qvf_error error = { 0 };

        if (engine->n_requests == 0)
                return false;
        atomic_store(&engine->activity, ACTIVITY_INFER);
        engine_yield(engine, false);
        engine->batch_us = worker_now_us();
        /* What went wrong was told to the requests, through on_finished(). */
        qvf_generator_step(engine->generator, &error);
        note_turns(engine, engine->batch_us);
        engine_beat(engine);
        return true;
}
