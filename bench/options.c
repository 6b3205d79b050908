/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"

enum { OPTIONS_MAX = 64, LONG_BASE = 256, HELP_VALUE = LONG_BASE - 1 };

struct collected { /* a verb's options in the form of getopt_long */
        struct option long_options[OPTIONS_MAX + 2];
        char letters[3 * OPTIONS_MAX + 2];
        const struct bench_option *options[OPTIONS_MAX];
        size_t offsets[OPTIONS_MAX];
        uint32_t count;
};

unsigned bench_distance(const char *a, const char *b)
{
        enum { LONGEST = 31 };
        unsigned row[LONGEST + 1];
        size_t a_length = strnlen(a, LONGEST), b_length = strnlen(b, LONGEST);

        for (size_t j = 0; j <= b_length; j++)
                row[j] = (unsigned)j;
        for (size_t i = 1; i <= a_length; i++) {
                unsigned diagonal = row[0];

                row[0] = (unsigned)i;
                for (size_t j = 1; j <= b_length; j++) {
                        unsigned changed = diagonal + (a[i - 1] != b[j - 1]);
                        unsigned shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

                        diagonal = row[j];
                        row[j] = changed < shorter ? changed : shorter;
                }
        }
        return row[b_length];
}

/* Two tables of one verb must not use the same name or letter. */
static bool is_taken(const struct collected *collected, uint32_t count, const struct bench_option *option)
{
        for (uint32_t i = 0; i < count; i++)
                if ((option->letter && collected->options[i]->letter == option->letter) ||
                                strcmp(collected->options[i]->name, option->name) == 0)
                        return true;
        return option->letter == 'h' || strcmp(option->name, "help") == 0;
}

static void collect(const struct bench_verb *verb, struct collected *collected)
{
        size_t letters = 0;

        *collected = (struct collected){ 0 };
        collected->letters[letters++] = ':'; /* a missing argument is told from an unknown option */
        collected->letters[letters++] = 'h';
        for (const struct bench_option_group *group = verb->groups; group->options; group++)
                for (const struct bench_option *option = group->options; option->name; option++) {
                        uint32_t i = collected->count++;

                        if (i == OPTIONS_MAX || is_taken(collected, i, option))
                                abort(); /* a table of this program is wrong, and every call of the verb says so */
                        collected->options[i] = option;
                        collected->offsets[i] = group->offset + option->offset;
                        collected->long_options[i] = (struct option){
                                .name = option->name,
                                .has_arg = option->type == BENCH_FLAG ? no_argument : required_argument,
                                .val = LONG_BASE + (int)i,
                        };
                        if (option->letter) {
                                collected->letters[letters++] = option->letter;
                                if (option->type != BENCH_FLAG)
                                        collected->letters[letters++] = ':';
                        }
                }
        collected->long_options[collected->count] = (struct option){ .name = "help", .val = HELP_VALUE };
}

static int parse_u64(const char *text, uint64_t *ret_value)
{
        char *end;

        if (*text < '0' || *text > '9') /* strtoull would take spaces and a minus */
                return -EINVAL;
        errno = 0;
        *ret_value = strtoull(text, &end, 0);
        return errno || *end ? -EINVAL : 0;
}

static int wrong(const struct bench_option *option, const char *text, struct qvf_error *error)
{
        if (option->type == BENCH_CHOICE)
                return qvf_error_set(error, BENCH_USAGE, "--%s %s: expected one of %s", option->name, text,
                                option->argument);
        if (option->type == BENCH_SEED)
                return qvf_error_set(error, BENCH_USAGE, "--%s %s: expected a number of 64 bits",
                                option->name, text);
        return qvf_error_set(error, BENCH_USAGE, "--%s %s: expected %s from %g to %g", option->name, text,
                        option->type == BENCH_NUMBER   ? "a number"
                        : option->type == BENCH_COUNTS ? "whole numbers with commas between them,"
                                                       : "a whole number",
                        option->least, option->most);
}

static int set_count(const struct bench_option *option, const char *text, uint32_t *ret_count)
{
        uint64_t value;

        if (parse_u64(text, &value) < 0 || (double)value < option->least || (double)value > option->most ||
                        value > UINT32_MAX)
                return -EINVAL;
        *ret_count = (uint32_t)value;
        return 0;
}

static int set_counts(const struct bench_option *option, const char *text, struct bench_counts *counts)
{
        counts->count = 0; /* what is given replaces the default */
        while (*text) {
                char item[32];
                size_t length = strcspn(text, ",");

                if (length >= sizeof(item) || counts->count == BENCH_LIST_MAX)
                        return -EINVAL;
                memcpy(item, text, length);
                item[length] = 0;
                if (set_count(option, item, &counts->items[counts->count]) < 0)
                        return -EINVAL;
                counts->count++;
                text += length;
                if (*text == ',' && !*++text)
                        return -EINVAL;
        }
        return counts->count ? 0 : -EINVAL;
}

static int set_number(const struct bench_option *option, const char *text, float *ret_number)
{
        char *end;
        float value = strtof(text, &end);

        if (end == text || *end || !((double)value >= option->least && (double)value <= option->most))
                return -EINVAL;
        *ret_number = value;
        return 0;
}

