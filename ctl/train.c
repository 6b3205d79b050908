/* SPDX-License-Identifier: Apache-2.0 */
/* train: queues a job and shows it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/follow.h"
#include "ctl/json.h"
#include "ctl/lists.h"
#include "ctl/send.h"
#include "ctl/terminal.h"
#include "ctl/units.h"
#include "ctl/verbs.h"

struct train_options {
        struct ctl_common common;
        struct bench_words words;
        const char *model, *held_out, *memory, *start_in, *priority;
        bool detach, check;
        /* sent as they are */
        const char *name, *adapter, *after, *repeat, *device, *backend, *modules, *init, *separator;
        float alpha, dropout, rate, floor, warmup, clip, weight_decay, beta1, beta2, epsilon, held_out_ratio;
        uint32_t rank, epochs, steps, batch, context, schedule, optimizer, evaluate_every, patience,
                        checkpoint_every, loss, kind, overlap;
        struct bench_seed seed;
        bool paused, rank_stabilised, truncate, skip_bad_lines, no_pack, no_shuffle, no_continue;
};

static const struct train_options defaults = {
        .common = CTL_COMMON_DEFAULTS,
        .alpha = CTL_NO_NUMBER,
        .dropout = CTL_NO_NUMBER,
        .rate = CTL_NO_NUMBER,
        .floor = CTL_NO_NUMBER,
        .warmup = CTL_NO_NUMBER,
        .clip = CTL_NO_NUMBER,
        .weight_decay = CTL_NO_NUMBER,
        .beta1 = CTL_NO_NUMBER,
        .beta2 = CTL_NO_NUMBER,
        .epsilon = CTL_NO_NUMBER,
        .held_out_ratio = CTL_NO_NUMBER,
        .rank = CTL_NO_COUNT,
        .epochs = CTL_NO_COUNT,
        .steps = CTL_NO_COUNT,
        .batch = CTL_NO_COUNT,
        .context = CTL_NO_COUNT,
        .schedule = CTL_NO_COUNT,
        .optimizer = CTL_NO_COUNT,
        .evaluate_every = CTL_NO_COUNT,
        .patience = CTL_NO_COUNT,
        .checkpoint_every = CTL_NO_COUNT,
        .loss = CTL_NO_COUNT,
        .kind = CTL_NO_COUNT,
        .overlap = CTL_NO_COUNT,
};

#define AT(field) offsetof(struct train_options, field)

static const struct bench_option own_options[] = {
        { "model", 'm', BENCH_STRING, AT(model), "NAME", "the model (default: the service's)", 0, 0 },
        { "detach", 'd', BENCH_FLAG, AT(detach), NULL, "queue it and return, with its id", 0, 0 },
        { "check", 0, BENCH_FLAG, AT(check), NULL,
                        "tell what is in the data and what a run would take; train nothing", 0, 0 },
        { "held-out", 0, BENCH_STRING, AT(held_out), "FILE", "data for evaluation", 0, 0 },
        { "memory", 0, BENCH_STRING, AT(memory), "BYTES",
                        "most memory, as in 600MiB (default: what the policy allows)", 0, 0 },
        { "start-in", 0, BENCH_STRING, AT(start_in), "TIME", "not before, as in 90min or 8h", 0, 0 },
        { "priority", 0, BENCH_STRING, AT(priority), "N", "-100 to 100, higher ones run first (default: 0)",
                        0, 0 },
        { 0 },
};

