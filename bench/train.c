/* SPDX-License-Identifier: Apache-2.0 */
/* Trains a LoRA adapter and measures it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/train_summary.h"
#include "bench/training.h"
#include "bench/verbs.h"
#include "engine/training/checkpoint.h"
#include "engine/training/job.h"
#include "engine/training/train_plan.h"

struct train_options {
        struct bench_model_options model;
        struct bench_data_options data;
        const char *held_out_file, *output, *modules, *init;
        float held_out, alpha, dropout, rate, floor, warmup, clip, weight_decay, beta1, beta2, epsilon;
        uint32_t rank, optimizer, schedule, epochs, steps, batch, evaluate_every, patience, checkpoint_every;
        uint32_t memory_limit_mib;
        struct bench_seed seed;
        bool rank_stabilised, no_pack, no_shuffle, dry_run, quiet, json;
};

enum { OPTIMIZER_F32, OPTIMIZER_8BIT, OPTIMIZER_AUTO }; /* places in the option's list */

#define AT(field) offsetof(struct train_options, field)

static const struct bench_option options[] = {
        { "output", 'o', BENCH_STRING, AT(output), "FOLDER",
                        "gets best.gguf, last.gguf, metrics.jsonl and checkpoints; the same command goes on "
                        "from them "
                        "(default: nothing is kept)",
                        0, 0 },
        { "held-out-file", 0, BENCH_STRING, AT(held_out_file), "FILE", "data for evaluation", 0, 0 },
        { "held-out", 0, BENCH_NUMBER, AT(held_out), "FRACTION",
                        "share of the documents for evaluation (default: 0)", 0, 0.9 },
        { "modules", 0, BENCH_STRING, AT(modules), "LIST",
                        "all, attention, or some of "
                        "attn_q,attn_k,attn_v,attn_output,ffn_gate,ffn_up,ffn_down, each "
                        "with :RANK if wanted (default: all)",
                        0, 0 },
        { "rank", 0, BENCH_COUNT, AT(rank), "N", "rank (default: 8)", 1, QVF_ADAPTER_RANK_MOST },
        { "alpha", 0, BENCH_NUMBER, AT(alpha), "X", "alpha (default: 2 x rank)", 0, 1e6 },
        { "rslora", 0, BENCH_FLAG, AT(rank_stabilised), NULL, "scale by alpha / sqrt(rank)", 0, 0 },
        { "dropout", 0, BENCH_NUMBER, AT(dropout), "P", "dropout of the adapter's input (default: 0)", 0,
                        0.99 },
        { "init", 0, BENCH_STRING, AT(init), "FILE", "adapter to start from", 0, 0 },
        { "optimizer", 0, BENCH_CHOICE, AT(optimizer), "adamw|adamw8bit|auto",
                        "optimizer; auto: adamw, or adamw8bit where nothing else fits (default: adamw)", 0,
                        0 },
        { "learning-rate", 0, BENCH_NUMBER, AT(rate), "X", "learning rate (default: 2e-4)", 0, 1 },
        { "learning-rate-min", 0, BENCH_NUMBER, AT(floor), "X",
                        "what the schedule comes down to (default: 0)", 0, 1 },
        { "schedule", 0, BENCH_CHOICE, AT(schedule), "constant|linear|cosine", "schedule (default: cosine)",
                        0, 0 },
        { "warmup-ratio", 0, BENCH_NUMBER, AT(warmup), "X", "share of the steps to warm up (default: 0.03)",
                        0, 1 },
        { "clip", 0, BENCH_NUMBER, AT(clip), "X", "largest norm of the gradient; 0: any (default: 1)", 0,
                        1e6 },
        { "weight-decay", 0, BENCH_NUMBER, AT(weight_decay), "X", "weight decay (default: 0.01)", 0, 1 },
        { "beta1", 0, BENCH_NUMBER, AT(beta1), "X", "AdamW's beta 1 (default: 0.9)", 0, 0.9999 },
        { "beta2", 0, BENCH_NUMBER, AT(beta2), "X", "AdamW's beta 2 (default: 0.999)", 0, 0.999999 },
        { "epsilon", 0, BENCH_NUMBER, AT(epsilon), "X", "AdamW's epsilon (default: 1e-8)", 0, 1 },
        { "epochs", 0, BENCH_COUNT, AT(epochs), "N", "times through the data (default: 1)", 1, 100000 },
        { "steps", 0, BENCH_COUNT, AT(steps), "N", "most steps; 0: as many as the epochs have (default: 0)",
                        0, 1u << 30 },
        { "batch", 0, BENCH_COUNT, AT(batch), "N", "packed sequences of a step (default: 1)", 1, 65536 },
        { "evaluate-every", 0, BENCH_COUNT, AT(evaluate_every), "N", "steps; 0: each epoch (default: 0)", 0,
                        1u << 30 },
        { "patience", 0, BENCH_COUNT, AT(patience), "N",
                        "evaluations without a gain before the run stops; 0: never (default: 0)", 0,
                        1u << 30 },
        { "checkpoint-every", 0, BENCH_COUNT, AT(checkpoint_every), "N", "steps (default: 50)", 0,
                        1u << 30 },
        { "memory-limit", 0, BENCH_COUNT, AT(memory_limit_mib), "MIB",
                        "most memory of the process; 0: any (default: 0)", 0, 1u << 24 },
        { "seed", 's', BENCH_SEED, AT(seed), "N", "of order, adapter and dropout (default: 0)", 0, 0 },
        { "no-pack", 0, BENCH_FLAG, AT(no_pack), NULL, "one document a sequence", 0, 0 },
        { "no-shuffle", 0, BENCH_FLAG, AT(no_shuffle), NULL, "documents in the order of the file", 0, 0 },
        { "dry-run", 0, BENCH_FLAG, AT(dry_run), NULL, "tell the plan and its memory, and train nothing", 0,
                        0 },
        { "quiet", 'q', BENCH_FLAG, AT(quiet), NULL, "no line for each step", 0, 0 },
        { "json", 0, BENCH_FLAG, AT(json), NULL, "print JSON", 0, 0 },
        { 0 },
};

