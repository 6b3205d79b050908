/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/template/parser.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/template/chat_template.h"

int qvf_jinja_fail_at(struct qvf_error *error, int code, const char *source, size_t offset,
                const char *format, va_list arguments)
{
        size_t line = 1, column = 1;
        char text[512];

        if (!error)
                return code;
        for (size_t i = 0; i < offset; i++) {
                if (source[i] == '\n') {
                        line++;
                        column = 1;
                } else if ((source[i] & 0xc0) != 0x80) {
                        column++;
                }
        }
        vsnprintf(text, sizeof(text), format, arguments);
        return qvf_error_set(error, code, "line %zu, column %zu: %s", line, column, text);
}

int qvf_jinja_parse_fail(struct jinja_parser *parser, size_t offset, const char *format, ...)
{
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = qvf_jinja_fail_at(parser->lexer.error, -EINVAL, parser->lexer.source, offset, format, arguments);
        va_end(arguments);
        return r;
}

int qvf_jinja_parse_unexpected(struct jinja_parser *parser, const char *expected)
{
        const struct jinja_token *token = &parser->token;
        int length = token->length < 40 ? (int)token->length : 40;

        if (token->kind == JINJA_TOKEN_END)
                return qvf_jinja_parse_fail(
                                parser, token->offset, "expected %s but the template ends", expected);
        if (token->kind == JINJA_TOKEN_DATA)
                return qvf_jinja_parse_fail(parser, token->offset, "expected %s but found text", expected);
        return qvf_jinja_parse_fail(parser, token->offset, "expected %s but found '%.*s'", expected, length,
                        token->text);
}

int qvf_jinja_parse_next(struct jinja_parser *parser)
{
        return qvf_jinja_lex(&parser->lexer, &parser->token);
}

int qvf_jinja_parse_peek(struct jinja_parser *parser, struct jinja_token *ret_token)
{
        struct jinja_lexer ahead = parser->lexer;

        return qvf_jinja_lex(&ahead, ret_token);
}

int qvf_jinja_parse_enter(struct jinja_parser *parser)
{
        if (parser->depth >= QVF_CHAT_PARSE_DEPTH)
                return qvf_jinja_parse_fail(parser, parser->token.offset,
                                "brackets or blocks are nested deeper than %d", QVF_CHAT_PARSE_DEPTH);
        parser->depth++;
        return 0;
}

bool qvf_jinja_parse_at(const struct jinja_parser *parser, enum jinja_token_kind kind, const char *text)
{
        const struct jinja_token *token = &parser->token;

        if (token->kind != kind)
                return false;
        return !text || (token->length == strlen(text) && memcmp(token->text, text, token->length) == 0);
}

int qvf_jinja_parse_skip(struct jinja_parser *parser, enum jinja_token_kind kind, const char *text)
{
        int r;

        if (!qvf_jinja_parse_at(parser, kind, text))
                return 0;
        r = qvf_jinja_parse_next(parser);
        return r < 0 ? r : 1;
}

int qvf_jinja_parse_expect(struct jinja_parser *parser, enum jinja_token_kind kind, const char *text)
{
        char quoted[24];

        if (!qvf_jinja_parse_at(parser, kind, text)) {
                snprintf(quoted, sizeof(quoted), "'%s'",
                                kind == JINJA_TOKEN_BLOCK_END    ? "%}"
                                : kind == JINJA_TOKEN_OUTPUT_END ? "}}"
                                                                 : text);
                return qvf_jinja_parse_unexpected(parser, quoted);
        }
        return qvf_jinja_parse_next(parser);
}

int qvf_jinja_parse_name(struct jinja_parser *parser, const char *expected, struct jinja_token *ret_name)
{
        if (parser->token.kind != JINJA_TOKEN_NAME)
                return qvf_jinja_parse_unexpected(parser, expected);
        *ret_name = parser->token;
        return qvf_jinja_parse_next(parser);
}

int qvf_jinja_parse_node(struct jinja_parser *parser, enum jinja_node_kind kind, size_t offset,
                struct jinja_node **ret_node)
{
        struct jinja_node *node = qvf_jinja_arena_allocate(parser->arena, sizeof(*node), 8);

        if (!node)
                return qvf_error_set(parser->lexer.error, -E2BIG, "the template is too complicated");
        *node = (struct jinja_node){
                .kind = (uint8_t)kind, .operation = JINJA_NO_OPERATOR, .offset = (uint32_t)offset
        };
        *ret_node = node;
        return 0;
}

void qvf_jinja_chain_add(struct jinja_chain *chain, struct jinja_node *node)
{
        if (!chain->end)
                chain->end = &chain->first;
        *chain->end = node;
        chain->end = &node->next;
}