static const struct bench_option job_options[] = {
        { "adapter", 'a', BENCH_STRING, AT(adapter), "NAME",
                        "name of the result (default: by model and job)", 0, 0 },
        { "name", 'n', BENCH_STRING, AT(name), "TEXT", "name of the job, for people", 0, 0 },
        { "after", 0, BENCH_STRING, AT(after), "ID", "when this job has finished", 0, 0 },
        { "repeat", 0, BENCH_STRING, AT(repeat), "WHEN", "hourly, daily, nightly, weekly, or 6h, 90min", 0,
                        0 },
        { "no-continue", 0, BENCH_FLAG, AT(no_continue), NULL,
                        "each repeated run begins anew, not where the last ended", 0, 0 },
        { "paused", 0, BENCH_FLAG, AT(paused), NULL, "queue it paused", 0, 0 },
        { "device", 0, BENCH_STRING, AT(device), "NAME", "only on this device", 0, 0 },
        { "backend", 0, BENCH_STRING, AT(backend), "NAME", "only under this backend", 0, 0 },
        { "rank", 0, BENCH_COUNT, AT(rank), "N", "rank of the adapter (default: 8)", 1, 512 },
        { "alpha", 0, BENCH_NUMBER, AT(alpha), "X", "its effect is times alpha / rank (default: 2 x rank)",
                        0, 1e6 },
        { "modules", 0, BENCH_STRING, AT(modules), "LIST",
                        "all, attention, or some of "
                        "attn_q,attn_k,attn_v,attn_output,ffn_gate,ffn_up,ffn_down, each "
                        "with :RANK if wanted (default: all)",
                        0, 0 },
        { "rank-stabilised", 0, BENCH_FLAG, AT(rank_stabilised), NULL, "scale by alpha / sqrt(rank)", 0, 0 },
        { "dropout", 0, BENCH_NUMBER, AT(dropout), "P", "dropout of the adapter's input (default: 0)", 0,
                        0.99 },
        { "init", 0, BENCH_STRING, AT(init), "NAME", "adapter to start from", 0, 0 },
        { "checkpoint-every", 0, BENCH_COUNT, AT(checkpoint_every), "N", "steps (default: 50)", 0,
                        1u << 30 },
        { "evaluate-every", 0, BENCH_COUNT, AT(evaluate_every), "N", "steps; 0: each epoch (default: 0)", 0,
                        1u << 30 },
        { "patience", 0, BENCH_COUNT, AT(patience), "N",
                        "evaluations without a gain before it stops; 0: never (default: 0)", 0, 1u << 30 },
        { 0 },
};

static const struct bench_option plan_options[] = {
        { "epochs", 'e', BENCH_COUNT, AT(epochs), "N", "times through the data (default: 1)", 1, 100000 },
        { "steps", 0, BENCH_COUNT, AT(steps), "N", "most steps; 0: as many as the epochs have (default: 0)",
                        0, 1u << 30 },
        { "batch", 0, BENCH_COUNT, AT(batch), "N", "packed sequences of a step (default: 1)", 1, 65536 },
        { "context", 'c', BENCH_COUNT, AT(context), "N", "tokens of a sequence (default: 256)", 8,
                        1u << 20 },
        { "optimizer", 0, BENCH_CHOICE, AT(optimizer), "adamw|adamw8bit", "optimizer (default: adamw)", 0,
                        0 },
        { 0 },
};

static const struct bench_option run_options[] = {
        { "learning-rate", 'l', BENCH_NUMBER, AT(rate), "X", "learning rate (default: 2e-4)", 0, 1 },
        { "learning-rate-min", 0, BENCH_NUMBER, AT(floor), "X",
                        "what the schedule comes down to (default: 0)", 0, 1 },
        { "schedule", 0, BENCH_CHOICE, AT(schedule), "constant|linear|cosine", "schedule (default: cosine)",
                        0, 0 },
        { "warmup", 0, BENCH_NUMBER, AT(warmup), "X", "share of the steps to warm up (default: 0.03)", 0,
                        1 },
        { "clip", 0, BENCH_NUMBER, AT(clip), "X", "largest norm of the gradient; 0: any (default: 1)", 0,
                        1e6 },
        { "weight-decay", 0, BENCH_NUMBER, AT(weight_decay), "X", "weight decay (default: 0.01)", 0, 1 },
        { "beta1", 0, BENCH_NUMBER, AT(beta1), "X", "AdamW's beta 1 (default: 0.9)", 0, 0.9999 },
        { "beta2", 0, BENCH_NUMBER, AT(beta2), "X", "AdamW's beta 2 (default: 0.999)", 0, 0.999999 },
        { "epsilon", 0, BENCH_NUMBER, AT(epsilon), "X", "AdamW's epsilon (default: 1e-8)", 0, 1 },
        { "seed", 's', BENCH_SEED, AT(seed), "N", "of order, adapter and dropout (default: 0)", 0, 0 },
        { 0 },
};