struct run { /* everything of one training run */
        const struct train_options *chosen;
        struct bench_session session;
        struct bench_data data, held_out;
        struct qvf_windows *split; /* held out of the data itself */
        struct qvf_lora_options lora_options;
        struct qvf_train_options options;
        struct qvf_train_choice choice;
        struct qvf_lora *lora;
        struct qvf_train_job *job;
        struct json_object *report;
        char temporary[64];
        int folder;
        uint64_t steps; /* of this run, not of those before that it goes on from */
        double seconds, computed_tokens, loss_tokens;
        struct qvf_energy *energy;
        struct qvf_error *error;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
        (void)signal;
        interrupted = 1;
}

static int parse_module(struct run *run, const char *item, size_t length)
{
        const char *colon = memchr(item, ':', length);
        size_t name = colon ? (size_t)(colon - item) : length;
        unsigned long rank = run->chosen->rank;
        char *end;

        if (colon) {
                rank = strtoul(colon + 1, &end, 10);
                if (end != item + length || rank < 1 || rank > QVF_ADAPTER_RANK_MOST)
                        return qvf_error_set(run->error, BENCH_USAGE,
                                        "--modules: '%.*s' is no rank from 1 to %u",
                                        (int)(length - name - 1), colon + 1, QVF_ADAPTER_RANK_MOST);
        }
        for (unsigned i = 0; i < QVF_MODULES; i++) {
                const char *module = qvf_module_name(i);
                bool attention = i <= QVF_ATTN_OUTPUT;

                if ((strlen(module) == name && memcmp(module, item, name) == 0) ||
                                (name == 3 && memcmp(item, "all", 3) == 0) ||
                                (attention && name == 9 && memcmp(item, "attention", 9) == 0)) {
                        run->lora_options.rank[i] = (uint32_t)rank;
                        length = 0;
                }
        }
        if (length > 0)
                return qvf_error_set(run->error, BENCH_USAGE,
                                "--modules: '%.*s' is none of all, attention, attn_q, attn_k, attn_v, "
                                "attn_output, "
                                "ffn_gate, ffn_up, ffn_down",
                                (int)name, item);
        return 0;
}

