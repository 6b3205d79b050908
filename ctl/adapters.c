/* SPDX-License-Identifier: Apache-2.0 */
/* adapters: list, info, export, import, merge, remove. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/answer.h"
#include "ctl/json.h"
#include "ctl/lists.h"
#include "ctl/send.h"
#include "ctl/terminal.h"
#include "ctl/units.h"
#include "ctl/verbs.h"

enum format { FORMAT_GGUF, FORMAT_PEFT, FORMAT_MODEL };

struct adapter_options {
        struct ctl_common common;
        struct bench_words words;
        const char *model, *config, *description;
        uint32_t format, type, rank;
        float scale;
        bool replace;
};

static const struct adapter_options defaults = {
        .common = CTL_COMMON_DEFAULTS, .type = CTL_NO_COUNT, .rank = CTL_NO_COUNT, .scale = CTL_NO_NUMBER
};

#define AT(field) offsetof(struct adapter_options, field)

static const struct bench_option export_options[] = {
        { "format", 0, BENCH_CHOICE, AT(format), "gguf|peft|model",
                        "gguf (default); peft: TO is a folder; model: base and adapter in one dense GGUF "
                        "file",
                        0, 0 },
        { 0 },
};
static const struct bench_option model_options[] = {
        /* of --format model */
        { "dtype", 0, BENCH_CHOICE, AT(type), "f16|q8_0|f32", "numbers of such a model (default: f16)", 0,
                        0 },
        { "scale", 0, BENCH_NUMBER, AT(scale), "X", "the adapter's effect in it is times this (default: 1)",
                        -100, 100 },
        { 0 },
};
static const struct bench_option import_options[] = {
        { "model", 'm', BENCH_STRING, AT(model), "NAME", "its model (default: the service's)", 0, 0 },
        { "config", 0, BENCH_STRING, AT(config), "FILE",
                        "adapter_config.json of a PEFT adapter (default: the one beside a .safetensors "
                        "file)",
                        0, 0 },
        { 0 },
};
static const struct bench_option stored_options[] = {
        { "description", 'd', BENCH_STRING, AT(description), "TEXT", "a line for people", 0, 0 },
        { "replace", 'r', BENCH_FLAG, AT(replace), NULL, "take the place of an adapter of this name", 0, 0 },
        { 0 },
};
static const struct bench_option merge_options[] = {
        { "rank", 0, BENCH_COUNT, AT(rank), "N", "rank of the sum (default: as large as it must be)", 1,
                        512 },
        { 0 },
};

static const struct bench_option_group list_groups[] = { { ctl_watch_options, 0 }, { ctl_names_options, 0 },
        { ctl_common_options, 0 }, { 0 } };
static const struct bench_option_group export_groups[] = { { export_options, 0 }, { model_options, 0 },
        { ctl_common_options, 0 }, { 0 } };
static const struct bench_option_group import_groups[] = { { import_options, 0 }, { stored_options, 0 },
        { ctl_common_options, 0 }, { 0 } };
static const struct bench_option_group merge_groups[] = { { merge_options, 0 }, { stored_options, 0 },
        { ctl_common_options, 0 }, { 0 } };
static const struct bench_option_group groups[] = { { ctl_common_options, 0 }, { 0 } };

static void print_adapters(const struct ctl *ctl, const struct qvf_value *objects)
{
        _cleanup_table_ struct ctl_table table;

        ctl_table_init(&table, "NAME|MODEL|>RANK|>SIZE|>LOSS|ADDED|DESCRIPTION");
        for (size_t i = 0; i < qvf_value_count(objects); i++) {
                const struct qvf_value *adapter = qvf_value_at(objects, i);

                ctl_table_add(&table, CTL_PLAIN, "%s", ctl_string(adapter, "Name"));
                ctl_table_add(&table, CTL_PLAIN, "%s", ctl_string(adapter, "Model"));
                ctl_table_add(&table, CTL_PLAIN, "%.0f", ctl_number(adapter, "Rank"));
                ctl_table_add(&table, CTL_PLAIN, "%s", ctl_bytes(ctl_unsigned(adapter, "SizeBytes")).text);
                ctl_table_add(&table, CTL_PLAIN, "%s", ctl_loss(ctl_number(adapter, "Loss")).text);
                ctl_table_add(&table, CTL_PLAIN, "%s",
                                ctl_ago(ctl_unsigned(adapter, "Added"), ctl_now_us()).text);
                ctl_table_add(&table, CTL_PLAIN, "%s", ctl_string(adapter, "Description"));
        }
        ctl_table_print(&table, ctl->colour);
}

