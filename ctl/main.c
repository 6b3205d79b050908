/* SPDX-License-Identifier: Apache-2.0 */
/* qvfctl: everything that qvfd does, from a terminal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/text.h"
#include "ctl/ctl.h"
#include "ctl/json.h"
#include "ctl/verbs.h"

static const struct bench_verb *const verbs[] = {
        &ctl_status,
        &ctl_devices,
        &ctl_devices_reset,
        &ctl_devices_discover,
        &ctl_models,
        &ctl_models_list,
        &ctl_models_add,
        &ctl_models_info,
        &ctl_models_load,
        &ctl_models_unload,
        &ctl_models_remove,
        &ctl_train,
        &ctl_jobs,
        &ctl_job_show,
        &ctl_job_pause,
        &ctl_job_resume,
        &ctl_job_cancel,
        &ctl_job_retry,
        &ctl_job_remove,
        &ctl_job_priority,
        &ctl_job_logs,
        &ctl_job_plot,
        &ctl_infer,
        &ctl_chat,
        &ctl_adapters,
        &ctl_adapters_list,
        &ctl_adapters_info,
        &ctl_adapters_export,
        &ctl_adapters_import,
        &ctl_adapters_merge,
        &ctl_adapters_remove,
        &ctl_policy_explain,
        &ctl_policy_check,
        &ctl_policy_reload,
        &ctl_hold,
        &ctl_monitor,
        &ctl_doctor,
        &ctl_version,
};

static void print_help(void)
{
        printf("Usage: qvfctl [VERB] [OPTION…] [WORD…]\n\n"
               "Asks qvfd for answers, gives it training jobs, and shows what it does. Without a verb: "
               "status.\n\n");
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(verbs); i++)
                printf("  %-18s %s\n", verbs[i]->name, verbs[i]->summary);
        printf("\n  qvfctl VERB --help: that verb's options. --json prints JSON, of every verb.\n\n"
               "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 time-out, 4 not found, 5 denied, 6 nothing "
               "to do,\n"
               "8 qvfd is not running. See qvfctl(1).\n");
}

/* "job show": verbs of two words. The first word alone is one, too, where the table says so. */
static const struct bench_verb *find_verb(int argc, char **argv, int *ret_words)
{
        const struct bench_verb *found = NULL;

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(verbs); i++) {
                const char *name = verbs[i]->name;
                size_t first = strcspn(name, " ");
                bool one = !name[first];

                if (strlen(argv[1]) != first || memcmp(name, argv[1], first) != 0)
                        continue;
                if (one && !found) {
                        found = verbs[i];
                        *ret_words = 1;
                }
                if (!one && argc > 2 && strcmp(name + first + 1, argv[2]) == 0) {
                        found = verbs[i];
                        *ret_words = 2;
                }
        }
        return found;
}

/* A second word that is no verb of a first one that is: "models ad". */
static const char *near_second_word(const char *first, const char *word)
{
        size_t length = strlen(first);
        const char *nearest = NULL;
        unsigned least = 3;

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(verbs); i++) {
                const char *name = verbs[i]->name;

                if (strncmp(name, first, length) != 0 || name[length] != ' ')
                        continue;
                if (bench_distance(word, name + length + 1) < least) {
                        least = bench_distance(word, name + length + 1);
                        nearest = name;
                }
        }
        return nearest;
}

/* The verb whose name looks most like what was written: both words together, or the first one alone. */
static const char *nearest_verb(int argc, char **argv)
{
        bool two_words = argc > 2 && argv[2][0] != '-';
        const char *nearest = two_words ? near_second_word(argv[1], argv[2]) : NULL;
        unsigned least = 4;
        char both[64];

        if (nearest)
                return nearest;
        snprintf(both, sizeof(both), "%s %s", argv[1], two_words ? argv[2] : "");
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(verbs); i++) {
                const char *name = verbs[i]->name;
                bool two = strchr(name, ' ') != NULL;
                size_t length = strlen(argv[1]);
                unsigned distance = bench_distance(two ? both : argv[1], name);

                if (two && !two_words)
                        continue;
                if (!two && length >= 2 && strncmp(argv[1], name, length) == 0)
                        distance = 0;
                if (distance < least) {
                        least = distance;
                        nearest = name;
                }
        }
        return nearest;
}