static int choose_lora(struct run *run)
{
        const struct train_options *chosen = run->chosen;
        const char *at = chosen->modules ? chosen->modules : "all";

        if (chosen->model.adapters.count > 0)
                return qvf_error_set(run->error, BENCH_USAGE,
                                "train goes on from an adapter with --init, not --adapter");
        for (;;) {
                size_t length = strcspn(at, ",");
                int r = parse_module(run, at, length);

                if (r != 0)
                        return r;
                if (at[length] == 0)
                        break;
                at += length + 1;
        }
        run->lora_options.alpha = chosen->alpha > 0 ? chosen->alpha : 2 * (float)chosen->rank;
        run->lora_options.rank_stabilised = chosen->rank_stabilised;
        run->lora_options.dropout = chosen->dropout;
        run->lora_options.seed = chosen->seed.value;
        run->lora_options.state = chosen->optimizer == OPTIMIZER_8BIT ? QVF_STATE_8BIT : QVF_STATE_F32;
        return 0;
}

static int open_data(struct run *run)
{
        const struct train_options *chosen = run->chosen;
        int r = bench_data_open(&run->data, run->session.model, &chosen->data, NULL, run->error);

        if (r != 0)
                return r;
        bench_data_describe(&run->data, chosen->data.file, run->report);
        if (chosen->held_out_file)
                return bench_data_open(&run->held_out, run->session.model, &chosen->data,
                                chosen->held_out_file, run->error);
        if (chosen->held_out > 0)
                return qvf_windows_hold_out(run->data.windows, (double)chosen->held_out, chosen->seed.value,
                                &run->split, run->error);
        return 0;
}

static const struct qvf_windows *held_out_of(const struct run *run)
{
        return run->split ? run->split : run->held_out.windows;
}

/* What a checkpoint must agree with: the data and every option that moves a number. */
static uint64_t fingerprint(const struct run *run)
{
        const struct qvf_train_options *o = &run->options;
        const struct qvf_lora_options *l = &run->lora_options;
        const uint32_t numbers[] = { o->batch_sequences, o->epochs, (uint32_t)o->max_steps, o->packing.rows,
                o->packing.one_each, o->packing.file_order, o->schedule.kind, l->state, l->rank_stabilised,
                l->rank[0], l->rank[1], l->rank[2], l->rank[3], l->rank[4], l->rank[5], l->rank[6],
                run->data.windows->count, held_out_of(run) ? held_out_of(run)->count : 0 };
        const float floats[] = { o->adamw.beta1, o->adamw.beta2, o->adamw.epsilon, o->adamw.weight_decay,
                o->schedule.rate, o->schedule.floor, o->warmup_ratio, o->clip, l->alpha, l->dropout };
        uint64_t hash = o->seed * 0x9e3779b97f4a7c15u;

        for (size_t i = 0; i < sizeof(run->data.dataset->key); i++)
                hash = (hash ^ run->data.dataset->key[i]) * 0x100000001b3u;
        for (size_t i = 0; i < sizeof(numbers); i++)
                hash = (hash ^ ((const unsigned char *)numbers)[i]) * 0x100000001b3u;
        for (size_t i = 0; i < sizeof(floats); i++)
                hash = (hash ^ ((const unsigned char *)floats)[i]) * 0x100000001b3u;
        return hash;
}

static uint64_t process_bytes(void)
{
        unsigned long long resident = 0, shared = 0;
        _cleanup_fclose_ FILE *file = fopen("/proc/self/statm", "re");

        if (!file || fscanf(file, "%*u %llu %llu", &resident, &shared) != 2)
                return 0;
        /* The model's mapped pages are counted as the model's; the rest of the mapped files is small. */
        return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE) + ((uint64_t)6 << 20);
}

