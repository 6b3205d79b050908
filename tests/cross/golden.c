/* SPDX-License-Identifier: Apache-2.0 */
/* The tiny models against the independent reference. Limits are those of tests/engine/inference/test_golden_logits.c and
 * tests/engine/training/test_golden_training.c, which say more when one is broken. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/inference/context.h"
#include "engine/training/trainer.h"
#include "tests/cross/cross.h"

#define MOST 256u

struct golden {
        struct qvf_gguf *numbers, *adapter;
        char *text; /* of the JSON file, which the reference's own writer made: one line, no escapes */
        int32_t tokens[MOST];
        uint32_t n_tokens;
};

static struct qvf_gguf *open_part(const char *name, const char *kind)
{
        struct qvf_gguf *gguf = NULL;
        struct qvf_error error = { 0 };
        char path[256];

        snprintf(path, sizeof(path), "tests/data/golden/%s.%s.gguf", name, kind);
        cross_need(qvf_gguf_open(path, &gguf, &error), path, error.text);
        return gguf;
}

static char *read_text(const char *path)
{
        FILE *file = fopen(path, "re");
        char *text = calloc(1, 65536);

        cross_need(file && text && fread(text, 1, 65535, file) > 0 ? 0 : -1, path, "not readable");
        fclose(file);
        return text;
}

/* The numbers behind "KEY": [ or "KEY": — as many as there are, at most MOST. */
static uint32_t read_numbers(const struct golden *golden, const char *key, double ret_numbers[MOST])
{
        char word[64], *end;
        const char *at;
        uint32_t count = 0;

        snprintf(word, sizeof(word), "\"%s\": ", key);
        at = strstr(golden->text, word);
        cross_need(at ? 0 : -1, key, "not in the reference's file");
        at += strlen(word) + (at[strlen(word)] == '[');
        for (; count < MOST; at = end + 2) {
                ret_numbers[count++] = strtod(at, &end);
                cross_need(end > at ? 0 : -1, key, "no number");
                if (*end != ',' || end[2] == '"')
                        break;
        }
        return count;
}

static double read_number(const struct golden *golden, const char *key)
{
        double numbers[MOST];

        read_numbers(golden, key, numbers);
        return numbers[0];
}

static struct golden open_golden(const char *name)
{
        struct golden golden = { open_part(name, "golden"), open_part(name, "adapter-init"), NULL, { 0 },
                0 };
        double tokens[MOST];
        char path[256];

        snprintf(path, sizeof(path), "tests/data/golden/%s.golden.json", name);
        golden.text = read_text(path);
        golden.n_tokens = read_numbers(&golden, "tokens", tokens);
        for (uint32_t i = 0; i < golden.n_tokens; i++)
                golden.tokens[i] = (int32_t)tokens[i];
        return golden;
}

static void close_golden(struct golden *golden)
{
        qvf_gguf_free(golden->numbers);
        qvf_gguf_free(golden->adapter);
        free(golden->text);
}

static struct qvf_model *open_model(const struct qvf_compute *compute, const char *file)
{
        struct qvf_model *model = NULL;
        struct qvf_error error = { 0 };
        char path[256];

        snprintf(path, sizeof(path), "models/%s.gguf", file);
        cross_need(qvf_model_open(path, compute, NULL, &model, &error), path, error.text);
        return model;
}

static double distance(const float *a, const float *b, size_t count)
{
        double difference = 0, size = 0;

        for (size_t i = 0; i < count; i++) {
                difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
                size += (double)b[i] * b[i];
        }
        return sqrt(difference / (size > 0 ? size : 1));
}

static const float *numbers_of(const struct golden *golden, const char *name, size_t count)
{
        const struct qvf_gguf_tensor *tensor = qvf_gguf_find_tensor(golden->numbers, name);

        cross_need(tensor && tensor->size_bytes == count * sizeof(float) ? 0 : -1, name,
                        "not as large as it should be");
        return tensor->data;
}

