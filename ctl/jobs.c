/* SPDX-License-Identifier: Apache-2.0 */
/* jobs, and job show, pause, resume, cancel, retry, remove, priority. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/follow.h"
#include "ctl/json.h"
#include "ctl/lists.h"
#include "ctl/terminal.h"
#include "ctl/units.h"
#include "ctl/verbs.h"

struct job_options {
        struct ctl_common common;
        struct bench_words words;
        bool follow, keep;
};

static const struct job_options defaults = { .common = CTL_COMMON_DEFAULTS };

#define AT(field) offsetof(struct job_options, field)

static const struct bench_option show_options[] = {
        { "follow", 'f', BENCH_FLAG, AT(follow), NULL,
                        "go on showing it until it ends; Ctrl-C leaves it running", 0, 0 },
        { 0 },
};
static const struct bench_option cancel_options[] = {
        { "keep", 'k', BENCH_FLAG, AT(keep), NULL, "store the best adapter so far", 0, 0 },
        { 0 },
};

static const struct bench_option_group list_groups[] = { { ctl_watch_options, 0 }, { ctl_names_options, 0 },
        { ctl_common_options, 0 }, { 0 } };
static const struct bench_option_group show_groups[] = { { show_options, 0 }, { ctl_common_options, 0 },
        { 0 } };
static const struct bench_option_group cancel_groups[] = { { cancel_options, 0 }, { ctl_common_options, 0 },
        { 0 } };
static const struct bench_option_group groups[] = { { ctl_common_options, 0 }, { 0 } };

static enum ctl_colour state_colour(const char *state)
{
        static const struct {
                const char *state;
                enum ctl_colour colour;
        } colours[] = { { "running", CTL_GREEN }, { "finished", CTL_BLUE }, { "failed", CTL_RED },
                { "cancelled", CTL_DIM }, { "waiting", CTL_YELLOW }, { "paused", CTL_YELLOW } };

        for (size_t i = 0; i < sizeof(colours) / sizeof(colours[0]); i++)
                if (strcmp(colours[i].state, state) == 0)
                        return colours[i].colour;
        return CTL_PLAIN;
}

void ctl_jobs_print(const struct ctl *ctl, const struct qvf_value *objects)
{
        _cleanup_table_ struct ctl_table table;

        ctl_table_init(&table, "ID|STATE|>DONE|>LOSS|>LEFT|MODEL|ADAPTER|WHY");
        for (size_t i = 0; i < qvf_value_count(objects); i++) {
                const struct qvf_value *job = qvf_value_at(objects, i);
                const char *state = ctl_string(job, "State");
                double total = ctl_number(job, "TotalSteps"), step = ctl_number(job, "Step");

                ctl_table_add(&table, CTL_PLAIN, "%s", ctl_string(job, "Id"));
                ctl_table_add(&table, state_colour(state), "%s", state);
                ctl_table_add(&table, CTL_PLAIN, total > 0 ? "%.0f %%" : "-",
                                total > 0 ? 100 * step / total : 0);
                ctl_table_add(&table, CTL_PLAIN, "%s", ctl_loss(ctl_number(job, "Loss")).text);
                ctl_table_add(&table, CTL_PLAIN, "%s",
                                strcmp(state, "running") == 0
                                                ? ctl_duration(ctl_number(job, "SecondsLeft")).text
                                                : "-");
                ctl_table_add(&table, CTL_PLAIN, "%s", ctl_string(job, "Model"));
                ctl_table_add(&table, CTL_PLAIN, "%s", ctl_string(job, "Adapter"));
                ctl_table_add(&table, CTL_PLAIN, "%s", ctl_string(job, "Reason"));
        }
        ctl_table_print(&table, ctl->colour);
}

static int run_list(const void *given, struct qvf_error *error)
{
        const struct job_options *options = given;
        static const struct ctl_list list = { "jobs", "there is no job: qvfctl train FILE makes one",
                ctl_jobs_print };

        return ctl_list_show(&list, &options->common, error);
}

static const struct ctl_field job_fields[] = { { "job", "Id", 's' }, { "name", "Name", 's' },
        { "state", "State", 's' }, { "reason", "Reason", 's' }, { "model", "Model", 's' },
        { "adapter", "Adapter", 's' }, { "device", "Device", 's' }, { "priority", "Priority", 'n' },
        { "after", "After", 's' }, { "repeat", "Repeat", 's' }, { "not before", "NotBefore", 't' },
        { "created", "Created", 't' }, { "started", "Started", 't' }, { "finished", "Finished", 't' },
        { "runs", "Runs", 'n' }, { "step", "Step", 'n' }, { "of steps", "TotalSteps", 'n' },
        { "epoch", "Epoch", 'n' }, { "loss", "Loss", 'l' }, { "evaluation", "EvaluationLoss", 'l' },
        { "best evaluation", "BestEvaluationLoss", 'l' }, { "learning rate", "LearningRate", 'n' },
        { "tokens", "Tokens", 'c' }, { "tokens/s", "TokensPerSecond", 'c' },
        { "time run", "SecondsRun", 'd' }, { "time left", "SecondsLeft", 'd' },
        { "energy", "EnergyJoules", 'e' }, { "memory planned", "MemoryPlanned", 'b' },
        { "memory peak", "MemoryPeak", 'b' }, { "checkpoint at", "CheckpointStep", 'n' },
        { "crashes", "Crashes", 'n' }, { "last error", "LastError", 's' }, { 0 } };

static int run_show(const void *given, struct qvf_error *error)
{
        const struct job_options *options = given;
        struct ctl *ctl = ctl_context();
        int r;

        if (!options->follow)
                return ctl_object_show(
                                &options->common, "jobs", options->words.items[0], "job", job_fields, error);
        r = ctl_connect(ctl, &options->common, error);
        return r == 0 ? ctl_follow(ctl, &options->common, options->words.items[0], error) : r;
}

static int job_call(const struct job_options *options, const char *method, const char *done,
                struct qvf_error *error)
{
        const char *id = options->words.items[0];
        struct ctl *ctl = ctl_context();
        struct qvf_failure failure;
        int r = ctl_connect(ctl, &options->common, error);

        if (r != 0)
                return r;
        r = strcmp(method, "Cancel") == 0
                            ? qvf_call(ctl->client, "jobs", id, method, NULL, &failure, "b", options->keep)
                            : qvf_call(ctl->client, "jobs", id, method, NULL, &failure, "");
        return ctl_act(&options->common, error, r, &failure, "job %s %s", id, done);
}

static int run_pause(const void *given, struct qvf_error *error)
{
        return job_call(given, "Pause", "is paused: qvfctl job resume goes on", error);
}

static int run_resume(const void *given, struct qvf_error *error)
{
        return job_call(given, "Resume", "may run again", error);
}

static int run_cancel(const void *given, struct qvf_error *error)
{
        return job_call(given, "Cancel", "is cancelled", error);
}

static int run_retry(const void *given, struct qvf_error *error)
{
        return job_call(given, "Retry", "is queued again", error);
}

static int run_remove(const void *given, struct qvf_error *error)
{
        return job_call(given, "Remove", "is gone", error);
}

static int run_priority(const void *given, struct qvf_error *error)
{
        const struct job_options *options = given;
        const char *id = options->words.items[0], *number = options->words.items[1];
        struct ctl *ctl = ctl_context();
        struct qvf_failure failure;
        long priority;
        char *end;
        int r;

        errno = 0;
        priority = strtol(number, &end, 10);
        if (errno || end == number || *end || priority < -100 || priority > 100)
                return qvf_error_set(error, CTL_USAGE, "%s: expected a priority from -100 to 100", number);
        r = ctl_connect(ctl, &options->common, error);
        if (r != 0)
                return r;
        r = qvf_call(ctl->client, "jobs", id, "SetPriority", NULL, &failure, "i", (int32_t)priority);
        return ctl_act(&options->common, error, r, &failure, "job %s has priority %ld", id, priority);
}

CTL_VERB(ctl_jobs, "jobs", "the training jobs", "Lists the training jobs, those that have ended too.",
                list_groups, run_list);

CTL_VERB_TAKING(ctl_job_show, "job show", "all about one job",
                "Prints what is known about a job; with --follow, the line that training shows.",
                show_groups, "ID", 1, 1, run_show);
CTL_VERB_TAKING(ctl_job_pause, "job pause", "keep a job from running",
                "Keeps a job from running until job resume. It goes on from where it was.", groups, "ID", 1,
                1, run_pause);
CTL_VERB_TAKING(ctl_job_resume, "job resume", "let a paused job run", "Undoes job pause.", groups, "ID", 1,
                1, run_resume);
CTL_VERB_TAKING(ctl_job_cancel, "job cancel", "end a job for good",
                "Ends a job for good. Its data is deleted.", cancel_groups, "ID", 1, 1, run_cancel);
CTL_VERB_TAKING(ctl_job_retry, "job retry", "queue a failed job again",
                "Queues a failed or cancelled job again, from its last checkpoint.", groups, "ID", 1, 1,
                run_retry);
CTL_VERB_TAKING(ctl_job_remove, "job remove", "delete an ended job",
                "Deletes an ended job with its log and metrics. Its adapter stays.", groups, "ID", 1, 1,
                run_remove);
CTL_VERB_TAKING(ctl_job_priority, "job priority", "run a job sooner or later",
                "Gives a job another priority, from -100 to 100: higher ones run first. A negative one is "
                "written behind --,\nas in: qvfctl job priority -- 7 -5",
                groups, "ID NUMBER", 2, 2, run_priority);
