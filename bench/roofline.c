/* SPDX-License-Identifier: Apache-2.0 */
/* The two limits of a machine: how fast it reads memory (generation reads every weight for each token) and
 * how fast it computes (a prompt uses each weight for many tokens). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench/measure.h"
#include "bench/peaks.h"
#include "bench/verbs.h"

struct roofline_options {
        struct bench_model_options model;
        bool json;
};

static const struct bench_option options[] = {
        { "model", 'm', BENCH_STRING, offsetof(struct roofline_options, model.model), "FILE",
                        "a model whose speed is measured too and held against the limits", 0, 0 },
        { "json", 0, BENCH_FLAG, offsetof(struct roofline_options, json), NULL, "print JSON", 0, 0 },
        { 0 },
};

enum { PROMPT_TOKENS = 512, GENERATED_TOKENS = 64, MODEL_REPETITIONS = 3 };

struct limits { /* with all threads */
        double bytes_per_second, operations_per_second;
};

static int report_bandwidth(
                struct json_object *array, uint32_t threads, struct limits *limits, struct qvf_error *error)
{
        struct json_object *item;
        double bytes;
        int r;

        r = bench_measure_bandwidth(threads, &bytes);
        if (r < 0)
                return qvf_error_set(
                                error, r, "can't measure memory on %u threads: %s", threads, strerror(-r));
        limits->bytes_per_second = bytes;
        item = bench_report_item(array);
        bench_report_count(item, "threads", threads);
        bench_report_number(item, "bytes_per_second", bytes);
        if (!array)
                printf("memory read  %3u threads  %8.1f GB/s\n", threads, bytes / 1e9);
        return 0;
}

static int report_peak(struct json_object *array, enum bench_peak peak, uint32_t threads,
                struct limits *limits, struct qvf_error *error)
{
        const struct bench_kernel *kernel = bench_kernel_for(peak);
        struct json_object *item;
        double operations;
        int r;

        if (!kernel)
                return 0;
        r = bench_measure_peak(kernel, threads, &operations);
        if (r < 0)
                return qvf_error_set(error, r, "can't measure %s on %u threads: %s", kernel->name, threads,
                                strerror(-r));
        if (peak == BENCH_PEAK_INT8)
                limits->operations_per_second = operations;
        item = bench_report_item(array);
        bench_report_string(item, "arithmetic", bench_peak_name(peak));
        bench_report_string(item, "instruction", kernel->name);
        bench_report_count(item, "threads", threads);
        bench_report_number(item, "operations_per_second", operations);
        if (!array)
                printf("%-12s %3u threads  %8.1f Gop/s  (%s)\n", bench_peak_name(peak), threads,
                                operations / 1e9, kernel->name);
        return 0;
}

static void report_share(struct json_object *report, const char *test, const struct bench_statistics *rate,
                double per_token, double limit_per_second, const char *unit)
{
        struct json_object *item = bench_report_object(report, test);
        double limit = limit_per_second / per_token;

        bench_report_statistics(item, "tokens_per_second", rate);
        bench_report_number(item, "per_token", per_token);
        bench_report_string(item, "unit", unit);
        bench_report_number(item, "limit_tokens_per_second", limit);
        bench_report_number(item, "share_of_limit", rate->median / limit);
        if (!report)
                printf("%-10s  %9.1f tokens/s of %9.1f: %5.1f %%  (%.1f M%s a token)\n", test, rate->median,
                                limit, 100 * rate->median / limit, per_token / 1e6, unit);
}

/* Generation reads every weight and the head once for each token; a prompt multiplies by each ternary weight once for
 * each token, and by the head only for its last one. Attention and the norms are left out: they are little at these
 * lengths. */
static int report_model(const struct roofline_options *chosen, const struct limits *limits,
                struct json_object *report, struct qvf_error *error)
{
        _cleanup_session_ struct bench_session session = { 0 };
        double prompt[MODEL_REPETITIONS], generation[MODEL_REPETITIONS];
        const struct qvf_model_info *info;
        struct bench_statistics s;
        int r;

        r = bench_session_open(&session, &chosen->model, error);
        if (r == 0)
                r = bench_session_open_context(&session, &(const struct bench_context_options){ .kv = 0 },
                                PROMPT_TOKENS, 1, error);
        if (r == 0)
                r = bench_measure_prompt(&session, PROMPT_TOKENS, MODEL_REPETITIONS, prompt, error);
        if (r == 0)
                r = bench_measure_generation(
                                &session, GENERATED_TOKENS, MODEL_REPETITIONS, generation, error);
        if (r != 0)
                return r;
        info = session.model->info;
        bench_session_describe(&session, report);
        s = bench_statistics(prompt, MODEL_REPETITIONS);
        report_share(report, "prompt", &s, 2 * (double)info->n_linear_parameters,
                        limits->operations_per_second, "op");
        s = bench_statistics(generation, MODEL_REPETITIONS);
        report_share(report, "generation", &s,
                        (double)info->linear_bytes +
                                        (double)(info->tied ? info->embedding_bytes : info->output_bytes),
                        limits->bytes_per_second, "B");
        return 0;
}

static int run(const void *options_, struct qvf_error *error)
{
        const struct roofline_options *chosen = options_;
        uint32_t most = chosen->model.device.threads ? chosen->model.device.threads : bench_cpu_count();
        _cleanup_report_ struct json_object *report = chosen->json ? bench_report_new("roofline") : NULL;
        struct json_object *bandwidth = bench_report_array(report, "memory_read");
        struct json_object *peaks = bench_report_array(report, "peaks");
        struct limits limits = { 0 };
        int r;

        bench_report_count(report, "memory_read_bytes", bench_bandwidth_bytes());
        for (uint32_t threads = 1;; threads = threads * 2 < most ? threads * 2 : most) {
                r = report_bandwidth(bandwidth, threads, &limits, error);
                for (int peak = 0; peak < BENCH_PEAK_COUNT && r >= 0; peak++)
                        r = report_peak(peaks, (enum bench_peak)peak, threads, &limits, error);
                if (r < 0)
                        return r;
                if (threads == most)
                        break;
        }
        if (chosen->model.model)
                r = report_model(chosen, &limits, report, error);
        if (r == 0)
                bench_report_print(report);
        return r;
}

const struct bench_verb bench_roofline = {
        .name = "roofline",
        .summary = "the limits of this machine: memory bandwidth and arithmetic peaks",
        .description = "Measures how fast this machine reads memory and how fast it computes in int8,\n"
                       "float32 and, where the CPU has it, bfloat16, with 1, 2, 4 … threads.\n"
                       "A multiplication and an addition count as two operations.",
        .groups =
                        (const struct bench_option_group[]){
                                        { options, 0 },
                                        { bench_device_option_table,
                                                        offsetof(struct roofline_options, model.device) },
                                        { 0 },
                        },
        .defaults = &(const struct roofline_options){ .json = false },
        .options_size = sizeof(struct roofline_options),
        .run = run,
};
