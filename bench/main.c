/* SPDX-License-Identifier: Apache-2.0 */
/* qvf-bench: runs the engine by hand, measures it and compares it. Exit codes: 0 done, 1 failed, 2 wrong
 * usage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/verbs.h"
#include "common/checked.h"
#include "common/cleanup.h"

static const struct bench_verb *const verbs[] = {
        &bench_adapter,
        &bench_eval,
        &bench_generate,
        &bench_info,
        &bench_logits,
        &bench_memory,
        &bench_perplexity,
        &bench_roofline,
        &bench_selftest,
        &bench_speed,
        &bench_train,
};

static void print_help(void)
{
        printf("Usage: qvf-bench VERB [OPTION…]\n\n"
               "Runs ternary language models by hand, measures them and compares them.\n\n");
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(verbs); i++)
                printf("  %-12s %s\n", verbs[i]->name, verbs[i]->summary);
        printf("\n  --help       this text; qvf-bench VERB --help: that verb's options\n"
               "  --version    the version\n\n"
               "Exit codes: 0 done, 1 failed, 2 wrong usage. See qvf-bench(1).\n");
}

static const struct bench_verb *find_verb(const char *name)
{
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(verbs); i++)
                if (strcmp(verbs[i]->name, name) == 0)
                        return verbs[i];
        return NULL;
}

static int unknown_verb(const char *name)
{
        const char *nearest = NULL;
        unsigned least = 4;

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(verbs); i++) {
                size_t length = strlen(name);
                unsigned distance = bench_distance(name, verbs[i]->name);

                /* "perp" is no misspelling, but its meaning is clear. */
                if (length >= 2 && strncmp(name, verbs[i]->name, length) == 0)
                        distance = 0;
                if (distance < least) {
                        least = distance;
                        nearest = verbs[i]->name;
                }
        }
        if (nearest)
                fprintf(stderr, "qvf-bench: there is no verb '%s'; did you mean '%s'?\n", name, nearest);
        else
                fprintf(stderr, "qvf-bench: there is no verb '%s'; qvf-bench --help lists them\n", name);
        return BENCH_USAGE;
}

static int run_verb(const struct bench_verb *verb, int argc, char **argv)
{
        _cleanup_free_ void *options = malloc(verb->options_size);
        struct qvf_error error = { 0 };
        int r;

        if (!options) {
                fprintf(stderr, "qvf-bench: out of memory\n");
                return EXIT_FAILURE;
        }
        r = bench_options_parse(verb, argc, argv, options, &error);
        if (r == BENCH_HELP) {
                bench_options_help(verb);
                return EXIT_SUCCESS;
        }
        if (r == 0)
                r = verb->run(options, &error);
        if (r != 0)
                fprintf(stderr, "qvf-bench %s: %s\n", verb->name, error.text[0] ? error.text : strerror(-r));
        if (r == BENCH_USAGE)
                fprintf(stderr, "qvf-bench %s --help lists the options\n", verb->name);
        if (fflush(stdout) != 0 || ferror(stdout)) {
                fprintf(stderr, "qvf-bench: can't write the output\n");
                return EXIT_FAILURE;
        }
        return r == 0 ? EXIT_SUCCESS : r == BENCH_USAGE ? BENCH_USAGE : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
        const struct bench_verb *verb;

        if (argc < 2) {
                fprintf(stderr, "qvf-bench: which verb? qvf-bench --help lists them\n");
                return BENCH_USAGE;
        }
        if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
                print_help();
                return EXIT_SUCCESS;
        }
        if (strcmp(argv[1], "--version") == 0) {
                printf("qvf-bench %s\n", QVF_VERSION);
                return EXIT_SUCCESS;
        }
        verb = find_verb(argv[1]);
        return verb ? run_verb(verb, argc - 1, argv + 1) : unknown_verb(argv[1]);
}
