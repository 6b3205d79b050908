/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/internal.h"
#include "engine/tokenizer/unicode.h"

struct encoder {
        const struct qvf_tokenizer *tokenizer;
        struct qvf_merger merger;
        struct qvf_id_list ids;
        const char *part;  /* the text between two literal tokens that is encoded now */
        uint8_t *classes;  /* "gpt2": of the bytes of `part` */
        char *with_prefix; /* "llama": `part` with a space before it */
};

static void encoder_exit(struct encoder *encoder)
{
        qvf_merger_exit(&encoder->merger);
        free(encoder->ids.ids);
        free(encoder->classes);
        free(encoder->with_prefix);
}

static int encode_word(void *context, size_t start, size_t end)
{
        struct encoder *encoder = context;
        const struct qvf_tokenizer *tokenizer = encoder->tokenizer;
        const char *word = encoder->part + start;

        if (tokenizer->pre->whole_words && end - start <= tokenizer->tokens.longest) {
                int32_t id = qvf_token_table_find(&tokenizer->tokens, word, end - start, QVF_TOKEN_TEXT);

                if (id != QVF_TOKEN_NONE)
                        return qvf_id_list_append(&encoder->ids, id);
        }
        return qvf_merger_run(&encoder->merger, word, end - start, &encoder->ids);
}

/* Text without literal tokens. */
static int encode_part(struct encoder *encoder, const char *part, size_t length, bool first)
{
        const struct qvf_tokenizer *tokenizer = encoder->tokenizer;

        if (tokenizer->kind == QVF_TOKENIZER_GPT2) {
                encoder->part = part;
                qvf_unicode_classify(part, length, encoder->classes);
                return qvf_pretokenizer_split(
                                tokenizer->pre, part, encoder->classes, length, encode_word, encoder);
        }
        if (!first || !tokenizer->add_space_prefix)
                return qvf_merger_run(&encoder->merger, part, length, &encoder->ids);
        encoder->with_prefix[0] = ' ';
        memcpy(encoder->with_prefix + 1, part, length);
        return qvf_merger_run(&encoder->merger, encoder->with_prefix, length + 1, &encoder->ids);
}

static bool is_special(const struct qvf_tokenizer *tokenizer, int32_t id)
{
        return tokenizer->tokens.flags[id] & QVF_TOKEN_SPECIAL;
}

/* `first`: a text begins here, and again after each special token. */
static int encode_text(
                struct encoder *encoder, const char *text, size_t length, uint8_t literals, bool first)
{
        const struct qvf_tokenizer *tokenizer = encoder->tokenizer;
        struct qvf_literal_match match;
        size_t position = 0;
        int r;

        while (position < length) {
                bool found = qvf_literals_search(&tokenizer->literals, &tokenizer->tokens, text, length,
                                position, literals, &match);
                size_t end = found ? match.start : length;

                /* A user's token at the start has its space before it as a token of its own. */
                if (end > position || (first && found && !is_special(tokenizer, match.id))) {
                        r = encode_part(encoder, text + position, end - position, first);
                        if (r < 0)
                                return r;
                }
                if (!found)
                        break;
                r = qvf_id_list_append(&encoder->ids, match.id);
                if (r < 0)
                        return r;
                first = is_special(tokenizer, match.id);
                position = match.start + match.length;
        }
        return 0;
}

static int encode(struct encoder *encoder, const char *text, size_t length, unsigned flags)
{
        const struct qvf_tokenizer *tokenizer = encoder->tokenizer;
        const int32_t bos = tokenizer->named[QVF_NAMED_BOS], eos = tokenizer->named[QVF_NAMED_EOS];
        const bool parse = flags & QVF_ENCODE_PARSE_SPECIAL, add = flags & QVF_ENCODE_ADD_SPECIAL;
        int r = 0;

        encoder->classes = malloc(length + 1);
        encoder->with_prefix = malloc(length + 1);
        if (!encoder->classes || !encoder->with_prefix)
                return -ENOMEM;
        if (add && tokenizer->add_bos && bos != QVF_TOKEN_NONE)
                r = qvf_id_list_append(&encoder->ids, bos);
        if (r == 0)
                r = encode_text(encoder, text, length, QVF_TOKEN_LITERAL | (parse ? QVF_TOKEN_SPECIAL : 0),
                                !(flags & QVF_ENCODE_CONTINUES));
        if (r == 0 && add && tokenizer->add_eos && eos != QVF_TOKEN_NONE)
                r = qvf_id_list_append(&encoder->ids, eos);
        return r;
}

int qvf_tokenizer_encode(const struct qvf_tokenizer *tokenizer, const char *text, size_t length,
                unsigned flags, int32_t **ret_ids, size_t *ret_count, struct qvf_error *error)
{
        _cleanup_(encoder_exit) struct encoder encoder = { .tokenizer = tokenizer,
                .merger.tokenizer = tokenizer };
        int r;

        if (length > QVF_ENCODE_LENGTH_LIMIT)
                return qvf_error_set(error, -E2BIG,
                                "text of %zu bytes, expected at most %zu: cut it at a line", length,
                                QVF_ENCODE_LENGTH_LIMIT);
        r = encode(&encoder, text, length, flags);
        if (r < 0)
                return qvf_error_set(error, r, "no memory to encode a text of %zu bytes", length);
        *ret_ids = QVF_TAKE(encoder.ids.ids);
        *ret_count = encoder.ids.count;
        return 0;
}

bool qvf_tokenizer_next_special(const struct qvf_tokenizer *tokenizer, const char *text, size_t length,
                size_t from, size_t *ret_start, size_t *ret_length, int32_t *ret_id)
{
        struct qvf_literal_match match;

        /* Tokens of a user are looked for as well: what is a part of one is no special token. */
        while (qvf_literals_search(&tokenizer->literals, &tokenizer->tokens, text, length, from,
                        QVF_TOKEN_LITERAL | QVF_TOKEN_SPECIAL, &match)) {
                if (is_special(tokenizer, match.id)) {
                        *ret_start = match.start;
                        *ret_length = match.length;
                        *ret_id = match.id;
                        return true;
                }
                from = match.start + match.length;
        }
        return false;
}