static int make_plan(struct run *run)
{
        const struct train_options *chosen = run->chosen;
        const struct qvf_train_wish wish = {
                .context_length = run->data.windows->context,
                .batch_sequences = chosen->batch,
                .memory_limit = (uint64_t)chosen->memory_limit_mib << 20,
                .process_bytes = process_bytes(),
                .small_state_too = chosen->optimizer == OPTIMIZER_AUTO,
        };
        int r = qvf_train_plan(run->session.model, &run->lora_options, &wish, &run->choice, run->error);

        if (r < 0)
                return r;
        run->lora_options.state = run->choice.state;
        run->options = (struct qvf_train_options){
                .adamw = { chosen->beta1, chosen->beta2, chosen->epsilon, chosen->weight_decay },
                .schedule = { .kind = (enum qvf_schedule_kind)chosen->schedule,
                                .rate = chosen->rate,
                                .floor = chosen->floor },
                .warmup_ratio = chosen->warmup,
                .clip = chosen->clip,
                .epochs = chosen->epochs,
                .max_steps = chosen->steps,
                .batch_sequences = chosen->batch,
                .micro_sequences = run->choice.micro_sequences,
                .packing = { .rows = run->data.windows->context,
                                .seed = chosen->seed.value,
                                .one_each = chosen->no_pack,
                                .file_order = chosen->no_shuffle },
                .evaluate_every = chosen->evaluate_every,
                .patience = chosen->patience,
                .checkpoint_every = chosen->checkpoint_every,
                .seed = chosen->seed.value,
        };
        run->options.fingerprint = fingerprint(run);
        bench_report_string(run->report, "plan", qvf_text_string(&run->choice.reason));
        bench_report_count(run->report, "planned_bytes", run->choice.peak_bytes);
        if (!run->report)
                printf("plan: %s\n", qvf_text_string(&run->choice.reason));
        return 0;
}

static int open_folder(struct run *run)
{
        const char *path = run->chosen->output;

        if (!path) {
                strcpy(run->temporary, "/tmp/qvf-bench-XXXXXX");
                path = mkdtemp(run->temporary);
                if (!path)
                        return qvf_error_set(run->error, -errno, "no folder in /tmp can be made: %s",
                                        strerror(errno));
        } else if (mkdir(path, 0700) < 0 && errno != EEXIST) {
                return qvf_error_set(
                                run->error, -errno, "folder %s can't be made: %s", path, strerror(errno));
        }
        run->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (run->folder < 0)
                return qvf_error_set(
                                run->error, -errno, "folder %s can't be opened: %s", path, strerror(errno));
        return 0;
}

static int make_job(struct run *run)
{
        int r = qvf_lora_new(run->session.model, &run->lora_options, &run->lora, run->error);

        if (r < 0)
                return r;
        if (run->chosen->init) {
                _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;

                r = qvf_gguf_open(run->chosen->init, &gguf, run->error);
                if (r == 0)
                        r = qvf_lora_load(run->lora, gguf, run->error);
        } else {
                r = qvf_lora_init(run->lora, run->error);
        }
        if (r < 0)
                return r;
        r = qvf_train_job_new(run->lora, &run->choice.plan, &run->options, run->data.windows,
                        held_out_of(run), run->folder, &run->job, run->error);
        if (r == 0 && qvf_train_job_resumed_from(run->job) > 0 && !run->report)
                printf("going on from the checkpoint of step %" PRIu64 "\n",
                                qvf_train_job_resumed_from(run->job));
        return r;
}

static void tell(const struct run *run, enum qvf_train_event event)
{
        const struct qvf_train_metrics *m = qvf_train_job_metrics(run->job);

        if (run->report || run->chosen->quiet)
                return;
        if (event == QVF_TRAIN_EVALUATED)
                printf("  held out: loss %.4f, accuracy %.1f %%%s\n", m->evaluation_loss,
                                100 * m->evaluation_accuracy,
                                m->best_step == m->step ? " (best so far)"
                                : m->stopped_early      ? "; stopped early"
                                                        : "");
        else
                printf("step %" PRIu64 " of %" PRIu64
                       ", epoch %.2f: loss %.4f, norm %.3g, rate %.2e, %.0f tokens/s%s\n",
                                m->step, m->total_steps, m->epoch, m->loss, m->gradient_norm,
                                m->learning_rate, m->seconds > 0 ? (double)m->tokens / m->seconds : 0,
                                m->skipped ? ", skipped" : "");
        fflush(stdout);
}

static int train(struct run *run)
{
        enum qvf_train_event event = QVF_TRAIN_STEPPED;
        struct qvf_energy_reading used;

        qvf_energy_sample(run->energy, bench_seconds(), &used);
        signal(SIGINT, on_interrupt);
        signal(SIGTERM, on_interrupt);
        while (event != QVF_TRAIN_FINISHED) {
                const struct qvf_train_metrics *m;
                int r = qvf_train_job_run(run->job, &event, run->error);

                if (r < 0)
                        return r;
                m = qvf_train_job_metrics(run->job);
                qvf_energy_sample(run->energy, bench_seconds(), &used);
                if (event == QVF_TRAIN_STEPPED) {
                        run->steps++;
                        run->seconds += m->seconds;
                        run->computed_tokens += (double)m->rows;
                        run->loss_tokens += (double)m->tokens;
                }
                if (event != QVF_TRAIN_FINISHED)
                        tell(run, event);
                if (!interrupted)
                        continue;
                r = qvf_train_job_checkpoint(run->job, run->error);
                if (r < 0)
                        return r;
                return qvf_error_set(run->error, -EINTR, "stopped after step %" PRIu64 "%s", m->step,
                                run->chosen->output ? "; the same command goes on from there" : "");
        }
        return 0;
}