static int set_choice(const struct bench_option *option, const char *text, uint32_t *ret_place)
{
        const char *choice = option->argument;

        for (uint32_t place = 0;; place++) {
                size_t length = strcspn(choice, "|");

                if (strlen(text) == length && memcmp(choice, text, length) == 0) {
                        *ret_place = place;
                        return 0;
                }
                if (!choice[length])
                        return -EINVAL;
                choice += length + 1;
        }
}

static int set_option(
                const struct bench_option *option, void *place, const char *text, struct qvf_error *error)
{
        struct bench_strings *strings;
        struct bench_seed *seed;
        int r = 0;

        switch (option->type) {
        case BENCH_FLAG: *(bool *)place = true; break;
        case BENCH_STRING: *(const char **)place = text; break;
        case BENCH_STRINGS:
                strings = place;
                if (strings->count == BENCH_LIST_MAX)
                        return qvf_error_set(error, BENCH_USAGE, "--%s is given more than %u times",
                                        option->name, BENCH_LIST_MAX);
                strings->items[strings->count++] = text;
                break;
        case BENCH_COUNT: r = set_count(option, text, place); break;
        case BENCH_COUNTS: r = set_counts(option, text, place); break;
        case BENCH_NUMBER: r = set_number(option, text, place); break;
        case BENCH_SEED:
                seed = place;
                r = parse_u64(text, &seed->value);
                seed->given = true;
                break;
        case BENCH_CHOICE: r = set_choice(option, text, place); break;
        }
        return r < 0 ? wrong(option, text, error) : 0;
}

static int unknown_option(const struct collected *collected, const char *word, struct qvf_error *error)
{
        const struct bench_option *nearest = NULL;
        unsigned least = 3; /* more changed letters than two are another word */

        for (uint32_t i = 0; i < collected->count && strncmp(word, "--", 2) == 0; i++) {
                unsigned distance = bench_distance(word + 2, collected->options[i]->name);

                if (distance < least) {
                        least = distance;
                        nearest = collected->options[i];
                }
        }
        if (nearest)
                return qvf_error_set(error, BENCH_USAGE, "unknown option %s; did you mean --%s?", word,
                                nearest->name);
        return qvf_error_set(error, BENCH_USAGE, "unknown option %s", word);
}

static int take_words(const struct bench_verb *verb, int count, char **items, void *options,
                struct qvf_error *error)
{
        if (count > 0 && !verb->words)
                return qvf_error_set(error, BENCH_USAGE, "'%s' is one word too many: %s takes options only",
                                items[0], verb->name);
        if ((uint32_t)count > verb->words_most)
                return qvf_error_set(error, BENCH_USAGE, "'%s' is one word too many: %s takes %s",
                                items[verb->words_most], verb->name, verb->words);
        if ((uint32_t)count < verb->words_least)
                return qvf_error_set(error, BENCH_USAGE, "%s needs %s", verb->name, verb->words);
        if (verb->words)
                *(struct bench_words *)((char *)options + verb->words_offset) =
                                (struct bench_words){ items, (uint32_t)count };
        return 0;
}

int bench_options_parse(
                const struct bench_verb *verb, int argc, char **argv, void *options, struct qvf_error *error)
{
        struct collected collected;
        int value;

        collect(verb, &collected);
        memcpy(options, verb->defaults, verb->options_size);
        opterr = 0;
        while ((value = getopt_long(argc, argv, collected.letters, collected.long_options, NULL)) != -1) {
                char letter[3] = { '-', (char)optopt, 0 };
                uint32_t i;
                int r;

                if (value == 'h' || value == HELP_VALUE)
                        return BENCH_HELP;
                if (value == ':')
                        return qvf_error_set(error, BENCH_USAGE, "%s needs an argument", argv[optind - 1]);
                if (value == '?')
                        return unknown_option(&collected,
                                        optopt > 0 && optopt < LONG_BASE ? letter : argv[optind - 1], error);
                for (i = 0; value < LONG_BASE && collected.options[i]->letter != value;)
                        i++;
                if (value >= LONG_BASE)
                        i = (uint32_t)value - LONG_BASE;
                r = set_option(collected.options[i], (char *)options + collected.offsets[i], optarg, error);
                if (r != 0)
                        return r;
        }
        return take_words(verb, argc - optind, argv + optind, options, error);
}

static void print_option(char letter, const char *name, const char *argument, const char *help)
{
        char left[96];

        snprintf(left, sizeof(left), "%c%c%s --%s%s%s", letter ? '-' : ' ', letter ? letter : ' ',
                        letter ? "," : " ", name, argument ? " " : "", argument ? argument : "");
        printf("  %-30s %s\n", left, help);
}

void bench_options_help(const struct bench_verb *verb)
{
        struct collected collected;

        collect(verb, &collected); /* for its checks: --help of every verb is tested */
        printf("Usage: %s %s [OPTION…]%s%s\n\n%s\n\n", verb->program ? verb->program : "qvf-bench",
                        verb->name, verb->words ? " " : "", verb->words ? verb->words : "",
                        verb->description);
        for (const struct bench_option_group *group = verb->groups; group->options; group++)
                for (const struct bench_option *option = group->options; option->name; option++)
                        print_option(option->letter, option->name, option->argument, option->help);
        print_option('h', "help", NULL, "this text");
}