static int unknown_verb(int argc, char **argv)
{
        const char *nearest = nearest_verb(argc, argv);
        struct qvf_error word;

        qvf_error_set(&word, 0, "%s", argv[1]); /* no control characters */
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(verbs); i++)
                if (strncmp(verbs[i]->name, argv[1], strlen(argv[1])) == 0 &&
                                verbs[i]->name[strlen(argv[1])] == ' ' && argc < 3) {
                        fprintf(stderr, "qvfctl: %s what? qvfctl --help lists the verbs\n", argv[1]);
                        return CTL_USAGE;
                }
        if (nearest)
                fprintf(stderr, "qvfctl: there is no verb '%s'; did you mean '%s'?\n", word.text, nearest);
        else
                fprintf(stderr, "qvfctl: there is no verb '%s'; qvfctl --help lists them\n", word.text);
        return CTL_USAGE;
}

static int tell_failure(const struct bench_verb *verb, int r, const struct qvf_error *error)
{
        struct ctl *ctl = ctl_context();

        fprintf(stderr, "qvfctl %s: %s\n", verb->name, error->text[0] ? error->text : "failed");
        if (r == CTL_USAGE)
                fprintf(stderr, "qvfctl %s --help lists the options\n", verb->name);
        if (r == CTL_NOT_RUNNING)
                fprintf(stderr, "start it with systemctl start qvfd, or for yourself alone: qvfctl "
                                "--private\n");
        if (ctl->json) {
                _cleanup_json_ struct json_object *whole = json_object_new_object();
                struct json_object *inner = json_object_new_object();

                json_object_object_add(inner, "exit", json_object_new_int(r));
                json_object_object_add(inner, "name", json_object_new_string(ctl->error_name));
                json_object_object_add(inner, "message", json_object_new_string(error->text));
                json_object_object_add(whole, "error", inner);
                ctl_json_print(whole, false);
        }
        return r;
}

static int run_verb(const struct bench_verb *verb, int argc, char **argv)
{
        _cleanup_free_ void *options = malloc(verb->options_size);
        struct qvf_error error = { 0 };
        const char *near;
        int r;

        if (!options) {
                fprintf(stderr, "qvfctl: out of memory\n");
                return CTL_FAILED;
        }
        r = bench_options_parse(verb, argc, argv, options, &error);
        if (r == BENCH_HELP) {
                bench_options_help(verb);
                return CTL_OK;
        }
        if (r == 0) {
                ctl_context()->json = ((const struct ctl_common *)options)->json;
                r = verb->run(options, &error);
        } else if (argc > 1 && argv[1][0] != '-') {
                near = near_second_word(verb->name, argv[1]);
                if (near)
                        qvf_error_set(&error, r, "there is no verb '%s %s'; did you mean '%s'?", verb->name,
                                        argv[1], near);
        }
        if (r < 0)
                r = CTL_FAILED;
        if (r != CTL_OK && error.text[0])
                tell_failure(verb, r, &error);
        ctl_disconnect(ctl_context());
        if (fflush(stdout) != 0 || ferror(stdout)) {
                fprintf(stderr, "qvfctl: can't write the output\n");
                return CTL_FAILED;
        }
        return r;
}

/* Whether the word behind an option that stands before the verb is its argument. */
static bool takes_argument(const char *word)
{
        for (const struct bench_option *option = ctl_common_options; option->name; option++)
                if (strncmp(word, "--", 2) == 0 && strcmp(word + 2, option->name) == 0)
                        return option->type != BENCH_FLAG;
        return false;
}

/* "qvfctl --json devices" is "qvfctl devices --json": moves what stands before the verb behind it. */
static void verb_first(int argc, char **argv)
{
        int verb = 1, words = 1;

        while (verb < argc && argv[verb][0] == '-')
                verb += takes_argument(argv[verb]) ? 2 : 1;
        if (verb == 1 || verb >= argc)
                return;
        find_verb(argc - verb + 1, argv + verb - 1, &words);
        for (int moved = 0; moved < words; moved++) {
                char *word = argv[verb + moved];

                memmove(argv + 2 + moved, argv + 1 + moved, (size_t)(verb - 1) * sizeof(*argv));
                argv[1 + moved] = word;
        }
}

int main(int argc, char **argv)
{
        static char status[] = "status";
        char *alone[] = { status, NULL };
        const struct bench_verb *verb;
        int words = 1;

        if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
                                        strcmp(argv[1], "help") == 0)) {
                print_help();
                return CTL_OK;
        }
        if (argc > 1 && strcmp(argv[1], "--version") == 0) {
                printf("qvfctl %s\n", QVF_VERSION);
                return CTL_OK;
        }
        /* Writing to somebody who left is an error of writing, not of this program. */
        signal(SIGPIPE, SIG_IGN);
        if (argc < 2)
                return run_verb(&ctl_status, 1, alone);
        verb_first(argc, argv);
        if (argv[1][0] == '-') /* options of status */
                return run_verb(&ctl_status, argc, argv);
        verb = find_verb(argc, argv, &words);
        return verb ? run_verb(verb, argc - words, argv + words) : unknown_verb(argc, argv);
}
