/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/training.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/sha256.h"
#include "engine/files/gguf.h"

#define CONTEXT 256u /* unless asked otherwise: most training documents of assistants are shorter */

const struct bench_option bench_data_option_table[] = {
        { "file", 'f', BENCH_STRING, offsetof(struct bench_data_options, file), "FILE",
                        "data: text, or JSONL with text, messages, or prompt and completion", 0, 0 },
        { "kind", 0, BENCH_STRING, offsetof(struct bench_data_options, kind), "KIND",
                        "auto, text, jsonl-text, jsonl-messages or jsonl-completion (default: auto)", 0, 0 },
        { "separator", 0, BENCH_STRING, offsetof(struct bench_data_options, separator), "LINE",
                        "plain text: lines that are just this part documents; empty: blank lines do", 0, 0 },
        { "context", 'c', BENCH_COUNT, offsetof(struct bench_data_options, context), "N",
                        "tokens of a packed sequence (default: 256)", 2, QVF_DATA_CONTEXT_LIMIT },
        { "overlap", 0, BENCH_COUNT, offsetof(struct bench_data_options, overlap), "N",
                        "tokens that pieces of a longer document repeat (default: 0)", 0,
                        QVF_DATA_CONTEXT_LIMIT },
        { "truncate", 0, BENCH_FLAG, offsetof(struct bench_data_options, truncate), NULL,
                        "cut longer documents instead of splitting them", 0, 0 },
        { "all-tokens", 0, BENCH_FLAG, offsetof(struct bench_data_options, all_tokens), NULL,
                        "loss on all tokens, not on answers only", 0, 0 },
        { "bos-eos", 0, BENCH_FLAG, offsetof(struct bench_data_options, bos_eos), NULL,
                        "begin and end tokens around each document, whatever the model asks for", 0, 0 },
        { "skip-bad-lines", 0, BENCH_FLAG, offsetof(struct bench_data_options, skip_bad_lines), NULL,
                        "count bad lines instead of stopping at the first", 0, 0 },
        { "data-cache", 0, BENCH_STRING, offsetof(struct bench_data_options, cache), "FOLDER",
                        "keep the data's tokens there, and map them from there the next time (default: "
                        "nowhere)",
                        0, 0 },
        { 0 },
};

void bench_data_close(struct bench_data *data)
{
        qvf_windows_free(data->windows);
        qvf_dataset_free(data->dataset);
}

/* One file for each data file and model. What decides about the tokens stands in it: this only keeps two runs in one
 * folder from making each other's anew. */
static void name_cache(const char *data, const char *model, char name[64])
{
        uint8_t digest[QVF_SHA256_BYTES];
        struct qvf_sha256 hash;

        qvf_sha256_init(&hash);
        qvf_sha256_update_sized(&hash, data, strlen(data));
        qvf_sha256_update_sized(&hash, model, strlen(model));
        qvf_sha256_finish(&hash, digest);
        for (int i = 0; i < 8; i++)
                snprintf(name + 2 * i, 3, "%02x", digest[i]);
        strcpy(name + 16, ".tokens");
}

int bench_data_open(struct bench_data *data, const struct qvf_model *model,
                const struct bench_data_options *options, const char *file, struct qvf_error *error)
{
        struct qvf_data_options reading = {
                .separator = options->separator,
                .all_count = options->all_tokens,
                .add_bos = options->bos_eos ? QVF_DATA_ON : QVF_DATA_DEFAULT,
                .add_eos = options->bos_eos ? QVF_DATA_ON : QVF_DATA_DEFAULT,
                .skip_bad_lines = options->skip_bad_lines,
        };
        const struct qvf_window_options window = {
                .context = options->context ? options->context : CONTEXT,
                .too_long = options->truncate ? QVF_DATA_TRUNCATE : QVF_DATA_SPLIT,
                .overlap = options->overlap,
        };
        struct qvf_data_source source = {
                .name = file ? file : options->file,
                .fd = -1,
                .tokenizer = model->tokenizer,
                .chat_template = model->chat_template,
                .cache_folder = -1,
        };
        _cleanup_close_ int cache = -1;
        char cache_name[64];
        int r;

        if (!source.name)
                return qvf_error_set(error, BENCH_USAGE, "which data? give --file FILE");
        if (options->cache) {
                cache = open(options->cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (cache < 0)
                        return qvf_error_set(error, -errno, "%s: %s", options->cache, strerror(errno));
                name_cache(source.name, qvf_gguf_name(model->gguf), cache_name);
                source.cache_folder = cache;
                source.cache_name = cache_name;
        }
        if (options->kind && qvf_data_kind_find(options->kind, &reading.kind) < 0)
                return qvf_error_set(error, BENCH_USAGE,
                                "--kind %s is none of auto, text, jsonl-text, "
                                "jsonl-messages, jsonl-completion",
                                options->kind);
        r = qvf_dataset_open(&source, &reading, &data->dataset, error);
        return r < 0 ? r : qvf_windows_new(data->dataset, &window, &data->windows, error);
}

void bench_data_describe(const struct bench_data *data, const char *file, struct json_object *report)
{
        const struct qvf_data_counts *counts = &data->dataset->counts;
        const struct qvf_window_counts *windows = &data->windows->counts;
        const struct {
                const char *key;
                uint64_t value;
                const char *words; /* said where the value is not 0; NULL: never */
        } numbers[] = {
                { "documents", data->dataset->n_documents, NULL },
                { "tokens", counts->tokens, NULL },
                { "counting_tokens", counts->counting_tokens, NULL },
                { "windows", data->windows->count, NULL },
                { "tokens_from_cache", data->dataset->from_cache, NULL },
                { "bad_lines", counts->bad_lines, "bad lines were passed over" },
                { "empty_documents", counts->empty_documents, "documents are empty" },
                { "documents_split", windows->documents_split,
                                "documents are longer than the context and were split" },
                { "documents_truncated", windows->documents_truncated, "documents were cut to the context" },
                { "documents_without_loss", windows->documents_without_counting,
                                "documents have no token that the loss looks at" },
        };

        if (!report)
                printf("%s: %s, %" PRIu64 " documents, %" PRIu64 " tokens, %" PRIu64
                       " of them with loss%s\n",
                                file, qvf_data_kind_name(data->dataset->kind), data->dataset->n_documents,
                                counts->tokens, counts->counting_tokens,
                                data->dataset->from_cache ? " (tokenised before)" : "");
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
                bench_report_count(report, numbers[i].key, numbers[i].value);
                if (!report && numbers[i].words && numbers[i].value > 0)
                        printf("  %" PRIu64 " %s\n", numbers[i].value, numbers[i].words);
        }
}
