/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens per second of prompts and of generation. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/compare.h"
#include "bench/measure.h"
#include "bench/verbs.h"

struct speed_options {
        struct bench_model_options model;
        struct bench_context_options context;
        struct bench_counts prompts, generations;
        uint32_t repetitions;
        uint32_t head; /* place in HEAD_CHOICES */
        bool json;
};

#define HEAD_CHOICES "as-is|q8_0"
#define COMPARED_TOKENS 32u /* whose logits under both heads are compared */

static const struct bench_option options[] = {
        { "prompt", 'p', BENCH_COUNTS, offsetof(struct speed_options, prompts), "LIST",
                        "lengths of prompts; 0: none (default: 512)", 0, 1 << 20 },
        { "generate", 'n', BENCH_COUNTS, offsetof(struct speed_options, generations), "LIST",
                        "numbers of generated tokens; 0: none (default: 128)", 0, 1 << 20 },
        { "repetitions", 'r', BENCH_COUNT, offsetof(struct speed_options, repetitions), "N",
                        "runs of each, after one to warm up (default: 5)", 1, BENCH_REPETITIONS_MAX },
        { "head", 0, BENCH_CHOICE, offsetof(struct speed_options, head), HEAD_CHOICES,
                        "number format of the output head (default: as-is, the file's)", 0, 0 },
        { "json", 0, BENCH_FLAG, offsetof(struct speed_options, json), NULL, "print JSON", 0, 0 },
        { 0 },
};

static uint32_t largest(const struct bench_counts *counts, uint32_t least)
{
        for (uint32_t i = 0; i < counts->count; i++)
                if (counts->items[i] > least)
                        least = counts->items[i];
        return least;
}

static int measure(struct bench_session *session, const struct speed_options *chosen, bool generation,
                uint32_t n_tokens, struct json_object *results, struct qvf_error *error)
{
        double rates[BENCH_REPETITIONS_MAX] = { 0 };
        const char *name = generation ? "generation" : "prompt";
        struct bench_statistics s;
        struct json_object *item;
        int r;

        if (n_tokens == 0)
                return 0;
        r = (generation ? bench_measure_generation : bench_measure_prompt)(
                        session, n_tokens, chosen->repetitions, rates, error);
        if (r < 0)
                return r;
        s = bench_statistics(rates, chosen->repetitions);
        item = bench_report_item(results);
        bench_report_string(item, "test", name);
        bench_report_count(item, "tokens", n_tokens);
        bench_report_count(item, "repetitions", chosen->repetitions);
        bench_report_statistics(item, "tokens_per_second", &s);
        if (!item) {
                printf("%-10s %6u  %10.2f ± %-8.2f %10.2f\n", name, n_tokens, s.mean, s.deviation, s.median);
                fflush(stdout); /* large models take their time */
        }
        return 0;
}

struct kept { /* the logits of the file's own head */
        float *logits;
        uint32_t n_vocab;
        struct bench_comparison comparison;
};

static void kept_exit(struct kept *kept)
{
        free(kept->logits);
        bench_comparison_exit(&kept->comparison);
}

static int keep_row(void *context, uint32_t row, const float *logits, struct qvf_error *error)
{
        struct kept *kept = context;

        (void)error;
        memcpy(kept->logits + (size_t)row * kept->n_vocab, logits, kept->n_vocab * sizeof(*logits));
        return 0;
}

static int compare_row(void *context, uint32_t row, const float *logits, struct qvf_error *error)
{
        struct kept *kept = context;

        (void)error;
        return bench_compare(&kept->comparison, logits, kept->logits + (size_t)row * kept->n_vocab,
                        kept->n_vocab);
}

static int for_each_row(struct bench_session *session, uint32_t n_tokens, bench_row_function row,
                struct kept *kept, struct qvf_error *error)
{
        _cleanup_free_ int32_t *tokens = NULL;
        uint32_t sequence;
        int r = bench_arbitrary_tokens(session, n_tokens, &tokens);

