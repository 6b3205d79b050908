/* SPDX-License-Identifier: Apache-2.0 */
/* Lets a model speak: text as it comes, or token ids. Ctrl-C ends the text, not the program's good manners. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "bench/sampling_options.h"
#include "bench/session.h"
#include "bench/tokens.h"
#include "bench/verbs.h"
#include "common/checked.h"
#include "engine/inference/generator.h"

struct generate_options {
        struct bench_model_options model;
        struct bench_context_options context;
        struct bench_sampling_options sampling;
        const char *prompt, *user, *system, *prompt_ids;
        struct bench_strings stops;
        uint32_t most, keep, best;
        bool ids, stats, json, special, ignore_end;
};

#define AT(field) offsetof(struct generate_options, field)

static const struct bench_option options[] = {
        { "prompt", 'p', BENCH_STRING, AT(prompt), "TEXT", "text to go on from (default: standard input)", 0,
                        0 },
        { "user", 'u', BENCH_STRING, AT(user), "TEXT", "a user's turn, put into the model's chat template",
                        0, 0 },
        { "system", 0, BENCH_STRING, AT(system), "TEXT", "a system message before --user", 0, 0 },
        { "prompt-ids", 0, BENCH_STRING, AT(prompt_ids), "LIST", "token ids to go on from", 0, 0 },
        { "most", 'n', BENCH_COUNT, AT(most), "N", "most tokens to generate (default: 256)", 1, 1 << 20 },
        { "stop", 0, BENCH_STRINGS, AT(stops), "TEXT", "end before this text; may be given several times", 0,
                        0 },
        { "keep", 0, BENCH_COUNT, AT(keep), "N",
                        "tokens at the start that stay when the context is full (default: 32)", 0, 1 << 20 },
        { "ignore-end", 0, BENCH_FLAG, AT(ignore_end), NULL, "go on after the model's end tokens", 0, 0 },
        { "special", 0, BENCH_FLAG, AT(special), NULL, "read special tokens in --prompt, and print them", 0,
                        0 },
        { "best", 0, BENCH_COUNT, AT(best), "N",
                        "with --json: the N most probable tokens at each place (default: 0)", 0,
                        QVF_SAMPLING_BEST_MAX },
        { "ids", 0, BENCH_FLAG, AT(ids), NULL, "print token ids, not text", 0, 0 },
        { "stats", 0, BENCH_FLAG, AT(stats), NULL, "print counts and speeds to standard error", 0, 0 },
        { "json", 0, BENCH_FLAG, AT(json), NULL, "print JSON at the end, not text as it comes", 0, 0 },
        { 0 },
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
        (void)signal_number;
        interrupted = 1;
}

struct generation {
        const struct generate_options *options;
        struct bench_session *session;
        struct bench_tokens prompt, generated;
        struct qvf_text text;
        struct json_object *report, *tokens; /* of --json */
        struct qvf_error failure;
        enum qvf_finish finish;
        int write_error;
        double start, first, end; /* seconds */
};

static void generation_exit(struct generation *generation)
{
        bench_tokens_exit(&generation->prompt);
        bench_tokens_exit(&generation->generated);
        qvf_text_exit(&generation->text);
}

static int read_chat(struct generation *self, struct qvf_error *error)
{
        const struct generate_options *chosen = self->options;
        struct qvf_chat_message messages[2] = { 0 };
        size_t n_messages = 0, count;
        int r;

        if (chosen->system)
                messages[n_messages++] =
                                (struct qvf_chat_message){ .role = "system", .content = chosen->system };
        messages[n_messages++] = (struct qvf_chat_message){ .role = "user", .content = chosen->user };
        r = qvf_model_chat(
                        self->session->model, messages, n_messages, true, &self->prompt.ids, &count, error);
        if (r < 0)
                return r;
        self->prompt.count = self->prompt.capacity = (uint32_t)count;
        return 0;
}

static int read_prompt(struct generation *self, struct qvf_error *error)
{
        const struct generate_options *chosen = self->options;
        const struct qvf_tokenizer *tokenizer = self->session->model->tokenizer;
        unsigned flags = QVF_ENCODE_ADD_SPECIAL | (chosen->special ? QVF_ENCODE_PARSE_SPECIAL : 0);
        _cleanup_text_ struct qvf_text text = { 0 };
        int r;

        if (chosen->user)
                return read_chat(self, error);
        if (chosen->prompt_ids)
                return bench_tokens_read(&(struct bench_token_options){ .ids = chosen->prompt_ids },
                                tokenizer, self->session->model->info->vocabulary_size, &self->prompt,
                                error);
        if (chosen->prompt)
                r = qvf_text_append_string(&text, chosen->prompt);
        else
                r = bench_read_file("-", &text, error);
        if (r < 0)
                return r;
        return bench_tokens_encode(
                        tokenizer, qvf_text_string(&text), text.length, flags, &self->prompt, error);
}

