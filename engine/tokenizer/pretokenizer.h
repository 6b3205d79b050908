/* SPDX-License-Identifier: Apache-2.0 */
/* How a "gpt2" vocabulary wants its text cut into words: by name, as tokenizer.ggml.pre says. */
#ifndef QVF_ENGINE_TOKENIZER_PRETOKENIZER_H
#define QVF_ENGINE_TOKENIZER_PRETOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qvf_scan_stage;

struct qvf_pretokenizer {
        const char *name;
        const struct qvf_scan_stage *stages; /* each cuts the pieces of the one before */
        size_t n_stages;
        bool whole_words; /* a word that is a token is that token, whatever its merges would give */
        bool add_bos;     /* where the file does not say */
};

/* NULL where the name is not known. */
const struct qvf_pretokenizer *qvf_pretokenizer_find(const char *name);

/* Calls `word` for every word of `text` in order; one that is not 0 ends it and is returned. `classes` is
 * what qvf_unicode_classify() said about `text`. */
typedef int (*qvf_pretokenizer_word)(void *context, size_t start, size_t end);
int qvf_pretokenizer_split(const struct qvf_pretokenizer *pretokenizer, const char *text,
                const uint8_t *classes, size_t length, qvf_pretokenizer_word word, void *context);

#endif
