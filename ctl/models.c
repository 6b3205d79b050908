/* SPDX-License-Identifier: Apache-2.0 */
/* models: list, add, info, load, unload, remove. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "ctl/json.h"
#include "ctl/lists.h"
#include "ctl/send.h"
#include "ctl/terminal.h"
#include "ctl/units.h"
#include "ctl/verbs.h"

struct model_options {
        struct ctl_common common;
        struct bench_words words;
        const char *name, *description;
        bool replace, force;
};

static const struct model_options defaults = { .common = CTL_COMMON_DEFAULTS };

#define AT(field) offsetof(struct model_options, field)

static const struct bench_option add_options[] = {
        { "name", 'n', BENCH_STRING, AT(name), "NAME",
                        "what it is called (default: the file's name up to the first dot)", 0, 0 },
        { 0 },
};
static const struct bench_option sent_add_options[] = {
        { "description", 'd', BENCH_STRING, AT(description), "TEXT", "a line for people", 0, 0 },
        { "replace", 'r', BENCH_FLAG, AT(replace), NULL, "take the place of a model of this name", 0, 0 },
        { 0 },
};
static const struct bench_option remove_options[] = {
        { "force", 'f', BENCH_FLAG, AT(force), NULL,
                        "also when it is used: cancels its jobs, closes its sessions, removes its adapters",
                        0, 0 },
        { 0 },
};

static const struct bench_option_group list_groups[] = { { ctl_watch_options, 0 }, { ctl_names_options, 0 },
        { ctl_common_options, 0 }, { 0 } };
static const struct bench_option_group add_groups[] = { { add_options, 0 }, { sent_add_options, 0 },
        { ctl_common_options, 0 }, { 0 } };
static const struct bench_option_group remove_groups[] = { { remove_options, 0 }, { ctl_common_options, 0 },
        { 0 } };
static const struct bench_option_group groups[] = { { ctl_common_options, 0 }, { 0 } };

static void print_models(const struct ctl *ctl, const struct qvf_value *objects)
{
        _cleanup_table_ struct ctl_table table;

        ctl_table_init(&table, "NAME|>PARAMETERS|>SIZE|FORMAT|>CONTEXT|STATE|DESCRIPTION");
        for (size_t i = 0; i < qvf_value_count(objects); i++) {
                const struct qvf_value *model = qvf_value_at(objects, i);
                const char *state = ctl_string(model, "State"), *device = ctl_string(model, "Device");

                ctl_table_add(&table, CTL_PLAIN, "%s", ctl_string(model, "Name"));
                ctl_table_add(&table, CTL_PLAIN, "%s", ctl_count(ctl_number(model, "Parameters")).text);
                ctl_table_add(&table, CTL_PLAIN, "%s", ctl_bytes(ctl_unsigned(model, "SizeBytes")).text);
                ctl_table_add(&table, CTL_PLAIN, "%s", ctl_string(model, "Format"));
                ctl_table_add(&table, CTL_PLAIN, "%.0f", ctl_number(model, "ContextLength"));
                ctl_table_add(&table,
                                strcmp(state, "loaded") == 0   ? CTL_GREEN
                                : strcmp(state, "failed") == 0 ? CTL_RED
                                                               : CTL_PLAIN,
                                "%s%s%s", state, *device ? " on " : "", device);
                ctl_table_add(&table, CTL_PLAIN, "%s",
                                strcmp(state, "failed") == 0 ? ctl_string(model, "Reason")
                                                             : ctl_string(model, "Description"));
        }
        ctl_table_print(&table, ctl->colour);
}

static int run_list(const void *given, struct qvf_error *error)
{
        const struct model_options *options = given;
        static const struct ctl_list list = { "models",
                "no model is stored: qvfctl models add FILE brings one", print_models };

        return ctl_list_show(&list, &options->common, error);
}

/* "Helper 29M.TQ2_0.gguf" is a model "helper-29m". */
static void name_of_file(const char *path, char name[65])
{
        const char *base = strrchr(path, '/');
        size_t length = 0;

        base = base ? base + 1 : path;
        for (; *base && *base != '.' && length < 64; base++)
                name[length++] = isalnum((unsigned char)*base) || strchr("_-", *base)
                                                 ? (char)tolower((unsigned char)*base)
                                                 : '-';
        name[length] = 0;
}

