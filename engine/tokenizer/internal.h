/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the tokenizer share. Others use tokenizer.h. */
#ifndef QVF_ENGINE_TOKENIZER_INTERNAL_H
#define QVF_ENGINE_TOKENIZER_INTERNAL_H

#include "engine/tokenizer/literals.h"
#include "engine/tokenizer/merge_table.h"
#include "engine/tokenizer/pretokenizer.h"
#include "engine/tokenizer/token_table.h"
#include "engine/tokenizer/tokenizer.h"

/* Far above all that is published: 262,144 tokens, 514,906 merges, a longest token of 512 bytes. */
#define QVF_TOKENS_LIMIT ((size_t)1 << 21)
#define QVF_MERGES_LIMIT ((size_t)1 << 22)
#define QVF_TOKEN_LENGTH_LIMIT ((size_t)4096)
#define QVF_TOKENS_BYTES_LIMIT ((size_t)64 << 20)

enum qvf_tokenizer_kind { QVF_TOKENIZER_LLAMA, QVF_TOKENIZER_GPT2 };

struct qvf_tokenizer {
        enum qvf_tokenizer_kind kind;
        /* Pieces, not names: "gpt2" tokens are translated to the bytes that they stand for, "llama" tokens
         * have spaces for U+2581. */
        struct qvf_token_table tokens;
        struct qvf_literals literals;
        int32_t text_ids[256]; /* the TEXT token of one byte */
        int32_t byte_ids[256]; /* what stands for a byte that no other token covers */
        int32_t named[QVF_NAMED_COUNT];
        bool add_bos, add_eos, add_space_prefix;
        unsigned missing_bytes;
        struct qvf_text assumed;

        const struct qvf_pretokenizer *pre; /* "gpt2" only */
        struct qvf_merge_table merges;
        size_t ignored_merges;

        uint32_t *ranks; /* "llama" only: of each token by its score, the best has the lowest */
};

/* A growing list of ids. */
struct qvf_id_list {
        int32_t *ids;
        size_t count, capacity;
};
int qvf_id_list_append(struct qvf_id_list *list, int32_t id);

/* Working memory of one encoding, used again for every word. */
struct qvf_merger {
        const struct qvf_tokenizer *tokenizer;
        struct qvf_symbol *symbols;
        size_t n_symbols;
        uint64_t *heap;
        size_t n_heap;
        size_t heap_capacity;
};
void qvf_merger_exit(struct qvf_merger *merger);
/* Appends the tokens of one word ("gpt2"), or of a text ("llama"). */
int qvf_merger_run(struct qvf_merger *merger, const char *bytes, size_t length, struct qvf_id_list *ids);

#endif
