/* SPDX-License-Identifier: Apache-2.0 */
/* Text to token ids and back, as the vocabulary of a model file says.
 *
 * Two kinds: "llama" merges characters by score, as SentencePiece does, and falls back to bytes; "gpt2" cuts
 * text into words by the model's pre-tokenizer and merges bytes by rank. A tokenizer is never changed once
 * it is made, so any number of threads may use it. decode(encode(text)) is `text` to the last byte, also
 * where it is not UTF-8, as long as the vocabulary has all bytes (qvf_tokenizer_missing_bytes() says).
 * For that, U+2581 in the text is three bytes to a "llama" vocabulary. To SentencePiece it is a space, and would
 * come back as one. */
#ifndef QVF_ENGINE_TOKENIZER_TOKENIZER_H
#define QVF_ENGINE_TOKENIZER_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/text.h"

struct qvf_tokenizer;

struct qvf_token_string {
        const char *bytes;
        size_t length;
};

enum qvf_token_type { /* the numbers of tokenizer.ggml.token_type */
        QVF_TOKEN_TYPE_UNDEFINED = 0,
        QVF_TOKEN_TYPE_NORMAL = 1,
        QVF_TOKEN_TYPE_UNKNOWN = 2,
        QVF_TOKEN_TYPE_CONTROL = 3,
        QVF_TOKEN_TYPE_USER_DEFINED = 4,
        QVF_TOKEN_TYPE_UNUSED = 5,
        QVF_TOKEN_TYPE_BYTE = 6,
};

enum { QVF_TOKEN_NONE = -1 };

/* Tokens that a model file names by key. */
enum qvf_named_token {
        QVF_NAMED_BOS, /* begins a text */
        QVF_NAMED_EOS, /* ends a text */
        QVF_NAMED_EOT, /* ends a turn */
        QVF_NAMED_EOM, /* ends a message that asks for a tool */
        QVF_NAMED_UNKNOWN,
        QVF_NAMED_PADDING,
        QVF_NAMED_COUNT
};

/* What a model file says. The arrays are only read while qvf_tokenizer_new() runs. */
struct qvf_vocabulary {
        const char *model; /* "llama" or "gpt2" */
        const char *pre;   /* the pre-tokenizer's name; NULL: the file has none */
        size_t n_tokens;
        const struct qvf_token_string *tokens;
        const float *scores;  /* n_tokens of them; needed by "llama" */
        const int32_t *types; /* n_tokens of enum qvf_token_type, or NULL */
        size_t n_merges;      /* needed by "gpt2" */
        const struct qvf_token_string *merges;
        int32_t named[QVF_NAMED_COUNT]; /* QVF_TOKEN_NONE where the file has none */
        /* -1: the file does not say, the kind's default is taken. */
        int add_bos, add_eos, add_space_prefix;
};

/* A vocabulary in which nothing is said. */
struct qvf_vocabulary qvf_vocabulary_empty(void);

int qvf_tokenizer_new(const struct qvf_vocabulary *vocabulary, struct qvf_tokenizer **ret,
                struct qvf_error *error);
struct qvf_tokenizer *qvf_tokenizer_free(struct qvf_tokenizer *tokenizer);
QVF_DEFINE_CLEANUP(struct qvf_tokenizer *, qvf_tokenizer_free)

/* What had to be guessed about the vocabulary, in words for the log; "" where nothing was. */
const char *qvf_tokenizer_assumed(const struct qvf_tokenizer *tokenizer);
/* Merges that name tokens which the vocabulary lacks: they are left out. */
size_t qvf_tokenizer_ignored_merges(const struct qvf_tokenizer *tokenizer);
/* How many of the 256 bytes no token stands for: text that holds them becomes the unknown token, or loses
 * them. */
unsigned qvf_tokenizer_missing_bytes(const struct qvf_tokenizer *tokenizer);