/* [n_tokens][vocabulary], to be freed. */
static float *logits_of(struct qvf_model *model, const struct golden *golden,
                const struct qvf_adapter *adapter, uint32_t batch_rows)
{
        const struct qvf_context_options options = {
                .context_length = 128, .kv_f32 = true, .batch_rows = batch_rows, .output_rows = batch_rows
        };
        const struct qvf_adapter_choice choice = { adapter, 1 };
        uint32_t vocabulary = model->info->vocabulary_size, sequence;
        float *logits = calloc((size_t)golden->n_tokens * vocabulary, sizeof(*logits));
        struct qvf_context *context = NULL;
        struct qvf_error error = { 0 };

        cross_need(qvf_context_new(model, &options, &context, &error), "context", error.text);
        cross_need(qvf_context_open(context, &choice, adapter ? 1 : 0, &sequence, &error), "sequence",
                        error.text);
        for (uint32_t at = 0; at < golden->n_tokens; at += batch_rows) {
                uint32_t left = golden->n_tokens - at, n = left < batch_rows ? left : batch_rows;
                struct qvf_piece piece = { sequence, golden->tokens + at, n, QVF_OUTPUTS_ALL };

                cross_need(qvf_context_run(context, &piece, 1, &error), "run", error.text);
                for (uint32_t i = 0; i < n; i++)
                        memcpy(logits + (size_t)(at + i) * vocabulary, qvf_context_logits(context, i),
                                        vocabulary * sizeof(*logits));
        }
        qvf_context_free(context);
        return logits;
}

static void check_logits(const char *level, const char *name, const char *file, bool with, uint32_t rows)
{
        struct qvf_compute compute = cross_open(level, 2);
        struct qvf_model *model = open_model(&compute, file);
        struct golden golden = open_golden(name);
        double most = 3 * read_number(&golden, "logits_rel_l2"), off;
        size_t count = (size_t)golden.n_tokens * model->info->vocabulary_size;
        struct qvf_adapter *adapter = NULL;
        struct qvf_error error = { 0 };
        float *logits;
        char what[128];

        if (with)
                cross_need(qvf_adapter_new(model, golden.adapter, &adapter, &error), "adapter", error.text);
        logits = logits_of(model, &golden, adapter, rows);
        off = distance(logits, numbers_of(&golden, with ? "logits.lora" : "logits", count), count);
        snprintf(what, sizeof(what), "%s: logits of %s%s, %u rows a batch", level, file,
                        with ? " with an adapter" : "", rows);
        cross_check(off <= most, what, "off by %.3g, at most %.3g", off, most);
        free(logits);
        qvf_adapter_free(adapter);
        close_golden(&golden);
        qvf_model_free(model);
        compute.backend->device_close(compute.device);
}

/* What stands before the head is defined to the bit: docs/arithmetic.md. */
static void compare_levels(const char *level, const char *name, const char *file)
{
        struct golden golden = open_golden(name);
        float *logits[2];
        size_t count = 0;
        double off;
        char what[128];

        for (unsigned i = 0; i < 2; i++) {
                struct qvf_compute compute = cross_open(i == 0 ? "plain" : level, 2);
                struct qvf_model *model = open_model(&compute, file);

                logits[i] = logits_of(model, &golden, NULL, 33);
                count = (size_t)golden.n_tokens * model->info->vocabulary_size;
                qvf_model_free(model);
                compute.backend->device_close(compute.device);
        }
        off = distance(logits[1], logits[0], count);
        snprintf(what, sizeof(what), "%s: logits of %s are those of plain", level, file);
        cross_check(off <= 1e-6, what, "off by %.3g", off);
        free(logits[0]);
        free(logits[1]);
        close_golden(&golden);
}

void cross_golden_logits(const char *level)
{
        check_logits(level, "tiny-silu", "tiny-silu.TQ2_0", true, 96);
        check_logits(level, "tiny-silu", "tiny-silu.TQ2_0", false, 1);
        check_logits(level, "tiny-relu2", "tiny-relu2.TQ1_0", false, 96);
        check_logits(level, "tiny-relu2", "tiny-relu2.TQ1_0", true, 1);
        if (strcmp(level, "plain") != 0) {
                compare_levels(level, "tiny-silu", "tiny-silu.TQ2_0");
                compare_levels(level, "tiny-relu2", "tiny-relu2.TQ2_0");
        }
}

struct training {
        struct qvf_model *model;
        struct qvf_lora *lora;
        struct qvf_trainer *trainer;
        int32_t position[MOST], first[MOST], output_index[MOST], target[MOST];
        struct qvf_train_rows rows;
};

