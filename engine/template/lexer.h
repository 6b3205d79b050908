/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts a template into tokens, with the white space control of trim_blocks and lstrip_blocks. */
#ifndef QVF_ENGINE_TEMPLATE_LEXER_H
#define QVF_ENGINE_TEMPLATE_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum jinja_token_kind {
        JINJA_TOKEN_END,
        JINJA_TOKEN_DATA,
        JINJA_TOKEN_OUTPUT_BEGIN,
        JINJA_TOKEN_OUTPUT_END,
        JINJA_TOKEN_BLOCK_BEGIN,
        JINJA_TOKEN_BLOCK_END,
        JINJA_TOKEN_NAME,
        JINJA_TOKEN_STRING, /* text is between the quotes, escapes not yet resolved */
        JINJA_TOKEN_INTEGER,
        JINJA_TOKEN_FLOAT,
        JINJA_TOKEN_OPERATOR,
};

struct jinja_token {
        enum jinja_token_kind kind;
        uint32_t offset;
        const char *text;
        uint32_t length;
};

/* May be copied to look ahead. */
struct jinja_lexer {
        const char *source;
        size_t length;
        size_t at;
        size_t brackets;           /* open ones in this tag: inside them "}}" ends nothing */
        enum jinja_token_kind tag; /* the kind of tag we are in, or DATA */
        bool line_starts;          /* the last thing taken ended in a newline */
        bool data_taken;           /* the text before the tag at `at` was handed out */
        struct qvf_error *error;
};

int qvf_jinja_lex(struct jinja_lexer *lexer, struct jinja_token *ret_token);

#endif