static const struct bench_option data_options[] = {
        { "loss", 0, BENCH_CHOICE, AT(loss), "answers|all", "which tokens are learned (default: answers)", 0,
                        0 },
        { "data-kind", 0, BENCH_CHOICE, AT(kind), "auto|text|jsonl-text|jsonl-messages|jsonl-completion",
                        "what FILE is (default: auto)", 0, 0 },
        { "separator", 0, BENCH_STRING, AT(separator), "LINE", "of text: the line between two documents", 0,
                        0 },
        { "overlap", 0, BENCH_COUNT, AT(overlap), "N",
                        "tokens that the pieces of a long document share (default: 0)", 0, 1u << 20 },
        { "truncate", 0, BENCH_FLAG, AT(truncate), NULL, "cut long documents instead of splitting them", 0,
                        0 },
        { "skip-bad-lines", 0, BENCH_FLAG, AT(skip_bad_lines), NULL, "count bad lines instead of stopping",
                        0, 0 },
        { "no-pack", 0, BENCH_FLAG, AT(no_pack), NULL, "one document a sequence", 0, 0 },
        { "no-shuffle", 0, BENCH_FLAG, AT(no_shuffle), NULL, "documents in the order of the file", 0, 0 },
        { "held-out-ratio", 0, BENCH_NUMBER, AT(held_out_ratio), "X",
                        "share of the documents for evaluation (default: 0)", 0, 0.9 },
        { 0 },
};

static const struct bench_option_group groups[] = { { own_options, 0 }, { plan_options, 0 },
        { run_options, 0 }, { job_options, 0 }, { data_options, 0 }, { ctl_common_options, 0 }, { 0 } };

static int send_own(const struct train_options *options, struct qvf_options *sent, struct qvf_error *error)
{
        _cleanup_close_ int held_out = -1;
        uint64_t number;
        long priority;
        char *end;
        int r;

        if (options->memory) {
                if (ctl_parse_bytes(options->memory, &number) < 0)
                        return qvf_error_set(error, CTL_USAGE, "--memory %s: expected bytes, as in 600MiB",
                                        options->memory);
                qvf_options_set_integer(sent, "memory", (int64_t)number);
        }
        if (options->start_in && !options->check) {
                if (ctl_parse_duration(options->start_in, &number) < 0 || number > 10ull * 365 * 86400)
                        return qvf_error_set(error, CTL_USAGE,
                                        "--start-in %s: expected a time, as in 90min or 8h",
                                        options->start_in);
                qvf_options_set_integer(sent, "start_at", (int64_t)(ctl_now_us() + number * 1000000));
        }
        if (options->priority && !options->check) {
                errno = 0;
                priority = strtol(options->priority, &end, 10);
                if (errno || end == options->priority || *end || priority < -100 || priority > 100)
                        return qvf_error_set(error, CTL_USAGE,
                                        "--priority %s: expected a number from -100 to 100",
                                        options->priority);
                qvf_options_set_integer(sent, "priority", priority);
        }
        if (options->held_out) {
                r = ctl_open_input(options->held_out, &held_out, error);
                if (r != 0)
                        return r;
                qvf_options_set_fd(sent, "held_out", held_out);
        }
        return 0;
}