static void report_token(struct generation *self, const struct qvf_token_event *event)
{
        struct json_object *item = bench_report_item(self->tokens), *best;

        bench_report_count(item, "id", (uint64_t)event->id);
        if (event->n_best == 0)
                return;
        bench_report_number(item, "log_probability", (double)event->log_probability);
        best = bench_report_array(item, "best");
        for (uint32_t i = 0; i < event->n_best && event->best[i].id >= 0; i++) {
                struct json_object *other = bench_report_item(best);

                bench_report_count(other, "id", (uint64_t)event->best[i].id);
                bench_report_number(other, "log_probability", (double)event->best[i].log_probability);
        }
}

static void on_token(void *self_, struct qvf_request *request, const struct qvf_token_event *event)
{
        struct generation *self = self_;
        int r = 0;

        (void)request;
        if (self->first == 0)
                self->first = bench_seconds();
        if (event->id >= 0) {
                r = bench_tokens_append(&self->generated, &event->id, 1);
                report_token(self, event);
        }
        if (r >= 0)
                r = qvf_text_append(&self->text, event->text, event->length);
        if (r >= 0 && !self->options->ids && !self->options->json && event->length) {
                errno = 0;
                if (fwrite(event->text, 1, event->length, stdout) != event->length || fflush(stdout) != 0)
                        r = errno ? -errno : -EIO;
        }
        if (r < 0)
                self->write_error = r;
}

static void on_finished(void *self_, struct qvf_request *request, enum qvf_finish finish,
                const struct qvf_error *error)
{
        struct generation *self = self_;

        (void)request;
        self->finish = finish;
        if (finish == QVF_FINISH_FAILED && error)
                self->failure = *error;
}

static int generate(struct generation *self, const struct qvf_sampling *sampling, struct qvf_error *error)
{
        const struct generate_options *chosen = self->options;
        _cleanup_(qvf_generator_freep) struct qvf_generator *generator = NULL;
        const struct qvf_request_callbacks callbacks = { self, on_token, on_finished };
        const struct qvf_request_options wanted = {
                .prompt = self->prompt.ids,
                .n_prompt = self->prompt.count,
                .sampling = *sampling,
                .stops = chosen->stops.items,
                .n_stops = chosen->stops.count,
                .max_tokens = chosen->most,
                .adapters = self->session->choices,
                .n_adapters = self->session->n_adapters,
                .shift = true,
                .keep = chosen->keep,
                .ignore_end = chosen->ignore_end,
                .show_special = chosen->special,
        };
        struct qvf_request *request;
        int r;

        r = qvf_generator_new(self->session->context, &generator);
        if (r < 0)
                return r;
        self->start = bench_seconds();
        r = qvf_generator_add(generator, &wanted, &callbacks, &request, error);
        if (r < 0)
                return r;
        do {
                r = qvf_generator_step(generator, error);
                if (r > 0 && (interrupted || self->write_error < 0)) {
                        qvf_generator_cancel(generator, request);
                        break;
                }
        } while (r > 0);
        self->end = bench_seconds();
        if (r < 0)
                return r;
        if (self->write_error < 0)
                return qvf_error_set(error, self->write_error, "can't write the text: %s",
                                strerror(-self->write_error));
        if (self->finish == QVF_FINISH_FAILED)
                return qvf_error_set(error, self->failure.code < 0 ? self->failure.code : -EIO, "%s",
                                self->failure.text);
        return 0;
}

static void report_ids(const struct bench_tokens *tokens, struct json_object *report, const char *key)
{
        struct json_object *array = bench_report_array(report, key);

        for (uint32_t i = 0; i < tokens->count; i++)
                if (array)
                        json_object_array_add(array, json_object_new_int(tokens->ids[i]));
                else
                        printf("%d%c", tokens->ids[i], i + 1 < tokens->count ? ' ' : '\n');
}

