/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that was planned before anything ran, beside what was taken. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench/measure.h"
#include "bench/verbs.h"
#include "common/checked.h"

struct memory_options {
        struct bench_model_options model;
        struct bench_context_options context;
        uint32_t prompt, generate;
        bool json;
};

static const struct bench_option options[] = {
        { "prompt", 'p', BENCH_COUNT, offsetof(struct memory_options, prompt), "N",
                        "length of the prompt that is run (default: 256)", 1, 1 << 20 },
        { "generate", 'n', BENCH_COUNT, offsetof(struct memory_options, generate), "N",
                        "tokens that are generated (default: 64)", 1, 1 << 20 },
        { "json", 0, BENCH_FLAG, offsetof(struct memory_options, json), NULL, "print JSON", 0, 0 },
        { 0 },
};

/* Numbers of /proc/self/status, in bytes. */
struct resident {
        uint64_t peak, now, anonymous, file;
};

static int read_resident(struct resident *ret_resident, struct qvf_error *error)
{
        struct resident resident = { 0 };
        const struct {
                const char *name;
                uint64_t *bytes;
        } fields[] = {
                { "VmHWM:", &resident.peak },
                { "VmRSS:", &resident.now },
                { "RssAnon:", &resident.anonymous },
                { "RssFile:", &resident.file },
        };
        _cleanup_fclose_ FILE *file = fopen("/proc/self/status", "re");
        char line[256];

        if (!file)
                return qvf_error_set(error, -errno, "/proc/self/status: %s", strerror(errno));
        while (fgets(line, sizeof(line), file))
                for (size_t i = 0; i < QVF_ARRAY_LENGTH(fields); i++) {
                        size_t length = strlen(fields[i].name);
                        uint64_t kib;

                        if (strncmp(line, fields[i].name, length) == 0 &&
                                        sscanf(line + length, "%" SCNu64, &kib) == 1)
                                *fields[i].bytes = kib * 1024;
                }
        *ret_resident = resident;
        return 0;
}

static void report_bytes(struct json_object *object, const char *key, const char *words, uint64_t bytes)
{
        bench_report_count(object, key, bytes);
        if (!object)
                printf("%-40s %10.1f MiB\n", words, (double)bytes / (1 << 20));
}

static void report_all(const struct qvf_context_memory *planned, const struct resident *before,
                const struct resident *after, uint64_t file_bytes, struct json_object *report)
{
        struct json_object *plan = bench_report_object(report, "planned");
        struct json_object *measured = bench_report_object(report, "measured");
        uint64_t sum = planned->model_mapped + planned->model_device + planned->kv + planned->arena +
                       planned->inputs_outputs + planned->scratch;
        double ratio = (double)after->peak / (double)(sum + before->now);

        report_bytes(plan, "model_mapped", "planned: weights used as the file has them",
                        planned->model_mapped);
        report_bytes(plan, "model_device", "planned: weights made for the device", planned->model_device);
        report_bytes(plan, "kv", "planned: keys and values", planned->kv);
        report_bytes(plan, "arena", "planned: intermediate results", planned->arena);
        report_bytes(plan, "inputs_outputs", "planned: inputs and results", planned->inputs_outputs);
        report_bytes(plan, "scratch", "planned: the backend's own", planned->scratch);
        report_bytes(plan, "sum", "planned: sum", sum);
        report_bytes(measured, "before", "measured: before the model was opened", before->now);
        report_bytes(measured, "peak", "measured: peak", after->peak);
        report_bytes(measured, "anonymous", "measured: at the end, own memory", after->anonymous);
        report_bytes(measured, "file", "measured: at the end, pages of files", after->file);
        report_bytes(report, "model_file", "the model's file", file_bytes);
        bench_report_number(report, "peak_to_planned", ratio);
        if (!report)
                printf("peak / (planned + before)                %10.3f\n", ratio);
}

static int run(const void *options_, struct qvf_error *error)
{
        const struct memory_options *chosen = options_;
        _cleanup_report_ struct json_object *report = chosen->json ? bench_report_new("memory") : NULL;
        _cleanup_session_ struct bench_session session = { 0 };
        struct qvf_context_memory planned;
        struct resident before, after;
        double rate;
        int r;

        r = read_resident(&before, error);
        if (r == 0)
                r = bench_session_open(&session, &chosen->model, error);
        if (r == 0)
                r = bench_session_open_context(&session, &chosen->context,
                                chosen->prompt > chosen->generate ? chosen->prompt : chosen->generate, 1,
                                error);
        if (r == 0)
                r = qvf_context_memory(session.context, &planned, error);
        if (r == 0)
                r = bench_measure_prompt(&session, chosen->prompt, 1, &rate, error);
        if (r == 0)
                r = bench_measure_generation(&session, chosen->generate, 1, &rate, error);
        if (r == 0)
                r = read_resident(&after, error);
        if (r != 0)
                return r;
        bench_session_describe(&session, report);
        report_all(&planned, &before, &after, qvf_gguf_size_bytes(session.model->gguf), report);
        bench_report_print(report);
        return 0;
}

const struct bench_verb bench_memory = {
        .name = "memory",
        .summary = "planned memory against the measured peak",
        .description = "Plans, runs a prompt and generates, and compares the plan with what the kernel "
                       "counted.\n"
                       "Only memory of this process is measured, not that of a GPU.",
        .groups =
                        (const struct bench_option_group[]){
                                        { bench_model_option_table, offsetof(struct memory_options, model) },
                                        { options, 0 },
                                        { bench_context_option_table,
                                                        offsetof(struct memory_options, context) },
                                        { bench_device_option_table,
                                                        offsetof(struct memory_options, model.device) },
                                        { 0 },
                        },
        .defaults = &(const struct memory_options){ .prompt = 256, .generate = 64 },
        .options_size = sizeof(struct memory_options),
        .run = run,
};
