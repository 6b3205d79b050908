/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/json.h"
#include "ctl/terminal.h"
#include "ctl/units.h"

#define AT(field) offsetof(struct ctl_answer_options, field)

const struct bench_option ctl_answer_specials[] = {
        { "model", 'm', BENCH_STRING, AT(model), "NAME", "the model (default: the service's)", 0, 0 },
        { "adapter", 'a', BENCH_STRINGS, AT(adapters), "NAME[:SCALE]",
                        "an adapter, and what its effect is times; several add up", 0, 0 },
        { "stats", 0, BENCH_FLAG, AT(stats), NULL, "print counts and speeds to standard error", 0, 0 },
        { 0 },
};

const struct bench_option ctl_answer_options[] = {
        { "system", 0, BENCH_STRING, AT(system), "TEXT", "a system turn before", 0, 0 },
        { "max-tokens", 'n', BENCH_COUNT, AT(max_tokens), "N", "most tokens (default: 256)", 1, 1u << 20 },
        { "stop", 0, BENCH_STRINGS, AT(stop), "TEXT", "end before this text; up to 16 times", 0, 0 },
        { "temperature", 't', BENCH_NUMBER, AT(temperature), "X",
                        "0 takes the best token always (default: 0)", 0, 100 },
        { "top-k", 0, BENCH_COUNT, AT(top_k), "N", "draw from the N best; 0: off (default: 40)", 0,
                        1u << 20 },
        { "top-p", 0, BENCH_NUMBER, AT(top_p), "P",
                        "draw from those that have this probability together (default: "
                        "0.95)",
                        0, 1 },
        { "min-p", 0, BENCH_NUMBER, AT(min_p), "P",
                        "draw from those this many times as probable as the best (default: "
                        "0.05)",
                        0, 1 },
        { "typical-p", 0, BENCH_NUMBER, AT(typical_p), "P",
                        "draw from the least surprising; 1: off (default: 1)", 0, 1 },
        { "repetition-penalty", 0, BENCH_NUMBER, AT(repetition_penalty), "X", "1: off (default: 1)", 0,
                        100 },
        { "presence-penalty", 0, BENCH_NUMBER, AT(presence_penalty), "X", "default: 0", -100, 100 },
        { "frequency-penalty", 0, BENCH_NUMBER, AT(frequency_penalty), "X", "default: 0", -100, 100 },
        { "penalty-window", 0, BENCH_COUNT, AT(penalty_window), "N", "tokens that are recent (default: 64)",
                        0, 1u << 20 },
        { "seed", 's', BENCH_SEED, AT(seed), "N",
                        "the same seed, the same text (default: another each time)", 0, 0 },
        { "shift", 0, BENCH_FLAG, AT(shift), NULL,
                        "a full context drops its middle instead of ending the answer", 0, 0 },
        { "ignore-end", 0, BENCH_FLAG, AT(ignore_end), NULL, "go on when the model says that it has ended",
                        0, 0 },
        { "show-special", 0, BENCH_FLAG, AT(show_special), NULL, "print special tokens", 0, 0 },
        { 0 },
};

const struct ctl_answer_options ctl_answer_defaults = CTL_ANSWER_DEFAULTS;

int ctl_parse_weight(const char *item, char *name, size_t size, double *ret_weight, struct qvf_error *error)
{
        const char *colon = strchr(item, ':');
        size_t length = colon ? (size_t)(colon - item) : strlen(item);
        double weight = 1;
        char *end = NULL;

        if (colon)
                weight = strtod(colon + 1, &end);
        if (length == 0 || length >= size || (colon && (end == colon + 1 || *end)))
                return qvf_error_set(error, CTL_USAGE, "%s: expected NAME or NAME:SCALE", item);
        memcpy(name, item, length);
        name[length] = 0;
        *ret_weight = weight;
        return 0;
}

int ctl_send_adapters(
                const struct bench_strings *adapters, struct qvf_options *sent, struct qvf_error *error)
{
        struct qvf_weight weights[BENCH_LIST_MAX];
        char names[BENCH_LIST_MAX][80];

        if (adapters->count == 0)
                return 0;
        for (uint32_t i = 0; i < adapters->count; i++) {
                int r;

                weights[i].name = names[i];
                r = ctl_parse_weight(
                                adapters->items[i], names[i], sizeof(names[i]), &weights[i].weight, error);
                if (r != 0)
                        return r;
        }
        qvf_options_set_weights(sent, "adapters", weights, adapters->count);
        return 0;
}

int ctl_answer_send(
                const struct ctl_answer_options *options, struct qvf_options *sent, struct qvf_error *error)
{
        ctl_send(ctl_answer_options, &ctl_answer_defaults, options, sent);
        return ctl_send_adapters(&options->adapters, sent, error);
}

static void on_text(void *context, const char *text, size_t length)
{
        struct ctl_answer *answer = context;

        qvf_text_append(&answer->text, text, length);
        if (!answer->print)
                return;
        fwrite(text, 1, length, stdout);
        fflush(stdout);
}

static void on_end(void *context, const char *reason, const struct qvf_value *stats,
                const struct qvf_failure *failure)
{
        struct ctl_answer *answer = context;

        snprintf(answer->reason, sizeof(answer->reason), "%s", reason);
        answer->stats = ctl_json_value(stats);
        if (failure)
                answer->failure = *failure;
}

struct qvf_stream ctl_answer_stream(struct ctl_answer *answer)
{
        return (struct qvf_stream){ sizeof(struct qvf_stream), on_text, on_end, answer };
}

int ctl_answer_wait(struct ctl *ctl, struct qvf_session *session, uint32_t request,
                struct ctl_answer *answer, struct qvf_error *error)
{
        bool cancelled = false;
        struct qvf_failure failure;

        while (!answer->reason[0]) {
                int r = qvf_dispatch(ctl->client, -1, &failure);

                if (r < 0 && !answer->reason[0])
                        return ctl_failed(error, &failure);
                if ((ctl_interrupted || ferror(stdout)) && !cancelled) {
                        cancelled = true;
                        qvf_session_cancel(session, request, NULL);
                }
        }
        return answer->failure.code ? ctl_failed(error, &answer->failure) : 0;
}

void ctl_answer_exit(struct ctl_answer *answer)
{
        qvf_text_exit(&answer->text);
        json_object_put(answer->stats);
        answer->stats = NULL;
}

static double stat(const struct ctl_answer *answer, const char *key)
{
        struct json_object *value;

        return json_object_object_get_ex(answer->stats, key, &value) ? json_object_get_double(value) : 0;
}

void ctl_answer_print_stats(const struct ctl_answer *answer)
{
        fprintf(stderr,
                        "%.0f tokens of prompt (%.0f known already), first answer after %s; %.0f tokens in "
                        "%s, %.1f "
                        "tok/s; ended by %s\n",
                        stat(answer, "prompt_tokens"), stat(answer, "reused_tokens"),
                        ctl_duration(stat(answer, "first_token_ms") / 1000).text,
                        stat(answer, "generated_tokens"),
                        ctl_duration(stat(answer, "generation_seconds")).text,
                        stat(answer, "tokens_per_second"), answer->reason);
}
