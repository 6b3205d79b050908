/* SPDX-License-Identifier: Apache-2.0 */
/* Infer's options: more lists than other calls have. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/cleanup.h"
#include "engine/inference/context.h"
#include "worker/tables.h"

#define MESSAGES_MOST 4096u
#define STOP_BYTES_MOST 256u
#define TOKENS_MOST (1u << 20)

/* Grows a list by one zeroed element; NULL: no memory. */
static void *append(void **items, uint32_t *count, size_t size)
{
        char *grown = realloc(*items, ((size_t)*count + 1) * size);

        if (!grown)
                return NULL;
        *items = grown;
        return memset(grown + (*count)++ * size, 0, size);
}

static int read_messages(
                sd_bus_message *message, const char *contents, void *options_, struct qvf_error *error)
{
        struct infer_options *options = options_;
        const char *role, *text;
        size_t bytes = 0;
        int r = sd_bus_message_enter_container(message, 'a', "(ss)");

        (void)contents;
        while (r >= 0 && (r = sd_bus_message_read(message, "(ss)", &role, &text)) > 0) {
                struct infer_message *item;

                bytes += strlen(role) + strlen(text);
                if (options->n_messages >= MESSAGES_MOST || bytes > WORKER_TEXT_MOST)
                        return qvf_error_set(error, -EINVAL, "option messages: more than %u, or %zu bytes",
                                        MESSAGES_MOST, WORKER_TEXT_MOST);
                item = append((void **)&options->messages, &options->n_messages, sizeof(*item));
                if (!item || !(item->role = strdup(role)) || !(item->text = strdup(text)))
                        return -ENOMEM;
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_adapters(
                sd_bus_message *message, const char *contents, void *options_, struct qvf_error *error)
{
        struct infer_options *options = options_;
        const char *name;
        double scale;
        int r = sd_bus_message_enter_container(message, 'a', "(sd)");

        (void)contents;
        while (r >= 0 && (r = sd_bus_message_read(message, "(sd)", &name, &scale)) > 0) {
                struct infer_adapter *item;

                if (options->n_adapters >= QVF_CONTEXT_ADAPTERS_MOST)
                        return qvf_error_set(error, -EINVAL, "option adapters: more than %u",
                                        QVF_CONTEXT_ADAPTERS_MOST);
                if (!(fabs(scale) <= 1000))
                        return qvf_error_set(error, -EINVAL,
                                        "option adapters: the scale of %.64s is %g, expected -1000 to 1000",
                                        name, scale);
                item = append((void **)&options->adapters, &options->n_adapters, sizeof(*item));
                if (!item || !(item->name = strdup(name)))
                        return -ENOMEM;
                item->scale = scale;
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_stops(sd_bus_message *message, const char *contents, void *options_, struct qvf_error *error)
{
        struct infer_options *options = options_;
        const char *text;
        int r = sd_bus_message_enter_container(message, 'a', "s");

        (void)contents;
        while (r >= 0 && (r = sd_bus_message_read_basic(message, 's', &text)) > 0) {
                if (options->n_stops >= WORKER_STOPS_MOST || !*text || strlen(text) > STOP_BYTES_MOST)
                        return qvf_error_set(error, -EINVAL,
                                        "option stop: more than %u texts, or one not of 1 to %u bytes",
                                        WORKER_STOPS_MOST, STOP_BYTES_MOST);
                options->stops[options->n_stops] = strdup(text);
                if (!options->stops[options->n_stops++])
                        return -ENOMEM;
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_bias(sd_bus_message *message, const char *contents, void *options_, struct qvf_error *error)
{
        struct infer_options *options = options_;
        uint32_t id;
        double bias;
        int r = sd_bus_message_enter_container(message, 'a', "(ud)");

        (void)contents;
        while (r >= 0 && (r = sd_bus_message_read(message, "(ud)", &id, &bias)) > 0) {
                struct qvf_logit_bias *item;

                if (options->n_bias >= QVF_SAMPLING_BIAS_MAX || id > INT32_MAX)
                        return qvf_error_set(error, -EINVAL, "option bias: more than %u, or token %u",
                                        QVF_SAMPLING_BIAS_MAX, id);
                item = append((void **)&options->bias, &options->n_bias, sizeof(*item));
                if (!item)
                        return -ENOMEM;
                *item = (struct qvf_logit_bias){ (int32_t)id, (float)bias };
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

/* The ranges are those of qvf_sampling_check(), which looks at them again. */
#define INFER(field) offsetof(struct infer_options, field)
const struct worker_option infer_table[] = {
        { .key = "prompt", OPTION_STRING, INFER(prompt), 0, (double)WORKER_TEXT_MOST },
        { .key = "messages", OPTION_SPECIAL, .read = read_messages, .contents = "a(ss)" },
        { .key = "adapters", OPTION_SPECIAL, .read = read_adapters, .contents = "a(sd)" },
        { .key = "format", OPTION_CHOICE, INFER(format), .choices = "text jsonl" },
        { .key = "best", OPTION_U32, INFER(best), 0, QVF_SAMPLING_BEST_MAX },
        { .key = "max_tokens", OPTION_U32, INFER(max_tokens), 1, TOKENS_MOST },
        { .key = "stop", OPTION_SPECIAL, .read = read_stops, .contents = "as" },
        { .key = "temperature", OPTION_DOUBLE, INFER(temperature), 0, 1000 },
        { .key = "top_k", OPTION_U32, INFER(top_k), 0, 1u << 30 },
        { .key = "top_p", OPTION_DOUBLE, INFER(top_p), 0, 1 },
        { .key = "min_p", OPTION_DOUBLE, INFER(min_p), 0, 1 },
        { .key = "typical_p", OPTION_DOUBLE, INFER(typical_p), 0, 1 },
        { .key = "repetition_penalty", OPTION_DOUBLE, INFER(repetition_penalty), 0, 1000 },
        { .key = "presence_penalty", OPTION_DOUBLE, INFER(presence_penalty), -1000, 1000 },
        { .key = "frequency_penalty", OPTION_DOUBLE, INFER(frequency_penalty), -1000, 1000 },
        { .key = "penalty_window", OPTION_U32, INFER(penalty_window), 0, QVF_SAMPLING_WINDOW_MAX },
        { .key = "bias", OPTION_SPECIAL, .read = read_bias, .contents = "a(ud)" },
        { .key = "seed", OPTION_U64, INFER(seed), 0, 18446744073709551615.0 },
        { .key = "shift", OPTION_BOOL, INFER(shift) },
        { .key = "ignore_end", OPTION_BOOL, INFER(ignore_end) },
        { .key = "show_special", OPTION_BOOL, INFER(show_special) },
        { 0 },
};

struct infer_options *infer_options_new(void)
{
        struct infer_options *options = calloc(1, sizeof(*options));

        if (options)
                *options = (struct infer_options){
                        .max_tokens = 256,
                        .top_k = 40,
                        .top_p = 0.95,
                        .min_p = 0.05,
                        .typical_p = 1,
                        .repetition_penalty = 1,
                        .penalty_window = 64,
                };
        return options;
}

void infer_options_exit(void *options_)
{
        struct infer_options *options = options_;

        for (uint32_t i = 0; i < options->n_messages; i++) {
                free(options->messages[i].role);
                free(options->messages[i].text);
        }
        for (uint32_t i = 0; i < options->n_adapters; i++)
                free(options->adapters[i].name);
        for (uint32_t i = 0; i < options->n_stops; i++)
                free(options->stops[i]);
        free(options->messages);
        free(options->adapters);
        free(options->bias);
        options->n_messages = options->n_adapters = options->n_stops = 0;
        options->messages = NULL;
        options->adapters = NULL;
        options->bias = NULL;
}
