/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a verb as a table, for qvf-bench and qvfctl: parsing, ranges, --help and the check against the man page all read the same
 * lines. */
#ifndef QVF_BENCH_OPTIONS_H
#define QVF_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define BENCH_LIST_MAX 16u

enum bench_option_type {
        BENCH_FLAG,    /* bool */
        BENCH_STRING,  /* const char * */
        BENCH_STRINGS, /* struct bench_strings; the option may be given several times */
        BENCH_COUNT,   /* uint32_t within least and most */
        BENCH_COUNTS,  /* struct bench_counts, "128,512" */
        BENCH_NUMBER,  /* float within least and most */
        BENCH_SEED,    /* struct bench_seed */
        BENCH_CHOICE,  /* uint32_t: the place in `choices`, "f16|f32|q8_0" */
};

struct bench_strings {
        const char *items[BENCH_LIST_MAX];
        uint32_t count;
};

struct bench_counts {
        uint32_t items[BENCH_LIST_MAX];
        uint32_t count;
};

struct bench_seed {
        uint64_t value;
        bool given;
};

struct bench_option {
        const char *name; /* NULL ends a table */
        char letter;      /* 0: none */
        enum bench_option_type type;
        size_t offset;        /* of its place in the verb's options */
        const char *argument; /* how help names the argument; for BENCH_CHOICE the choices */
        const char *help;
        double least, most;
};

struct bench_option_group {
        const struct bench_option *options; /* NULL ends a list of groups */
        size_t offset;                      /* added to that of each option */
};

struct bench_words { /* what stands on the command line beside the options */
        char **items;
        uint32_t count;
};

struct bench_verb {
        const char *name;
        const char *summary;
        const char *description; /* lines for --help */
        const struct bench_option_group *groups;
        const void *defaults;
        size_t options_size;
        /* Only of verbs that take words: how help names them, how many, and where in the options their struct
         * bench_words is. */
        const char *words;
        uint32_t words_least, words_most;
        size_t words_offset;
        const char *program; /* NULL: qvf-bench */
        /* 0, a negative errno with its words in `error`, or BENCH_USAGE where the options do not fit
         * together. */
        int (*run)(const void *options, struct qvf_error *error);
};

#define BENCH_USAGE 2 /* also the exit code */
#define BENCH_HELP 3  /* --help was asked for */

/* Fills `options`, a copy of the verb's defaults. 0, BENCH_USAGE with its words in `error`, or BENCH_HELP.
 */
int bench_options_parse(const struct bench_verb *verb, int argc, char **argv, void *options,
                struct qvf_error *error);
void bench_options_help(const struct bench_verb *verb);

/* How many letters must change to make `a` out of `b`. */
unsigned bench_distance(const char *a, const char *b);

#endif