size_t qvf_tokenizer_n_tokens(const struct qvf_tokenizer *tokenizer);
/* The name of the pre-tokenizer that is used; "" for the kind "llama". */
const char *qvf_tokenizer_pre(const struct qvf_tokenizer *tokenizer);
/* The id of a named token, QVF_TOKEN_NONE where the model has none. */
int32_t qvf_tokenizer_named(const struct qvf_tokenizer *tokenizer, enum qvf_named_token name);
bool qvf_tokenizer_adds_bos(const struct qvf_tokenizer *tokenizer);
bool qvf_tokenizer_adds_eos(const struct qvf_tokenizer *tokenizer);
/* The token that is written so, QVF_TOKEN_NONE where there is none; a special token goes before another. */
int32_t qvf_tokenizer_find(const struct qvf_tokenizer *tokenizer, const char *bytes, size_t length);

/* Special tokens steer the model and are no text: control tokens and the unknown token. */
bool qvf_tokenizer_is_special(const struct qvf_tokenizer *tokenizer, int32_t id);
/* Whether a model that says this token has nothing more to say. */
bool qvf_tokenizer_is_end(const struct qvf_tokenizer *tokenizer, int32_t id);
/* The bytes of one token, special ones too; length 0 where the id is none. They may be a part of a character
 * and may hold NUL; they live as long as the tokenizer. */
struct qvf_token_string qvf_tokenizer_piece(const struct qvf_tokenizer *tokenizer, int32_t id);

enum qvf_encode_flags {
        QVF_ENCODE_ADD_SPECIAL = 1 << 0, /* begin and end tokens, as the model asks for them */
        QVF_ENCODE_PARSE_SPECIAL =
                        1 << 1, /* "<|eot_id|>" in the text is the token. Never for text of others */
        /* The text goes on where other text ended: no space is put before it. */
        QVF_ENCODE_CONTINUES = 1 << 2,
};

#define QVF_ENCODE_LENGTH_LIMIT ((size_t)64 << 20)

/* -E2BIG above QVF_ENCODE_LENGTH_LIMIT bytes. *ret_ids is to be freed, and NULL where there are none. */
int qvf_tokenizer_encode(const struct qvf_tokenizer *tokenizer, const char *text, size_t length,
                unsigned flags, int32_t **ret_ids, size_t *ret_count, struct qvf_error *error);

/* The first special token that QVF_ENCODE_PARSE_SPECIAL would find at or after `from`; false where there is none. */
bool qvf_tokenizer_next_special(const struct qvf_tokenizer *tokenizer, const char *text, size_t length,
                size_t from, size_t *ret_start, size_t *ret_length, int32_t *ret_id);

/* SHA-256 of all that decides which tokens a text becomes: for caches of tokens. */
#define QVF_TOKENIZER_FINGERPRINT_BYTES 32
int qvf_tokenizer_fingerprint(const struct qvf_tokenizer *tokenizer,
                uint8_t ret_fingerprint[QVF_TOKENIZER_FINGERPRINT_BYTES]);

enum qvf_decode_flags {
        QVF_DECODE_SHOW_SPECIAL = 1 << 0, /* special tokens as they are written, not as nothing */
        /* The ids go on where other text ended: a leading space of the first one is part of the text. */
        QVF_DECODE_CONTINUES = 1 << 1,
};

/* Appends the bytes of all tokens, just as they are. -EINVAL names the place of an id that is none. */
int qvf_tokenizer_decode(const struct qvf_tokenizer *tokenizer, const int32_t *ids, size_t count,
                unsigned flags, struct qvf_text *text, struct qvf_error *error);

/* Decodes token by token to valid UTF-8: holds back the bytes of a character until it is whole, and writes
 * U+FFFD for bytes that can no longer become one. Owns nothing. */
struct qvf_detokenizer {
        const struct qvf_tokenizer *tokenizer;
        unsigned flags;
        bool strips_space; /* the next text loses the space that encoding put before it */
        size_t n_held;
        char held[4];
};

void qvf_detokenizer_init(
                struct qvf_detokenizer *detokenizer, const struct qvf_tokenizer *tokenizer, unsigned flags);
/* Appends what has become whole; -EINVAL where the id is none. On failure `text` may have grown. */
int qvf_detokenizer_push(struct qvf_detokenizer *detokenizer, int32_t id, struct qvf_text *text);
/* At the end: what is still held is no character and becomes U+FFFD. */
int qvf_detokenizer_flush(struct qvf_detokenizer *detokenizer, struct qvf_text *text);

#endif