static void print_report(const struct qvf_value *report)
{
        _cleanup_free_ char *sample = ctl_printable(ctl_string(report, "sample"), true);
        _cleanup_free_ char *bad = ctl_printable(ctl_string(report, "first_bad"), false);
        const struct qvf_value *warnings = qvf_value_get(report, "warnings");

        printf("%.0f documents, %.0f tokens (%.0f of them learned), the longest has %.0f\n",
                        ctl_number(report, "documents"), ctl_number(report, "tokens"),
                        ctl_number(report, "loss_tokens"), ctl_number(report, "longest"));
        printf("%.0f steps, %s of memory\n", ctl_number(report, "steps"),
                        ctl_bytes(ctl_unsigned(report, "memory")).text);
        if (ctl_unsigned(report, "bad_lines"))
                printf("%.0f bad lines, the first: %s\n", ctl_number(report, "bad_lines"), bad ? bad : "");
        for (size_t i = 0; i < qvf_value_count(warnings); i++) {
                _cleanup_free_ char *warning =
                                ctl_printable(qvf_value_string(qvf_value_at(warnings, i)), false);

                printf("warning: %s\n", warning ? warning : "");
        }
        printf("the first document, as the model sees it:\n%s\n", sample ? sample : "");
}

static int check_data(struct ctl *ctl, const struct train_options *options, const char *model, int data,
                const struct qvf_options *sent, struct qvf_error *error)
{
        _cleanup_value_ struct qvf_value *reply = NULL;
        struct qvf_failure failure;

        if (qvf_call(ctl->client, "manager", "", "CheckData", &reply, &failure, "shO", model, data, sent) <
                        0)
                return ctl_failed(error, &failure);
        if (options->common.json) {
                _cleanup_json_ struct json_object *document = json_object_new_object();

                json_object_object_add(document, "report", ctl_json_value(qvf_value_at(reply, 0)));
                ctl_json_print(document, false);
        } else {
                print_report(qvf_value_at(reply, 0));
        }
        return 0;
}

/* CheckData knows fewer keys than Train. */
static void send_tables(const struct train_options *options, struct qvf_options *sent)
{
        static const struct bench_option rank_and_modules[] = {
                { "rank", 0, BENCH_COUNT, AT(rank), "N", "", 0, 0 },
                { "modules", 0, BENCH_STRING, AT(modules), "LIST", "", 0, 0 },
                { 0 },
        };

        ctl_send(plan_options, &defaults, options, sent);
        ctl_send(data_options, &defaults, options, sent);
        if (options->check) {
                ctl_send(rank_and_modules, &defaults, options, sent);
                return;
        }
        ctl_send(run_options, &defaults, options, sent);
        ctl_send(job_options, &defaults, options, sent);
}

static int run(const void *given, struct qvf_error *error)
{
        const struct train_options *options = given;
        _cleanup_options_ struct qvf_options *sent = qvf_options_new();
        _cleanup_free_ char *model = NULL, *job = NULL;
        struct ctl *ctl = ctl_context();
        struct qvf_failure failure;
        _cleanup_close_ int data = -1;
        int r = ctl_open_input(options->words.items[0], &data, error);

        send_tables(options, sent);
        if (r == 0)
                r = send_own(options, sent, error);
        if (r == 0)
                r = ctl_connect(ctl, &options->common, error);
        if (r == 0)
                r = ctl_default_model(ctl, options->model, &model, error);
        if (r != 0)
                return r;
        if (options->check)
                return check_data(ctl, options, model, data, sent, error);
        if (qvf_train(ctl->client, model, data, sent, &job, &failure) < 0)
                return ctl_failed(error, &failure);
        if (!options->detach)
                return ctl_follow(ctl, &options->common, job, error);
        if (options->common.json)
                return ctl_object_show(&options->common, "jobs", job, "job", NULL, error);
        printf("%s\n", job);
        return 0;
}

CTL_VERB_TAKING(ctl_train, "train", "train an adapter on a file",
                "Queues a training job and shows how it goes; Ctrl-C leaves it running. FILE is text, or "
                "JSON objects, one\na line, with \"text\", \"messages\", or \"prompt\" and \"completion\"; "
                "- is standard input. qvfd keeps a\ncopy until the job ends.",
                groups, "FILE", 1, 1, run);