static void set_up(struct training *t, const struct qvf_compute *compute, struct golden *golden)
{
        struct qvf_lora_options options = { .alpha = (float)read_number(golden, "alpha") };
        struct qvf_trainer_plan plan = { .recomputed_layers = 1, .loss_rows = 7, .loss_columns = 100 };
        struct qvf_error error = { 0 };
        double mask[MOST], betas[MOST];

        read_numbers(golden, "loss_mask", mask);
        read_numbers(golden, "betas", betas);
        t->model = open_model(compute, "tiny-silu.TQ2_0");
        for (int i = 0; i < QVF_MODULES; i++)
                options.rank[i] = (uint32_t)read_number(golden, "rank");
        t->rows = (struct qvf_train_rows){ golden->n_tokens, 0, golden->tokens, t->position, t->first,
                t->output_index, t->target };
        for (uint32_t i = 0; i < golden->n_tokens; i++) {
                t->position[i] = (int32_t)i;
                if (i + 1 < golden->n_tokens && mask[i] > 0) {
                        t->output_index[t->rows.n_outputs] = (int32_t)i;
                        t->target[t->rows.n_outputs++] = golden->tokens[i + 1];
                }
        }
        plan.rows = golden->n_tokens;
        plan.outputs = t->rows.n_outputs;
        cross_need(qvf_lora_new(t->model, &options, &t->lora, &error), "adapter", error.text);
        cross_need(qvf_lora_load(t->lora, golden->adapter, &error), "adapter", error.text);
        cross_need(qvf_trainer_new(t->lora, &plan,
                                   &(struct qvf_adamw_options){ (float)betas[0], (float)betas[1],
                                                   (float)read_number(golden, "eps"),
                                                   (float)read_number(golden, "weight_decay") },
                                   &t->trainer, &error),
                        "trainer", error.text);
}

/* The largest distance of any matrix' gradient from the reference's. */
static double worst_gradient(
                const struct training *t, const struct qvf_compute *compute, const struct golden *golden)
{
        double worst = 0;

        for (uint32_t i = 0; i < 2 * t->model->info->n_layers * QVF_MODULES; i++) {
                const struct qvf_lora_pair *pair = &t->lora->pairs[i / 2];
                const struct qvf_value *value = i % 2 ? &pair->b_gradient : &pair->a_gradient;
                size_t count = (size_t)value->rows * value->columns;
                float *numbers = malloc(count * sizeof(float));
                char name[128];

                snprintf(name, sizeof(name), "grad.blk.%u.%s.weight.lora_%c", i / 2 / QVF_MODULES,
                                qvf_module_name(i / 2 % QVF_MODULES), i % 2 ? 'b' : 'a');
                cross_need(compute->backend->buffer_download(
                                           value->buffer, value->offset, numbers, count * sizeof(float)),
                                name, NULL);
                worst = fmax(worst, distance(numbers, numbers_of(golden, name, count), count));
                free(numbers);
        }
        return worst;
}

void cross_golden_training(const char *level)
{
        struct qvf_compute compute = cross_open(level, 2);
        struct golden golden = open_golden("tiny-silu");
        static struct training t;
        struct qvf_error error = { 0 };
        double curve[MOST], worst = 0, norm, gradients = 0;
        char what[64];

        t = (struct training){ 0 };
        set_up(&t, &compute, &golden);
        read_numbers(&golden, "loss_curve", curve);
        for (uint32_t step = 0; step <= 2; step++) {
                struct qvf_train_result result;

                cross_need(qvf_trainer_accumulate(t.trainer, &t.rows, 1 / (float)t.rows.n_outputs, 1,
                                           &result, &error),
                                "step", error.text);
                worst = fmax(worst, fabs(result.loss_sum / t.rows.n_outputs / curve[step] - 1));
                if (step == 0)
                        gradients = worst_gradient(&t, &compute, &golden);
                cross_need(qvf_trainer_update(t.trainer, step + 1, (float)read_number(&golden, "lr"), 0,
                                           &norm, &error),
                                "update", error.text);
        }
        snprintf(what, sizeof(what), "%s: gradients", level);
        cross_check(gradients <= 1e-2, what, "off by %.3g", gradients);
        snprintf(what, sizeof(what), "%s: losses of 3 steps", level);
        cross_check(worst <= 2e-3, what, "off by %.3g", worst);
        qvf_trainer_free(t.trainer);
        qvf_lora_free(t.lora);
        close_golden(&golden);
        qvf_model_free(t.model);
        compute.backend->device_close(compute.device);
}
