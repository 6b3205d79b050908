/* SPDX-License-Identifier: Apache-2.0 */
/* Where a verb's tokens come from: ids in an argument or a file, text in an argument or a file. */
#ifndef QVF_BENCH_TOKENS_H
#define QVF_BENCH_TOKENS_H

#include <stdint.h>

#include "bench/options.h"
#include "common/cleanup.h"
#include "common/text.h"
#include "engine/tokenizer/tokenizer.h"

#define BENCH_INPUT_LIMIT ((size_t)256 << 20)

struct bench_tokens {
        int32_t *ids;
        uint32_t count, capacity;
};

struct bench_token_options { /* exactly one is given */
        const char *ids, *ids_file, *text, *text_file, *jsonl_file;
};

extern const struct bench_option bench_token_option_table[];

void bench_tokens_exit(struct bench_tokens *tokens);
#define _cleanup_tokens_ _cleanup_(bench_tokens_exit)
int bench_tokens_append(struct bench_tokens *tokens, const int32_t *ids, size_t count);

/* "-" is standard input. */
int bench_read_file(const char *path, struct qvf_text *text, struct qvf_error *error);

/* Documents: what is not to be read as one text. A JSONL file has one on each line (its "text"), all else is one.
 * Every id is below n_vocab. BENCH_USAGE where the options give no source or more than one. */
struct bench_documents {
        struct bench_tokens *items;
        uint32_t count, capacity;
};

void bench_documents_exit(struct bench_documents *documents);
#define _cleanup_documents_ _cleanup_(bench_documents_exit)
int bench_documents_read(const struct bench_token_options *options, const struct qvf_tokenizer *tokenizer,
                uint32_t n_vocab, struct bench_documents *documents, struct qvf_error *error);

/* All documents as one. */
int bench_tokens_read(const struct bench_token_options *options, const struct qvf_tokenizer *tokenizer,
                uint32_t n_vocab, struct bench_tokens *tokens, struct qvf_error *error);
int bench_tokens_encode(const struct qvf_tokenizer *tokenizer, const char *text, size_t length,
                unsigned flags, struct bench_tokens *tokens, struct qvf_error *error);

#endif
