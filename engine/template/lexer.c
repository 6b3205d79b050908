/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/template/lexer.h"

#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "engine/template/characters.h"
#include "engine/template/node.h"

/* Longest first. */
static const char *const operators[] = { "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~",
        "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";" };

__attribute__((format(printf, 3, 4))) static int fail(
                const struct jinja_lexer *lexer, size_t offset, const char *format, ...)
{
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = qvf_jinja_fail_at(lexer->error, -EINVAL, lexer->source, offset, format, arguments);
        va_end(arguments);
        return r;
}

static char peek(const struct jinja_lexer *lexer, size_t offset)
{
        return offset < lexer->length ? lexer->source[offset] : 0;
}

static bool starts(const struct jinja_lexer *lexer, size_t offset, const char *text)
{
        size_t length = strlen(text);

        return offset <= lexer->length && length <= lexer->length - offset &&
               memcmp(lexer->source + offset, text, length) == 0;
}

static size_t skip_space(const struct jinja_lexer *lexer, size_t offset)
{
        size_t length;

        while ((length = qvf_jinja_space_length(lexer->source + offset, lexer->length - offset)) > 0)
                offset += length;
        return offset;
}

/* Moves past the end of a tag. '-' before it eats all white space behind it, otherwise one newline goes. */
static void leave_tag(struct jinja_lexer *lexer, size_t offset, char sign, bool trims_newline)
{
        size_t start = offset;

        if (sign == '-')
                offset = skip_space(lexer, offset);
        else if (trims_newline && sign != '+' && peek(lexer, offset) == '\n')
                offset++;
        lexer->line_starts = offset > start && lexer->source[offset - 1] == '\n';
        lexer->at = offset;
        lexer->tag = JINJA_TOKEN_DATA;
        lexer->data_taken = false;
}

/* Where the text from `from` to a tag at `to` ends once the tag's white space control was obeyed. */
static size_t data_end(const struct jinja_lexer *lexer, size_t from, size_t to, char sign, bool is_block)
{
        size_t line = to;

        if (sign == '-') {
                size_t length;

                while ((length = qvf_jinja_space_length_before(lexer->source + from, to - from)) > 0)
                        to -= length;
                return to;
        }
        if (sign == '+' || !is_block)
                return to;
        while (line > from && lexer->source[line - 1] != '\n')
                line--;
        if (line == from && !lexer->line_starts)
                return to;
        return skip_space(lexer, line) >= to ? line : to;
}

static char sign_at(const struct jinja_lexer *lexer, size_t offset)
{
        char sign = peek(lexer, offset);

        return sign == '-' || sign == '+' ? sign : 0;
}

static int skip_comment(struct jinja_lexer *lexer)
{
        const char *start = lexer->source + lexer->at + 2;
        const char *end = memmem(start, lexer->length - lexer->at - 2, "#}", 2);
        size_t offset;
        char sign = 0;

        if (!end)
                return fail(lexer, lexer->at, "the comment that begins here has no '#}'");
        offset = (size_t)(end - lexer->source);
        if (end > start)
                sign = sign_at(lexer, offset - 1);
        leave_tag(lexer, offset + 2, sign, true);
        return 0;
}

/* Is the tag at `at` {% raw %} (or endraw)? Then *ret_end is behind it and *ret_sign its closing sign. */
static bool is_raw_tag(const struct jinja_lexer *lexer, size_t at, const char *word, size_t *ret_end,
                char *ret_sign)
{
        size_t offset = at + 2;

        if (sign_at(lexer, offset))
                offset++;
        offset = skip_space(lexer, offset);
        if (!starts(lexer, offset, word))
                return false;
        offset = skip_space(lexer, offset + strlen(word));
        *ret_sign = sign_at(lexer, offset);
        if (*ret_sign)
                offset++;
        if (!starts(lexer, offset, "%}"))
                return false;
        *ret_end = offset + 2;
        return true;
}

/* `start` is behind {% raw %}. Takes everything up to and with {% endraw %}. */
static int take_raw(struct jinja_lexer *lexer, size_t start, char start_sign, struct jinja_token *token)
{
        size_t tag = lexer->at, end = 0;
        const char *found;
        char sign;

        leave_tag(lexer, start, start_sign, false);
        for (size_t at = lexer->at;; at = (size_t)(found - lexer->source) + 2) {
                found = memmem(lexer->source + at, lexer->length - at, "{%", 2);
                if (!found)
                        return fail(lexer, tag, "the raw block that begins here has no {%% endraw %%}");
                if (is_raw_tag(lexer, (size_t)(found - lexer->source), "endraw", &end, &sign))
                        break;
        }
        tag = (size_t)(found - lexer->source);
        token->kind = JINJA_TOKEN_DATA;
        token->offset = (uint32_t)lexer->at;
        token->text = lexer->source + lexer->at;
        token->length = (uint32_t)(data_end(lexer, lexer->at, tag, sign_at(lexer, tag + 2), true) -
                                   lexer->at);
        leave_tag(lexer, end, sign, true);
        return 0;
}

static size_t find_tag(const struct jinja_lexer *lexer, size_t at)
{
        for (; at < lexer->length; at++) {
                const char *brace = memchr(lexer->source + at, '{', lexer->length - at);
                char next;

                if (!brace)
                        return lexer->length;
                at = (size_t)(brace - lexer->source);
                next = peek(lexer, at + 1);
                if (next == '{' || next == '%' || next == '#')
                        return at;
        }
        return lexer->length;
}

/* Outside of tags. Hands out text, or enters the tag that stands at `at`. */
static int lex_data(struct jinja_lexer *lexer, struct jinja_token *token)
{
        for (;;) {
                size_t tag = lexer->data_taken ? lexer->at : find_tag(lexer, lexer->at);
                char next = peek(lexer, tag + 1), sign = sign_at(lexer, tag + 2);
                size_t end = tag < lexer->length ? data_end(lexer, lexer->at, tag, sign, next != '{') : tag;
                size_t raw_end;
                int r;

                *token = (struct jinja_token){ JINJA_TOKEN_DATA, (uint32_t)lexer->at,
                        lexer->source + lexer->at, (uint32_t)(end - lexer->at) };
                lexer->at = tag;
                lexer->data_taken = true;
                if (token->length > 0)
                        return 0;
                token->offset = (uint32_t)tag;
                if (tag == lexer->length) {
                        token->kind = JINJA_TOKEN_END;
                        return 0;
                }
                if (next == '#') {
                        r = skip_comment(lexer);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (next == '%' && is_raw_tag(lexer, tag, "raw", &raw_end, &sign) && sign != '+') {
                        r = take_raw(lexer, raw_end, sign, token);
                        if (r < 0 || token->length > 0)
                                return r;
                        continue;
                }
                token->kind = lexer->tag = next == '{' ? JINJA_TOKEN_OUTPUT_BEGIN : JINJA_TOKEN_BLOCK_BEGIN;
                lexer->at = tag + 2 + (sign_at(lexer, tag + 2) ? 1 : 0);
                lexer->brackets = 0;
                return 0;
        }
}

static bool lex_tag_end(struct jinja_lexer *lexer, struct jinja_token *token)
{
        bool is_block = lexer->tag == JINJA_TOKEN_BLOCK_BEGIN;
        const char *end = is_block ? "%}" : "}}";
        char sign = sign_at(lexer, lexer->at);

        if (lexer->brackets > 0 || (sign == '+' && !is_block))
                return false;
        if (!starts(lexer, lexer->at + (sign ? 1 : 0), end))
                return false;
        token->kind = is_block ? JINJA_TOKEN_BLOCK_END : JINJA_TOKEN_OUTPUT_END;
        token->length = sign ? 3 : 2;
        leave_tag(lexer, lexer->at + token->length, sign, is_block);
        return true;
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* Digits with single underscores between them; returns the offset behind. */
static size_t skip_digits(const struct jinja_lexer *lexer, size_t at)
{
        while (is_digit(peek(lexer, at)) || (peek(lexer, at) == '_' && is_digit(peek(lexer, at + 1))))
                at++;
        return at;
}

static void lex_number(struct jinja_lexer *lexer, struct jinja_token *token)
{
        size_t end = skip_digits(lexer, lexer->at);
        char second = peek(lexer, lexer->at + 1) | 0x20;
        bool after_dot = lexer->at > 0 && lexer->source[lexer->at - 1] == '.';

        token->kind = JINJA_TOKEN_INTEGER;
        if (token->text[0] == '0' && (second == 'x' || second == 'o' || second == 'b')) {
                end = lexer->at + 2;
                while (qvf_jinja_is_name_byte(peek(lexer, end)))
                        end++;
        } else if (!after_dot) {
                size_t exponent;

                if (peek(lexer, end) == '.' && is_digit(peek(lexer, end + 1))) {
                        end = skip_digits(lexer, end + 1);
                        token->kind = JINJA_TOKEN_FLOAT;
                }
                exponent = end + 1;
                if (peek(lexer, exponent) == '-' || peek(lexer, exponent) == '+')
                        exponent++;
                if ((peek(lexer, end) | 0x20) == 'e' && is_digit(peek(lexer, exponent))) {
                        end = skip_digits(lexer, exponent);
                        token->kind = JINJA_TOKEN_FLOAT;
                }
        }
        token->length = (uint32_t)(end - lexer->at);
}

static int lex_string(struct jinja_lexer *lexer, struct jinja_token *token)
{
        char quote = token->text[0];
        size_t at = lexer->at + 1;

        for (; at < lexer->length && lexer->source[at] != quote; at++)
                if (lexer->source[at] == '\\')
                        at++;
        if (at >= lexer->length)
                return fail(lexer, lexer->at, "the string that begins here has no closing %c", quote);
        token->kind = JINJA_TOKEN_STRING;
        token->text++;
        token->length = (uint32_t)(at - lexer->at - 1);
        lexer->at = at + 1;
        return 0;
}

static int lex_operator(struct jinja_lexer *lexer, struct jinja_token *token)
{
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(operators); i++) {
                if (!starts(lexer, lexer->at, operators[i]))
                        continue;
                token->kind = JINJA_TOKEN_OPERATOR;
                token->length = (uint32_t)strlen(operators[i]);
                if (strchr("([{", token->text[0]))
                        lexer->brackets++;
                else if (strchr(")]}", token->text[0]) && lexer->brackets > 0)
                        lexer->brackets--;
                lexer->at += token->length;
                return 0;
        }
        return fail(lexer, lexer->at, "unexpected character '%c' in a tag", token->text[0]);
}

int qvf_jinja_lex(struct jinja_lexer *lexer, struct jinja_token *token)
{
        char first;

        if (lexer->tag == JINJA_TOKEN_DATA)
                return lex_data(lexer, token);
        lexer->at = skip_space(lexer, lexer->at);
        *token = (struct jinja_token){ JINJA_TOKEN_END, (uint32_t)lexer->at, lexer->source + lexer->at, 0 };
        if (lexer->at == lexer->length || lex_tag_end(lexer, token))
                return 0;
        first = token->text[0];
        if (first == '\'' || first == '"')
                return lex_string(lexer, token);
        if (is_digit(first)) {
                lex_number(lexer, token);
        } else if (qvf_jinja_is_name_byte(first)) {
                token->kind = JINJA_TOKEN_NAME;
                while (token->length < lexer->length - lexer->at &&
                                qvf_jinja_is_name_byte(token->text[token->length]))
                        token->length++;
        } else {
                return lex_operator(lexer, token);
        }
        lexer->at += token->length;
        return 0;
}