static int summarise(struct run *run)
{
        struct bench_train_summary summary = {
                .metrics = qvf_train_job_metrics(run->job),
                .steps = run->steps,
                .step_seconds = run->seconds,
                .computed_tokens = run->computed_tokens,
                .loss_tokens = run->loss_tokens,
                .planned_bytes = run->choice.peak_bytes,
                .energy = run->energy,
        };
        int r = run->steps == 0 ? 0
                                : qvf_train_job_time_forward(
                                                  run->job, &summary.forward_seconds_per_row, run->error);

        if (r < 0)
                return r;
        qvf_energy_sample(run->energy, bench_seconds(), &summary.used);
        bench_train_summarise(&summary, run->report);
        if (!run->report && run->chosen->output)
                printf("adapters: %s/best.gguf (held out best), %s/last.gguf\n", run->chosen->output,
                                run->chosen->output);
        return 0;
}

static void clean_up(struct run *run)
{
        static const char *const files[] = { "best.gguf", "last.gguf", "metrics.jsonl" };

        qvf_energy_free(run->energy);
        qvf_train_job_free(run->job);
        qvf_lora_free(run->lora);
        qvf_text_exit(&run->choice.reason);
        qvf_windows_free(run->split);
        bench_data_close(&run->data);
        bench_data_close(&run->held_out);
        bench_session_close(&run->session);
        if (run->temporary[0] && run->folder >= 0) {
                for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
                        unlinkat(run->folder, files[i], 0);
                qvf_checkpoint_remove_all(run->folder);
                rmdir(run->temporary);
        }
        if (run->folder >= 0)
                close(run->folder);
}

static int run_all(struct run *run)
{
        int r = choose_lora(run);

        if (r == 0)
                r = bench_session_open(&run->session, &run->chosen->model, run->error);
        if (r == 0)
                r = open_data(run);
        if (r == 0)
                r = make_plan(run);
        if (r != 0 || run->chosen->dry_run)
                return r;
        r = open_folder(run);
        if (r == 0)
                r = make_job(run);
        if (r == 0)
                r = qvf_energy_new("", &run->energy);
        if (r == 0)
                r = train(run);
        return r != 0 ? r : summarise(run);
}

static int run_verb(const void *options_, struct qvf_error *error)
{
        const struct train_options *chosen = options_;
        _cleanup_report_ struct json_object *report = chosen->json ? bench_report_new("train") : NULL;
        struct run run = { .chosen = chosen, .report = report, .folder = -1, .error = error };
        int r = run_all(&run);

        if (r == 0)
                bench_report_print(report);
        clean_up(&run);
        return r;
}

const struct bench_verb bench_train = {
        .name = "train",
        .summary = "trains a LoRA adapter and measures it",
        .description = "Trains an adapter on documents that are packed into full sequences. With --output "
                       "it can be\n"
                       "stopped at any time (Ctrl-C too): the same command goes on from the last "
                       "checkpoint.",
        .groups =
                        (const struct bench_option_group[]){
                                        { bench_model_option_table, offsetof(struct train_options, model) },
                                        { bench_data_option_table, offsetof(struct train_options, data) },
                                        { options, 0 },
                                        { bench_device_option_table,
                                                        offsetof(struct train_options, model.device) },
                                        { 0 },
                        },
        .defaults = &(const struct train_options){ .rank = 8,
                        .rate = 2e-4f,
                        .schedule = 2,
                        .warmup = 0.03f,
                        .clip = 1,
                        .weight_decay = 0.01f,
                        .beta1 = 0.9f,
                        .beta2 = 0.999f,
                        .epsilon = 1e-8f,
                        .epochs = 1,
                        .batch = 1 },
        .options_size = sizeof(struct train_options),
        .run = run_verb,
};
