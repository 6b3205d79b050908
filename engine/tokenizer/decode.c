/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "engine/tokenizer/internal.h"

static bool is_id(const struct qvf_tokenizer *tokenizer, int32_t id)
{
        return id >= 0 && (size_t)id < tokenizer->tokens.n_tokens;
}

struct qvf_token_string qvf_tokenizer_piece(const struct qvf_tokenizer *tokenizer, int32_t id)
{
        if (!is_id(tokenizer, id))
                return (struct qvf_token_string){ "", 0 };
        return qvf_token_table_piece(&tokenizer->tokens, id);
}

bool qvf_tokenizer_is_special(const struct qvf_tokenizer *tokenizer, int32_t id)
{
        return is_id(tokenizer, id) && (tokenizer->tokens.flags[id] & QVF_TOKEN_SPECIAL);
}

bool qvf_tokenizer_is_end(const struct qvf_tokenizer *tokenizer, int32_t id)
{
        return is_id(tokenizer, id) && (tokenizer->tokens.flags[id] & QVF_TOKEN_END);
}

/* What a token adds to the text, given whether the space that encoding put before the text is still to come
 * off. */
static struct qvf_token_string text_of(
                const struct qvf_tokenizer *tokenizer, int32_t id, unsigned flags, bool *strips_space)
{
        struct qvf_token_string piece = qvf_token_table_piece(&tokenizer->tokens, id);

        if (tokenizer->tokens.flags[id] & QVF_TOKEN_SPECIAL) {
                *strips_space = tokenizer->add_space_prefix;
                if (!(flags & QVF_DECODE_SHOW_SPECIAL))
                        piece.length = 0;
        } else if (piece.length) {
                if (*strips_space && piece.bytes[0] == ' ') {
                        piece.bytes++;
                        piece.length--;
                }
                *strips_space = false;
        }
        return piece;
}

int qvf_tokenizer_decode(const struct qvf_tokenizer *tokenizer, const int32_t *ids, size_t count,
                unsigned flags, struct qvf_text *text, struct qvf_error *error)
{
        bool strips_space = tokenizer->add_space_prefix && !(flags & QVF_DECODE_CONTINUES);

        for (size_t i = 0; i < count; i++) {
                struct qvf_token_string piece;
                int r;

                if (!is_id(tokenizer, ids[i]))
                        return qvf_error_set(error, -EINVAL, "token %zu is %d, expected 0 to %zu", i, ids[i],
                                        tokenizer->tokens.n_tokens - 1);
                piece = text_of(tokenizer, ids[i], flags, &strips_space);
                r = qvf_text_append(text, piece.bytes, piece.length);
                if (r < 0)
                        return qvf_error_set(error, r, "no room for the text of %zu tokens", count);
        }
        return 0;
}

void qvf_detokenizer_init(
                struct qvf_detokenizer *detokenizer, const struct qvf_tokenizer *tokenizer, unsigned flags)
{
        *detokenizer = (struct qvf_detokenizer){
                .tokenizer = tokenizer,
                .flags = flags,
                .strips_space = tokenizer->add_space_prefix && !(flags & QVF_DECODE_CONTINUES),
        };
}

/* The range of the second byte after a first byte, and how many bytes the character has; 0: it begins none.
 */
static unsigned character_size(uint8_t first, uint8_t *ret_least, uint8_t *ret_most)
{
        *ret_least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        *ret_most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        if (first < 0x80)
                return 1;
        if (first >= 0xc2 && first <= 0xdf)
                return 2;
        if (first >= 0xe0 && first <= 0xef)
                return 3;
        return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

/* Whether the held bytes and `byte` can still become a character, or are one. */
static bool goes_on(const struct qvf_detokenizer *detokenizer, uint8_t byte, bool *ret_whole)
{
        uint8_t least, most;
        uint8_t first = detokenizer->n_held ? (uint8_t)detokenizer->held[0] : byte;
        unsigned size = character_size(first, &least, &most);

        *ret_whole = size == detokenizer->n_held + 1;
        if (size == 0 || detokenizer->n_held == 0)
                return size > 0;
        return detokenizer->n_held == 1 ? byte >= least && byte <= most : byte >= 0x80 && byte <= 0xbf;
}

static int push_byte(struct qvf_detokenizer *detokenizer, uint8_t byte, struct qvf_text *text)
{
        bool whole;
        int r;

        /* Bytes that begin a character and do not go on are one U+FFFD, and so is a byte that begins none.
         */
        if (!goes_on(detokenizer, byte, &whole)) {
                bool begun = detokenizer->n_held > 0;

                detokenizer->n_held = 0;
                r = qvf_text_append(text, "\xef\xbf\xbd", 3);
                return r < 0 || !begun ? r : push_byte(detokenizer, byte, text);
        }
        detokenizer->held[detokenizer->n_held++] = (char)byte;
        if (!whole)
                return 0;
        r = qvf_text_append(text, detokenizer->held, detokenizer->n_held);
        detokenizer->n_held = 0;
        return r;
}

int qvf_detokenizer_push(struct qvf_detokenizer *detokenizer, int32_t id, struct qvf_text *text)
{
        struct qvf_token_string piece;
        int r = 0;

        if (!is_id(detokenizer->tokenizer, id))
                return -EINVAL;
        piece = text_of(detokenizer->tokenizer, id, detokenizer->flags, &detokenizer->strips_space);
        for (size_t i = 0; i < piece.length && r == 0; i++)
                r = push_byte(detokenizer, (uint8_t)piece.bytes[i], text);
        return r;
}

int qvf_detokenizer_flush(struct qvf_detokenizer *detokenizer, struct qvf_text *text)
{
        if (detokenizer->n_held == 0)
                return 0;
        detokenizer->n_held = 0;
        return qvf_text_append(text, "\xef\xbf\xbd", 3);
}