static void report_all(const struct generation *self)
{
        double first_seconds = self->first > 0 ? self->first - self->start : 0;
        double rest_seconds = self->first > 0 ? self->end - self->first : 0;
        double prompt_rate = first_seconds > 0 ? self->prompt.count / first_seconds : 0;
        double rate = self->generated.count > 1 && rest_seconds > 0
                                      ? (self->generated.count - 1) / rest_seconds
                                      : 0;
        struct json_object *report = self->report;

        if (self->options->stats)
                fprintf(stderr,
                                "prompt: %u tokens, first token after %.1f ms (%.1f tokens/s); "
                                "generated: %u tokens, %.1f tokens/s; ended by: %s\n",
                                self->prompt.count, first_seconds * 1e3, prompt_rate, self->generated.count,
                                rate, qvf_finish_name(self->finish));
        if (!report) {
                if (self->options->ids)
                        report_ids(&self->generated, NULL, NULL);
                else
                        putchar('\n');
                return;
        }
        bench_report_string(report, "text", qvf_text_string(&self->text));
        report_ids(&self->prompt, report, "prompt_ids");
        report_ids(&self->generated, report, "ids");
        bench_report_string(report, "finish", qvf_finish_name(self->finish));
        bench_report_number(report, "prompt_tokens_per_second", prompt_rate);
        bench_report_number(report, "first_token_seconds", first_seconds);
        bench_report_number(report, "tokens_per_second", rate);
        bench_report_print(report);
}

static int open_context(struct generation *self, struct qvf_error *error)
{
        const struct generate_options *chosen = self->options;
        struct bench_context_options context = chosen->context;
        uint32_t prompt = self->prompt.count;

        if (prompt == 0)
                return qvf_error_set(error, -EINVAL, "the prompt has no tokens");
        if (!context.context) /* as much as may be said, as far as the model goes */
                context.context = (uint32_t)qvf_max_u64((uint64_t)prompt + 1,
                                qvf_min_u64((uint64_t)prompt + chosen->most,
                                                self->session->model->info->context_length));
        return bench_session_open_context(self->session, &context, prompt + 1, 1, error);
}

static int run(const void *options_, struct qvf_error *error)
{
        const struct generate_options *chosen = options_;
        _cleanup_report_ struct json_object *report = chosen->json ? bench_report_new("generate") : NULL;
        _cleanup_session_ struct bench_session session = { 0 };
        _cleanup_(generation_exit) struct generation self = { .options = chosen, .session = &session };
        /* A second Ctrl-C ends the program at once. */
        const struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = SA_RESETHAND };
        struct qvf_logit_bias bias[BENCH_LIST_MAX];
        struct qvf_sampling sampling;
        int r;

        if (!!chosen->prompt + !!chosen->user + !!chosen->prompt_ids > 1)
                return qvf_error_set(error, BENCH_USAGE, "give one of --prompt, --user and --prompt-ids");
        if (chosen->system && !chosen->user)
                return qvf_error_set(error, BENCH_USAGE, "--system needs --user");
        r = bench_session_open(&session, &chosen->model, error);
        if (r == 0)
                r = bench_sampling(&chosen->sampling, session.model->info->vocabulary_size, bias, &sampling,
                                error);
        if (r == 0)
                r = read_prompt(&self, error);
        if (r == 0)
                r = open_context(&self, error);
        if (r != 0)
                return r;
        bench_session_describe(&session, report);
        sampling.n_best = report ? chosen->best : 0;
        self.report = report;
        self.tokens = sampling.n_best ? bench_report_array(report, "tokens") : NULL;
        sigaction(SIGINT, &action, NULL);
        r = generate(&self, &sampling, error);
        if (r == 0)
                report_all(&self);
        return r;
}

const struct bench_verb bench_generate = {
        .name = "generate",
        .summary = "goes on from a prompt, or answers a user's turn",
        .description = "Prints text as it is made. Greedy unless --temperature says otherwise.",
        .groups =
                        (const struct bench_option_group[]){
                                        { bench_model_option_table, AT(model) },
                                        { options, 0 },
                                        { bench_sampling_option_table, AT(sampling) },
                                        { bench_context_option_table, AT(context) },
                                        { bench_device_option_table, AT(model.device) },
                                        { 0 },
                        },
        .defaults = &(const struct generate_options){ .most = 256,
                        .keep = 32,
                        .sampling.sampling = { .top_k = 40,
                                        .top_p = 0.95f,
                                        .min_p = 0.05f,
                                        .typical_p = 1,
                                        .repetition_penalty = 1,
                                        .penalty_window = 64 } },
        .options_size = sizeof(struct generate_options),
        .run = run,
};