static int run_add(const void *given, struct qvf_error *error)
{
        const struct model_options *options = given;
        _cleanup_options_ struct qvf_options *sent = qvf_options_new();
        struct ctl *ctl = ctl_context();
        struct qvf_failure failure;
        _cleanup_close_ int fd = -1;
        char name[65];
        int r = ctl_open_input(options->words.items[0], &fd, error);

        if (r == 0)
                r = ctl_connect(ctl, &options->common, error);
        if (r != 0)
                return r;
        name_of_file(options->words.items[0], name);
        if (options->name)
                snprintf(name, sizeof(name), "%s", options->name);
        ctl_send(sent_add_options, &defaults, options, sent);
        if (qvf_call(ctl->client, "manager", "", "AddModel", NULL, &failure, "shO", name, fd, sent) < 0)
                return ctl_failed(error, &failure);
        if (options->common.json)
                return ctl_object_show(&options->common, "models", name, "model", NULL, error);
        printf("%s is stored\n", name);
        return 0;
}

static int run_info(const void *given, struct qvf_error *error)
{
        const struct model_options *options = given;
        static const struct ctl_field fields[] = { { "name", "Name", 's' },
                { "description", "Description", 's' }, { "architecture", "Architecture", 's' },
                { "format", "Format", 's' }, { "parameters", "Parameters", 'c' },
                { "size", "SizeBytes", 'b' }, { "layers", "Layers", 'n' }, { "width", "Width", 'n' },
                { "vocabulary", "Vocabulary", 'n' }, { "context", "ContextLength", 'n' },
                { "chat template", "HasChatTemplate", 'y' }, { "sha-256", "Digest", 's' },
                { "added", "Added", 't' }, { "state", "State", 's' }, { "reason", "Reason", 's' },
                { "device", "Device", 's' }, { "memory", "WorkerBytes", 'b' },
                { "process", "WorkerPid", 'n' }, { "last used", "LastUsed", 't' }, { 0 } };

        return ctl_object_show(&options->common, "models", options->words.items[0], "model", fields, error);
}

static int simple_call(const struct model_options *options, const char *method, const char *done,
                struct qvf_error *error)
{
        _cleanup_options_ struct qvf_options *sent = qvf_options_new();
        const char *name = options->words.items[0];
        bool remove = strcmp(method, "Remove") == 0;
        struct ctl *ctl = ctl_context();
        struct qvf_failure failure;
        int r = ctl_connect(ctl, &options->common, error);

        if (r != 0)
                return r;
        ctl_send(remove_options, &defaults, options, sent);
        r = remove ? qvf_call(ctl->client, "models", name, method, NULL, &failure, "O", sent)
                   : qvf_call(ctl->client, "models", name, method, NULL, &failure, "");
        return ctl_act(&options->common, error, r, &failure, "%s %s", name, done);
}

static int run_load(const void *given, struct qvf_error *error)
{
        return simple_call(given, "Load", "is loaded", error);
}

static int run_unload(const void *given, struct qvf_error *error)
{
        return simple_call(given, "Unload", "is not in memory any more", error);
}

static int run_remove(const void *given, struct qvf_error *error)
{
        return simple_call(given, "Remove", "is gone", error);
}

CTL_VERB(ctl_models, "models", "the models that are stored", "Lists the stored models.", list_groups,
                run_list);
CTL_VERB(ctl_models_list, "models list", "the models that are stored", "Lists the stored models.",
                list_groups, run_list);

CTL_VERB_TAKING(ctl_models_add, "models add", "store a model",
                "Stores a GGUF file with a ternary model. It is copied, checked and described.", add_groups,
                "FILE", 1, 1, run_add);
CTL_VERB_TAKING(ctl_models_info, "models info", "all about one model", "Prints what is known about a model.",
                groups, "NAME", 1, 1, run_info);
CTL_VERB_TAKING(ctl_models_load, "models load", "load a model now",
                "Loads a model, so that the first answer is quick; returns when it is there.", groups,
                "NAME", 1, 1, run_load);
CTL_VERB_TAKING(ctl_models_unload, "models unload", "take a model out of memory",
                "Takes a model out of memory, unless it trains or answers.", groups, "NAME", 1, 1,
                run_unload);
CTL_VERB_TAKING(ctl_models_remove, "models remove", "delete a model", "Deletes a stored model.",
                remove_groups, "NAME", 1, 1, run_remove);
