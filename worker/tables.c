/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/tables.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/cleanup.h"
#include "engine/model/adapter.h"

#define SEEDS_MOST 18446744073709551615.0
#define BYTES_MOST 1e18

#define LOAD(field) offsetof(struct load_options, field)
const struct worker_option load_table[] = {
        { .key = "backend", OPTION_STRING, LOAD(backend), 1, 15 },
        { .key = "device", OPTION_STRING, LOAD(device), 1, 63 },
        { .key = "tuning", OPTION_STRING, LOAD(tuning), 1, QVF_TUNING_BYTES - 1 },
        { .key = "threads", OPTION_U32, LOAD(threads), 0, 1024 },
        { .key = "submission_ms", OPTION_U32, LOAD(submission_ms), 5, 1000 },
        { .key = "hang_seconds", OPTION_U32, LOAD(hang_seconds), 1, 3600 },
        { .key = "memory", OPTION_U64, LOAD(memory), 0, BYTES_MOST },
        { .key = "cache", OPTION_FILE, LOAD(cache) },
        { .key = "self_test", OPTION_CHOICE, LOAD(self_test), .choices = "none quick" },
        { .key = "kv", OPTION_CHOICE, LOAD(kv), .choices = "f16 q8_0 f32" },
        { .key = "infer", OPTION_BOOL, LOAD(infer) },
        { .key = "context_length", OPTION_U32, LOAD(context_length), 0, QVF_MODEL_CONTEXT_MOST },
        { .key = "sequences", OPTION_U32, LOAD(sequences), 1, 64 },
        { .key = "cells", OPTION_U32, LOAD(cells), 0, INT32_MAX / 2 },
        { 0 },
};

struct load_options *load_options_new(void)
{
        struct load_options *options = calloc(1, sizeof(*options));

        if (options)
                *options = (struct load_options){
                        .submission_ms = 50, .hang_seconds = 15, .cache = -1, .infer = true, .sequences = 4
                };
        return options;
}

static int module_at(const char *name, size_t length)
{
        for (int i = 0; i < QVF_MODULES; i++)
                if (strlen(qvf_module_name(i)) == length && memcmp(qvf_module_name(i), name, length) == 0)
                        return i;
        return -1;
}

static int read_module(struct train_options *options, const char *at, size_t length, struct qvf_error *error)
{
        size_t name = strcspn(at, ":,");
        unsigned rank = 0;
        int module, end = 0;

        if (name < length && (sscanf(at + name, ":%u%n", &rank, &end) != 1 || name + (size_t)end != length ||
                                             rank < 1 || rank > 512))
                return qvf_error_set(error, -EINVAL, "option modules: '%.*s', expected a rank of 1 to 512",
                                (int)length, at);
        module = module_at(at, name);
        if (module < 0)
                return qvf_error_set(error, -EINVAL,
                                "option modules: '%.*s' is none of attn_q, attn_k, attn_v, attn_output, "
                                "ffn_gate, ffn_up, ffn_down",
                                (int)name, at);
        options->chosen[module] = true;
        options->rank[module] = rank;
        return 0;
}

/* "all", "attention", or "attn_q:16,ffn_up" */
static int read_modules(
                sd_bus_message *message, const char *contents, void *options_, struct qvf_error *error)
{
        struct train_options *options = options_;
        const char *text;
        int r = sd_bus_message_read_basic(message, 's', &text);

        (void)contents;
        if (r < 0)
                return r;
        memset(options->chosen, 0, sizeof(options->chosen));
        memset(options->rank, 0, sizeof(options->rank));
        for (int i = 0; i < QVF_MODULES; i++)
                options->chosen[i] = strcmp(text, "all") == 0 ||
                                     (strcmp(text, "attention") == 0 && i <= QVF_ATTN_OUTPUT);
        if (options->chosen[0])
                return 0;
        for (;;) {
                size_t length = strcspn(text, ",");

                r = read_module(options, text, length, error);
                if (r < 0 || text[length] == 0)
                        return r;
                text += length + 1;
        }
}

#define DATA_OPTIONS(at)                                                                                    \
        { .key = "loss",                                                                                    \
                OPTION_CHOICE,                                                                              \
                (at) + offsetof(struct data_options, loss),                                                 \
                .choices = "answers all" },                                                                 \
                        { .key = "data_kind",                                                               \
                                OPTION_CHOICE,                                                              \
                                (at) + offsetof(struct data_options, kind),                                 \
                                .choices = "auto text jsonl-text jsonl-messages jsonl-completion" },        \
                        { .key = "separator",                                                               \
                                OPTION_STRING,                                                              \
                                (at) + offsetof(struct data_options, separator),                            \
                                0,                                                                          \
                                1024 },                                                                     \
                        { .key = "context",                                                                 \
                                OPTION_U32,                                                                 \
                                (at) + offsetof(struct data_options, context),                              \
                                2,                                                                          \
                                QVF_DATA_CONTEXT_LIMIT },                                                   \
                        { .key = "overlap",                                                                 \
                                OPTION_U32,                                                                 \
                                (at) + offsetof(struct data_options, overlap),                              \
                                0,                                                                          \
                                QVF_DATA_CONTEXT_LIMIT },                                                   \
                        { .key = "truncate", OPTION_BOOL, (at) + offsetof(struct data_options, truncate) }, \
                        { .key = "skip_bad_lines",                                                          \
                                OPTION_BOOL,                                                                \
                                (at) + offsetof(struct data_options, skip_bad_lines) },                     \
                        { .key = "pack", OPTION_BOOL, (at) + offsetof(struct data_options, pack) },         \
                        { .key = "shuffle", OPTION_BOOL, (at) + offsetof(struct data_options, shuffle) },   \
                        { .key = "held_out", OPTION_FILE, (at) + offsetof(struct data_options, held_out) }, \
        {                                                                                                   \
                .key = "held_out_ratio", OPTION_DOUBLE,                                                     \
                (at) + offsetof(struct data_options, held_out_ratio), 0, 0.9                                \
        }

