/* SPDX-License-Identifier: Apache-2.0 */
/* What a tokenizer says about itself. */
#include "engine/tokenizer/internal.h"

const char *qvf_tokenizer_assumed(const struct qvf_tokenizer *tokenizer)
{
        return qvf_text_string(&tokenizer->assumed);
}

size_t qvf_tokenizer_ignored_merges(const struct qvf_tokenizer *tokenizer)
{
        return tokenizer->ignored_merges;
}

unsigned qvf_tokenizer_missing_bytes(const struct qvf_tokenizer *tokenizer)
{
        return tokenizer->missing_bytes;
}

size_t qvf_tokenizer_n_tokens(const struct qvf_tokenizer *tokenizer)
{
        return tokenizer->tokens.n_tokens;
}

const char *qvf_tokenizer_pre(const struct qvf_tokenizer *tokenizer)
{
        return tokenizer->pre ? tokenizer->pre->name : "";
}

int32_t qvf_tokenizer_named(const struct qvf_tokenizer *tokenizer, enum qvf_named_token name)
{
        return tokenizer->named[name];
}

bool qvf_tokenizer_adds_bos(const struct qvf_tokenizer *tokenizer)
{
        return tokenizer->add_bos && tokenizer->named[QVF_NAMED_BOS] != QVF_TOKEN_NONE;
}

bool qvf_tokenizer_adds_eos(const struct qvf_tokenizer *tokenizer)
{
        return tokenizer->add_eos && tokenizer->named[QVF_NAMED_EOS] != QVF_TOKEN_NONE;
}

int32_t qvf_tokenizer_find(const struct qvf_tokenizer *tokenizer, const char *bytes, size_t length)
{
        int32_t id = qvf_token_table_find(&tokenizer->tokens, bytes, length, QVF_TOKEN_SPECIAL);

        return id != QVF_TOKEN_NONE
                               ? id
                               : qvf_token_table_find(&tokenizer->tokens, bytes, length, QVF_TOKEN_TEXT);
}
