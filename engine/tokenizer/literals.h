/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the tokens that stand in text as they are written: special ones and those that a user has defined.
 */
#ifndef QVF_ENGINE_TOKENIZER_LITERALS_H
#define QVF_ENGINE_TOKENIZER_LITERALS_H

#include "engine/tokenizer/token_table.h"

struct qvf_literals {
        uint32_t *ids; /* sorted by their bytes; a shorter one goes before a longer one that begins with it
                        */
        uint32_t first[257]; /* where in ids those that begin with a byte start */
        bool has_text;       /* one of them is QVF_TOKEN_LITERAL */
};

int qvf_literals_init(struct qvf_literals *literals, const struct qvf_token_table *table);
void qvf_literals_exit(struct qvf_literals *literals);

struct qvf_literal_match {
        size_t start, length;
        int32_t id;
};

/* The first place at or after `from`, and there the longest token, that has one of `flags`. */
bool qvf_literals_search(const struct qvf_literals *literals, const struct qvf_token_table *table,
                const char *text, size_t length, size_t from, uint8_t flags,
                struct qvf_literal_match *ret_match);

#endif