static int run_list(const void *given, struct qvf_error *error)
{
        const struct adapter_options *options = given;
        static const struct ctl_list list = { "adapters", "no adapter is stored: qvfctl train makes one",
                print_adapters };

        return ctl_list_show(&list, &options->common, error);
}

static int run_info(const void *given, struct qvf_error *error)
{
        const struct adapter_options *options = given;
        static const struct ctl_field fields[] = { { "name", "Name", 's' },
                { "description", "Description", 's' }, { "model", "Model", 's' }, { "rank", "Rank", 'n' },
                { "alpha", "Alpha", 'n' }, { "modules", "Modules", 'a' },
                { "parameters", "Parameters", 'c' }, { "size", "SizeBytes", 'b' }, { "loss", "Loss", 'l' },
                { "evaluation", "EvaluationLoss", 'l' }, { "sha-256", "Digest", 's' },
                { "added", "Added", 't' }, { "made by job", "Job", 's' }, { 0 } };

        return ctl_object_show(
                        &options->common, "adapters", options->words.items[0], "adapter", fields, error);
}

static int open_output(const char *path, int *ret_fd, struct qvf_error *error)
{
        *ret_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (*ret_fd < 0)
                return qvf_error_set(error, CTL_FAILED, "%s: %s", path,
                                errno == EEXIST ? "is there already" : strerror(errno));
        return 0;
}

/* What was not written whole is not left behind. */
static int export_into(struct ctl *ctl, const struct adapter_options *options, const char *path, int config,
                struct qvf_error *error)
{
        _cleanup_options_ struct qvf_options *sent = qvf_options_new();
        const char *name = options->words.items[0];
        struct qvf_failure failure;
        _cleanup_close_ int fd = -1;
        int r = open_output(path, &fd, error);

        if (r != 0)
                return r;
        if (options->format == FORMAT_MODEL)
                ctl_send(model_options, &defaults, options, sent);
        else
                qvf_options_set_string(sent, "format", options->format == FORMAT_PEFT ? "peft" : "gguf");
        if (config >= 0)
                qvf_options_set_fd(sent, "config", config);
        r = qvf_call(ctl->client, "adapters", name,
                        options->format == FORMAT_MODEL ? "MergeIntoModel" : "Export", NULL, &failure, "hO",
                        fd, sent);
        if (r == 0 && fsync(fd) == 0)
                return 0;
        unlink(path);
        if (r == 0)
                return qvf_error_set(error, CTL_FAILED, "%s: %s", path, strerror(errno));
        return ctl_failed(error, &failure);
}

static int export_peft(struct ctl *ctl, const struct adapter_options *options, const char *folder,
                struct qvf_error *error)
{
        char tensors[4096], config[4096];
        _cleanup_close_ int fd = -1;
        int r;

        if (mkdir(folder, 0777) < 0 && errno != EEXIST)
                return qvf_error_set(
                                error, CTL_FAILED, "folder %s can't be made: %s", folder, strerror(errno));
        snprintf(tensors, sizeof(tensors), "%s/adapter_model.safetensors", folder);
        snprintf(config, sizeof(config), "%s/adapter_config.json", folder);
        r = open_output(config, &fd, error);
        if (r != 0)
                return r;
        r = export_into(ctl, options, tensors, fd, error);
        if (r != 0)
                unlink(config);
        return r;
}

static int run_export(const void *given, struct qvf_error *error)
{
        const struct adapter_options *options = given;
        const char *to = options->words.items[1];
        struct ctl *ctl = ctl_context();
        int r = ctl_connect(ctl, &options->common, error);

        if (r != 0)
                return r;
        r = options->format == FORMAT_PEFT ? export_peft(ctl, options, to, error)
                                           : export_into(ctl, options, to, -1, error);
        return r != 0 ? r : ctl_act(&options->common, error, 0, NULL, "%s is written", to);
}

/* PEFT stands in a folder: the file that is given has its description beside it. */
static int open_config(const struct adapter_options *options, const char *path, int *ret_fd,
                struct qvf_error *error)
{
        const char *end = strrchr(path, '.'), *slash = strrchr(path, '/');
        char beside[4096];