        if (r == 0)
                r = bench_session_sequence(session, &sequence, error);
        if (r < 0)
                return r;
        r = bench_session_run_all(session, sequence, tokens, n_tokens, row, kept, error);
        qvf_context_close(session->context, sequence);
        return r;
}

/* Opens the context, with a head of another format where one is wanted; then `kept` has the logits of the file's. */
static int open_context(struct bench_session *session, const struct speed_options *chosen, uint32_t n_tokens,
                struct kept *kept, struct qvf_error *error)
{
        uint32_t positions = largest(&chosen->generations, largest(&chosen->prompts, n_tokens));
        int r = bench_session_open_context(session, &chosen->context, positions, 1, error);

        if (r != 0 || n_tokens == 0)
                return r;
        kept->n_vocab = session->model->info->vocabulary_size;
        kept->logits = calloc((size_t)n_tokens * kept->n_vocab, sizeof(*kept->logits));
        if (!kept->logits)
                return -ENOMEM;
        r = for_each_row(session, n_tokens, keep_row, kept, error);
        if (r < 0)
                return r;
        session->context = qvf_context_free(session->context);
        r = qvf_model_convert_head(session->model, QVF_Q8_0, error);
        return r < 0 ? r : bench_session_open_context(session, &chosen->context, positions, 1, error);
}

static int run(const void *options_, struct qvf_error *error)
{
        const struct speed_options *chosen = options_;
        _cleanup_report_ struct json_object *report = chosen->json ? bench_report_new("speed") : NULL;
        _cleanup_session_ struct bench_session session = { 0 };
        _cleanup_(kept_exit) struct kept kept = { 0 };
        uint32_t compared = chosen->head ? COMPARED_TOKENS : 0;
        struct json_object *results;
        int r;

        r = bench_session_open(&session, &chosen->model, error);
        if (r != 0)
                return r;
        r = open_context(&session, chosen, compared, &kept, error);
        if (r != 0)
                return r;
        bench_session_describe(&session, report);
        results = bench_report_array(report, "results");
        if (!report)
                printf("%s, %s (%s), %u threads, %s keys and values\n%-10s %6s  %10s %-10s %10s\n",
                                chosen->model.model, session.device.name, session.compute.backend->name,
                                session.threads,
                                bench_kv_name(qvf_context_options(session.context)->kv_dtype), "test",
                                "tokens", "tokens/s", "", "median");
        for (uint32_t i = 0; i < chosen->prompts.count && r == 0; i++)
                r = measure(&session, chosen, false, chosen->prompts.items[i], results, error);
        for (uint32_t i = 0; i < chosen->generations.count && r == 0; i++)
                r = measure(&session, chosen, true, chosen->generations.items[i], results, error);
        if (r == 0 && compared) {
                r = for_each_row(&session, compared, compare_row, &kept, error);
                if (!report)
                        printf("a head of q8_0 in place of the file's, over %u tokens:\n", compared);
                if (r == 0)
                        bench_comparison_report(&kept.comparison, report);
        }
        if (r == 0)
                bench_report_print(report);
        return r;
}

const struct bench_verb bench_speed = {
        .name = "speed",
        .summary = "tokens per second of prompts and of generation",
        .description = "Measures how many tokens per second a model takes in (a prompt from an empty "
                       "context to the\n"
                       "logits of its last token) and generates (one token at a time, from an empty "
                       "context).",
        .groups =
                        (const struct bench_option_group[]){
                                        { bench_model_option_table, offsetof(struct speed_options, model) },
                                        { options, 0 },
                                        { bench_context_option_table,
                                                        offsetof(struct speed_options, context) },
                                        { bench_device_option_table,
                                                        offsetof(struct speed_options, model.device) },
                                        { 0 },
                        },
        .defaults = &(const struct speed_options){ .prompts = { { 512 }, 1 },
                        .generations = { { 128 }, 1 },
                        .repetitions = 5 },
        .options_size = sizeof(struct speed_options),
        .run = run,
};
