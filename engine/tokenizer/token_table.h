/* SPDX-License-Identifier: Apache-2.0 */
/* All tokens of a vocabulary in one run of bytes, and an open-addressing hash that finds them by their
 * bytes. */
#ifndef QVF_ENGINE_TOKENIZER_TOKEN_TABLE_H
#define QVF_ENGINE_TOKENIZER_TOKEN_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/tokenizer/tokenizer.h"

enum qvf_token_flags {
        QVF_TOKEN_TEXT = 1 << 0,    /* plain text can become this token */
        QVF_TOKEN_LITERAL = 1 << 1, /* wherever its bytes stand, before anything else is looked at */
        QVF_TOKEN_SPECIAL = 1 << 2, /* only where special tokens are parsed; no text */
        QVF_TOKEN_BYTE = 1 << 3,    /* stands for a byte that has no other token */
        QVF_TOKEN_END = 1 << 4,     /* ends generation */
};

struct qvf_token_table {
        size_t n_tokens;
        char *bytes;
        uint32_t *offsets; /* n_tokens + 1 of them, into bytes */
        uint8_t *flags;
        uint64_t *slots; /* lower half of the hash << 32 | id + 1; 0: empty */
        size_t n_slots;
        uint64_t key;
        size_t longest; /* length of the longest TEXT token */
        /* Bit b of byte a: the bytes a and b stand side by side in some TEXT token. */
        uint8_t neighbours[256][32];
};

/* Room for n_tokens with n_bytes in all; fill with qvf_token_table_add(), one id after the other. */
int qvf_token_table_init(struct qvf_token_table *table, size_t n_tokens, size_t n_bytes);
void qvf_token_table_exit(struct qvf_token_table *table);

/* Where the bytes of token `id`, the next one, are to be written. */
char *qvf_token_table_next(struct qvf_token_table *table, size_t id);
/* Takes `length` bytes that were written there. Of several TEXT tokens with the same bytes the first one is
 * found. */
void qvf_token_table_add(struct qvf_token_table *table, size_t id, size_t length, uint8_t flags);

/* The first token with these bytes that has one of `flags`, or QVF_TOKEN_NONE. */
int32_t qvf_token_table_find(
                const struct qvf_token_table *table, const char *bytes, size_t length, uint8_t flags);

static inline struct qvf_token_string qvf_token_table_piece(const struct qvf_token_table *table, int32_t id)
{
        return (struct qvf_token_string){ table->bytes + table->offsets[id],
                table->offsets[id + 1] - table->offsets[id] };
}

#endif