        if (options->config)
                return ctl_open_input(options->config, ret_fd, error);
        if (!end || strcmp(end, ".safetensors") != 0)
                return 0;
        snprintf(beside, sizeof(beside), "%.*sadapter_config.json", slash ? (int)(slash + 1 - path) : 0,
                        path);
        return ctl_open_input(beside, ret_fd, error);
}

static int run_import(const void *given, struct qvf_error *error)
{
        const struct adapter_options *options = given;
        const char *name = options->words.items[0], *path = options->words.items[1];
        _cleanup_options_ struct qvf_options *sent = qvf_options_new();
        _cleanup_close_ int fd = -1, config = -1;
        _cleanup_free_ char *model = NULL;
        struct ctl *ctl = ctl_context();
        struct qvf_failure failure;
        int r = ctl_open_input(path, &fd, error);

        if (r == 0)
                r = open_config(options, path, &config, error);
        if (r == 0)
                r = ctl_connect(ctl, &options->common, error);
        if (r == 0)
                r = ctl_default_model(ctl, options->model, &model, error);
        if (r != 0)
                return r;
        ctl_send(stored_options, &defaults, options, sent);
        if (config >= 0)
                qvf_options_set_fd(sent, "config", config);
        r = qvf_call(ctl->client, "manager", "", "ImportAdapter", NULL, &failure, "sshO", name, model, fd,
                        sent);
        return ctl_act(&options->common, error, r, &failure, "%s is stored", name);
}

static int run_merge(const void *given, struct qvf_error *error)
{
        const struct adapter_options *options = given;
        _cleanup_options_ struct qvf_options *sent = qvf_options_new();
        struct qvf_weight weights[BENCH_LIST_MAX];
        char names[BENCH_LIST_MAX][80];
        size_t count = options->words.count - 1;
        struct ctl *ctl = ctl_context();
        struct qvf_failure failure;
        int r;

        for (size_t i = 0; i < count; i++) {
                weights[i].name = names[i];
                r = ctl_parse_weight(options->words.items[i + 1], names[i], sizeof(names[i]),
                                &weights[i].weight, error);
                if (r != 0)
                        return r;
        }
        r = ctl_connect(ctl, &options->common, error);
        if (r != 0)
                return r;
        ctl_send(merge_options, &defaults, options, sent);
        ctl_send(stored_options, &defaults, options, sent);
        r = qvf_call(ctl->client, "manager", "", "MergeAdapters", NULL, &failure, "sWO",
                        options->words.items[0], weights, count, sent);
        return ctl_act(&options->common, error, r, &failure, "%s is stored", options->words.items[0]);
}

static int run_remove(const void *given, struct qvf_error *error)
{
        const struct adapter_options *options = given;
        const char *name = options->words.items[0];
        struct ctl *ctl = ctl_context();
        struct qvf_failure failure;
        int r = ctl_connect(ctl, &options->common, error);

        if (r != 0)
                return r;
        r = qvf_call(ctl->client, "adapters", name, "Remove", NULL, &failure, "");
        return ctl_act(&options->common, error, r, &failure, "%s is gone", name);
}

CTL_VERB(ctl_adapters, "adapters", "the adapters that are stored", "Lists the stored adapters.", list_groups,
                run_list);
CTL_VERB(ctl_adapters_list, "adapters list", "the adapters that are stored", "Lists the stored adapters.",
                list_groups, run_list);

CTL_VERB_TAKING(ctl_adapters_info, "adapters info", "all about one adapter",
                "Prints what is known about an adapter.", groups, "NAME", 1, 1, run_info);
CTL_VERB_TAKING(ctl_adapters_export, "adapters export", "write an adapter into a file",
                "Writes an adapter into a new file (or, for PEFT, folder), for other programs. "
                "docs/adapters.md says\nwhat each format can hold.",
                export_groups, "NAME TO", 2, 2, run_export);
CTL_VERB_TAKING(ctl_adapters_import, "adapters import", "store an adapter from a file",
                "Stores an adapter: a GGUF file, or adapter_model.safetensors of a PEFT folder.",
                import_groups, "NAME FILE", 2, 2, run_import);
CTL_VERB_TAKING(ctl_adapters_merge, "adapters merge", "sum adapters into a new one",
                "Sums adapters of one model, each times its weight (1 if none is given), into a new one.",
                merge_groups, "NEW NAME[:WEIGHT]…", 2, BENCH_LIST_MAX + 1, run_merge);
CTL_VERB_TAKING(ctl_adapters_remove, "adapters remove", "delete an adapter", "Deletes a stored adapter.",
                groups, "NAME", 1, 1, run_remove);
