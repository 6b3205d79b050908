/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens per second of prompts and of generation. */
#include <stdio.h>

#include "bench/measure.h"
#include "bench/verbs.h"

struct speed_options {
        struct bench_model_options model;
        struct bench_context_options context;
        struct bench_counts prompts, generations;
        uint32_t repetitions;
        bool json;
};

static const struct bench_option options[] = {
        { "prompt", 'p', BENCH_COUNTS, offsetof(struct speed_options, prompts), "LIST",
                        "lengths of prompts; 0: none (default: 512)", 0, 1 << 20 },
        { "generate", 'n', BENCH_COUNTS, offsetof(struct speed_options, generations), "LIST",
                        "numbers of generated tokens; 0: none (default: 128)", 0, 1 << 20 },
        { "repetitions", 'r', BENCH_COUNT, offsetof(struct speed_options, repetitions), "N",
                        "runs of each, after one to warm up (default: 5)", 1, BENCH_REPETITIONS_MAX },
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

static int run(const void *options_, struct qvf_error *error)
{
        const struct speed_options *chosen = options_;
        _cleanup_report_ struct json_object *report = chosen->json ? bench_report_new("speed") : NULL;
        _cleanup_session_ struct bench_session session = { 0 };
        struct json_object *results;
        int r;

        r = bench_session_open(&session, &chosen->model, error);
        if (r != 0)
                return r;
        r = bench_session_open_context(&session, &chosen->context,
                        largest(&chosen->generations, largest(&chosen->prompts, 1)), 1, error);
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