#define TRAIN(field) offsetof(struct train_options, field)
#define PLAN_OPTIONS                                                                                        \
        { .key = "rank", OPTION_U32, TRAIN(all_ranks), 1, 512 },                                            \
                        { .key = "modules", OPTION_SPECIAL, .read = read_modules, .contents = "s" },        \
                        { .key = "epochs", OPTION_U32, TRAIN(epochs), 1, 1e6 },                             \
                        { .key = "batch", OPTION_U32, TRAIN(batch), 1, 65536 },                             \
                        { .key = "steps", OPTION_U64, TRAIN(steps), 0, 1e12 },                              \
                        { .key = "memory", OPTION_U64, TRAIN(memory), 0, BYTES_MOST },                      \
        {                                                                                                   \
                .key = "optimizer", OPTION_CHOICE, TRAIN(optimizer), .choices = "adamw adamw8bit"           \
        }

const struct worker_option train_table[] = {
        DATA_OPTIONS(TRAIN(data)),
        PLAN_OPTIONS,
        { .key = "alpha", OPTION_DOUBLE, TRAIN(alpha), 1e-6, 1e6 },
        { .key = "rank_stabilised", OPTION_BOOL, TRAIN(rank_stabilised) },
        { .key = "dropout", OPTION_DOUBLE, TRAIN(dropout), 0, 0.99 },
        { .key = "init", OPTION_FILE, TRAIN(init) },
        { .key = "seed", OPTION_U64, TRAIN(seed), 0, SEEDS_MOST },
        { .key = "learning_rate", OPTION_DOUBLE, TRAIN(learning_rate), 0, 10 },
        { .key = "learning_rate_min", OPTION_DOUBLE, TRAIN(learning_rate_min), 0, 10 },
        { .key = "schedule", OPTION_CHOICE, TRAIN(schedule), .choices = "constant linear cosine" },
        { .key = "warmup", OPTION_DOUBLE, TRAIN(warmup), 0, 1 },
        { .key = "clip", OPTION_DOUBLE, TRAIN(clip), 0, 1e6 },
        { .key = "weight_decay", OPTION_DOUBLE, TRAIN(weight_decay), 0, 10 },
        { .key = "beta1", OPTION_DOUBLE, TRAIN(beta1), 0, 0.99999 },
        { .key = "beta2", OPTION_DOUBLE, TRAIN(beta2), 0, 0.9999999 },
        { .key = "epsilon", OPTION_DOUBLE, TRAIN(epsilon), 1e-30, 1 },
        { .key = "evaluate_every", OPTION_U32, TRAIN(evaluate_every), 0, 1e9 },
        { .key = "patience", OPTION_U32, TRAIN(patience), 0, 1e9 },
        { .key = "checkpoint_every", OPTION_U32, TRAIN(checkpoint_every), 0, 1e9 },
        { .key = "paused", OPTION_BOOL, TRAIN(paused) },
        { .key = "duty_cycle", OPTION_DOUBLE, TRAIN(duty_cycle), 0.01, 1 },
        { 0 },
};

const struct worker_option check_table[] = { DATA_OPTIONS(TRAIN(data)), PLAN_OPTIONS, { 0 } };

const struct worker_option training_table[] = {
        { .key = "duty_cycle", OPTION_DOUBLE, offsetof(struct training_options, duty_cycle), 0.01, 1 },
        { 0 },
};

struct train_options *train_options_new(void)
{
        struct train_options *options = calloc(1, sizeof(*options));

        if (!options)
                return NULL;
        *options = (struct train_options){
                .data = { .context = 256, .pack = true, .shuffle = true, .held_out = -1 },
                .all_ranks = 8,
                .init = -1,
                .epochs = 1,
                .batch = 1,
                .learning_rate = 2e-4,
                .schedule = 2,
                .warmup = 0.03,
                .clip = 1,
                .weight_decay = 0.01,
                .beta1 = 0.9,
                .beta2 = 0.999,
                .epsilon = 1e-8,
                .duty_cycle = 1,
        };
        for (int i = 0; i < QVF_MODULES; i++)
                options->chosen[i] = true;
        return options;
}

const struct worker_option adapter_table[] = {
        { .key = "replace", OPTION_BOOL, offsetof(struct adapter_options, replace) },
        { 0 },
};

const struct worker_option import_table[] = {
        { .key = "config", OPTION_FILE, offsetof(struct import_options, config) },
        { 0 },
};

const struct worker_option merge_table[] = {
        { .key = "rank", OPTION_U32, offsetof(struct merge_options, rank), 0, QVF_ADAPTER_RANK_MOST },
        { 0 },
};

const struct worker_option into_model_table[] = {
        { .key = "dtype",
                        OPTION_CHOICE,
                        offsetof(struct into_model_options, dtype),
                        .choices = "f16 q8_0 f32" },
        { .key = "scale", OPTION_DOUBLE, offsetof(struct into_model_options, scale), -1000, 1000 },
        { 0 },
};

void merge_options_exit(void *options_)
{
        struct merge_options *options = options_;

        for (uint32_t i = 0; i < options->n_files; i++)
                close(options->files[i]);
        options->n_files = 0;
}
