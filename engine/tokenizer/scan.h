/* SPDX-License-Identifier: Apache-2.0 */
/* The scanners that cut text into words. Each stands for one published regular expression, which is written
 * above it, and does in one pass what a backtracking engine would do with it: the first alternative that
 * matches wins. */
#ifndef QVF_ENGINE_TOKENIZER_SCAN_H
#define QVF_ENGINE_TOKENIZER_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/tokenizer/unicode.h"

/* Text up to `end`, with the classes that qvf_unicode_classify() gave its bytes. Nothing at `end` or later
 * is seen, so look-ahead takes the end of a piece for the end of the text. */
struct qvf_scan {
        const char *bytes;
        const uint8_t *classes;
        size_t end;
};

/* Where the piece that starts at `position` ends: after `position`, at or before scan->end. */
typedef size_t (*qvf_scan_function)(const struct qvf_scan *scan, size_t position, const void *rule);

struct qvf_scan_range {
        uint32_t first, last;
};

/* Which characters form a piece of their own; what lies between two pieces is one piece too. */
struct qvf_isolate_rule {
        uint8_t classes;                     /* any of these classes, */
        const char *ascii;                   /* or one of these characters, */
        const struct qvf_scan_range *ranges; /* or in one of these ranges */
        size_t n_ranges;
        bool negated;                                                     /* all other characters instead */
        enum { QVF_LEAD_NONE, QVF_LEAD_SPACE, QVF_LEAD_WHITESPACE } lead; /* one of these may go before */
        unsigned minimum, maximum; /* characters in a piece; maximum 0: no end */
        bool only_at_end;          /* only the run that reaches the end of the text */
};
size_t qvf_scan_isolate(const struct qvf_scan *scan, size_t position, const void *rule);

/* GPT-2's words; takes no rule. */
size_t qvf_scan_gpt2(const struct qvf_scan *scan, size_t position, const void *rule);

/* The words of Llama 3 and those after it. */
struct qvf_words_rule {
        bool contractions; /* 's 't 're 've 'm 'll 'd, in any case, are words */
        bool cased;        /* a new word begins where a capital follows a small letter */
        bool suffixes;     /* a contraction stays with the cased word before it */
        unsigned digits;   /* digits in one piece */
        const char *after; /* these bytes stay with punctuation before them */
};
size_t qvf_scan_words(const struct qvf_scan *scan, size_t position, const void *rule);

/* DeepSeek-V3's words; takes no rule. */
size_t qvf_scan_deepseek3(const struct qvf_scan *scan, size_t position, const void *rule);

#endif
