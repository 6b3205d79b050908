/* SPDX-License-Identifier: Apache-2.0 */
/* What a GGUF file says. Needs no backend. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench/report.h"
#include "bench/verbs.h"
#include "engine/files/dtype.h"
#include "engine/files/gguf.h"
#include "engine/files/model_info.h"

struct info_options {
        const char *model;
        bool keys, tensors, json;
};

static const struct bench_option options[] = {
        { "model", 'm', BENCH_STRING, offsetof(struct info_options, model), "FILE", "the GGUF file", 0, 0 },
        { "keys", 0, BENCH_FLAG, offsetof(struct info_options, keys), NULL, "list its keys", 0, 0 },
        { "tensors", 0, BENCH_FLAG, offsetof(struct info_options, tensors), NULL, "list its tensors", 0, 0 },
        { "json", 0, BENCH_FLAG, offsetof(struct info_options, json), NULL, "print JSON", 0, 0 },
        { 0 },
};

static void report_count(struct json_object *report, const char *key, const char *words, uint64_t value)
{
        bench_report_count(report, key, value);
        if (!report)
                printf("%-24s %" PRIu64 "\n", words, value);
}

static void report_string(struct json_object *report, const char *key, const char *words, const char *value)
{
        bench_report_string(report, key, value);
        if (!report)
                printf("%-24s %s\n", words, value);
}

static void report_model(const struct qvf_model_info *info, struct json_object *report)
{
        report_string(report, "architecture", "architecture", info->architecture_name);
        report_count(report, "parameters", "parameters", info->n_parameters);
        report_count(report, "layers", "layers", info->n_layers);
        report_count(report, "dim", "dimension", info->dim);
        report_count(report, "ffn_dim", "feed-forward dimension", info->ffn_dim);
        report_count(report, "heads", "heads", info->n_heads);
        report_count(report, "kv_heads", "key and value heads", info->n_kv_heads);
        report_count(report, "head_dim", "head dimension", info->head_dim);
        report_count(report, "vocabulary", "vocabulary", info->vocabulary_size);
        report_count(report, "context", "context", info->context_length);
        report_string(report, "activation", "activation",
                        info->activation == QVF_ACTIVATION_SILU ? "SiLU" : "squared ReLU");
        report_string(report, "head", "output head", info->tied ? "the embedding" : "its own");
        report_string(report, "weights", "weights", qvf_dtype_name(info->linear_dtype));
        report_count(report, "linear_bytes", "bytes of layers", info->linear_bytes);
        report_count(report, "embedding_bytes", "bytes of the embedding", info->embedding_bytes);
        report_count(report, "output_bytes", "bytes of the head", info->output_bytes);
}

/* Keys and strings come from the file: whatever could steer a terminal becomes '?'. */
static void print_safely(const char *bytes, size_t length, size_t most)
{
        for (size_t i = 0; i < length && i < most; i++)
                putchar((unsigned char)bytes[i] < 0x20 || bytes[i] == 0x7f ? '?' : bytes[i]);
        if (length > most)
                printf("… (%zu bytes)", length);
}

static void print_value(const struct qvf_gguf *gguf, const struct qvf_gguf_value *value)
{
        char key[QVF_GGUF_KEY_BYTES_MOST + 1];
        struct qvf_gguf_string string;
        int64_t whole;
        float number;
        bool truth;

        memcpy(key, value->key, value->key_length);
        key[value->key_length] = 0;
        if (value->type == QVF_GGUF_ARRAY)
                printf("%" PRIu64 " × %s", value->length, qvf_gguf_type_name(value->element_type));
        else if (value->type == QVF_GGUF_BOOL && qvf_gguf_get_bool(gguf, key, &truth, NULL) == 0)
                printf("%s", truth ? "true" : "false");
        else if (value->type == QVF_GGUF_STRING && qvf_gguf_get_string(gguf, key, &string, NULL) == 0)
                print_safely(string.bytes, string.length, 200);
        else if (qvf_gguf_get_i64(gguf, key, &whole, NULL) == 0)
                printf("%" PRId64, whole);
        else if (qvf_gguf_get_f32(gguf, key, &number, NULL) == 0)
                printf("%g", (double)number);
        else
                printf("%s", qvf_gguf_type_name(value->type));
}

static void print_keys(const struct qvf_gguf *gguf)
{
        for (uint32_t i = 0; i < qvf_gguf_keys(gguf); i++) {
                const struct qvf_gguf_value *value = qvf_gguf_key(gguf, i);

                print_safely(value->key, value->key_length, 100);
                printf(" = ");
                print_value(gguf, value);
                putchar('\n');
        }
}

static void report_tensors(const struct qvf_gguf *gguf, struct json_object *report)
{
        struct json_object *array = bench_report_array(report, "tensors");

        for (uint32_t i = 0; i < qvf_gguf_tensors(gguf); i++) {
                const struct qvf_gguf_tensor *tensor = qvf_gguf_tensor(gguf, i);
                struct json_object *item = bench_report_item(array);

                bench_report_string(item, "name", tensor->name);
                bench_report_string(item, "type", qvf_dtype_name(tensor->dtype));
                bench_report_count(item, "columns", tensor->ne[0]);
                bench_report_count(item, "rows", tensor->ne[1]);
                bench_report_count(item, "bytes", tensor->size_bytes);
                if (report)
                        continue;
                print_safely(tensor->name, strlen(tensor->name), QVF_GGUF_NAME_BYTES_MOST);
                printf("  %s  %" PRIu64 " × %" PRIu64 "  %" PRIu64 " bytes\n", qvf_dtype_name(tensor->dtype),
                                tensor->ne[0], tensor->ne[1], tensor->size_bytes);
        }
}

static int run(const void *options_, struct qvf_error *error)
{
        const struct info_options *chosen = options_;
        _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
        _cleanup_(qvf_model_info_freep) struct qvf_model_info *info = NULL;
        _cleanup_report_ struct json_object *report = chosen->json ? bench_report_new("info") : NULL;
        struct qvf_error no_model = { 0 };
        int r;

        if (!chosen->model)
                return qvf_error_set(error, BENCH_USAGE, "which file? give --model FILE");
        r = qvf_gguf_open(chosen->model, &gguf, error);
        if (r < 0)
                return r;
        report_string(report, "file", "file", qvf_gguf_name(gguf));
        report_count(report, "bytes", "bytes", qvf_gguf_size_bytes(gguf));
        report_count(report, "parts", "parts", qvf_gguf_parts(gguf));
        /* Adapters and models of other kinds have keys and tensors too. */
        r = qvf_model_info_new(gguf, &info, &no_model);
        if (r == 0)
                report_model(info, report);
        else
                report_string(report, "no_model", "no model of ours", no_model.text);
        if (chosen->keys && !report)
                print_keys(gguf);
        if (chosen->tensors)
                report_tensors(gguf, report);
        bench_report_print(report);
        return 0;
}

const struct bench_verb bench_info = {
        .name = "info",
        .summary = "what a model file says",
        .description = "Checks a GGUF file and prints what it holds.",
        .groups = (const struct bench_option_group[]){ { options, 0 }, { 0 } },
        .defaults = &(const struct info_options){ 0 },
        .options_size = sizeof(struct info_options),
        .run = run,
};
