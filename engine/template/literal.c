/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/template/literal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/text.h"

struct escape {
        const char *bytes;
        uint32_t length, at;
};

/* Up to `most` digits of the base; exactly so many when `exact`. Returns how many, 0 if too few. */
static uint32_t read_digits(
                const struct escape *in, uint32_t base, uint32_t most, bool exact, uint32_t *ret_number)
{
        uint32_t count = 0, number = 0;

        while (count < most && in->at + count < in->length) {
                char c = in->bytes[in->at + count];
                uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                                 : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                                 : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                        : 99;

                if (digit >= base)
                        break;
                number = number * base + digit;
                count++;
        }
        *ret_number = number;
        return exact && count < most ? 0 : count;
}

/* Behind a backslash. Writes the character it stands for; returns its length, or 0 for a bad escape. */
static size_t resolve(struct escape *in, char out[4])
{
        static const char letters[] = "abfnrtv\\'\"";
        static const char values[] = "\a\b\f\n\r\t\v\\'\"";
        char c = in->bytes[in->at++];
        const char *letter = c ? memchr(letters, c, sizeof(letters) - 1) : NULL;
        uint32_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
        uint32_t codepoint, count;

        if (letter) {
                out[0] = values[letter - letters];
                return 1;
        }
        if (digits > 0 || (c >= '0' && c <= '7')) {
                if (digits == 0)
                        in->at--;
                count = read_digits(in, digits ? 16 : 8, digits ? digits : 3, digits > 0, &codepoint);
                if (count == 0 || codepoint > 0x10ffff)
                        return 0;
                in->at += count;
                return qvf_utf8_encode(codepoint, out);
        }
        if (c == 'N')
                return 0;
        out[0] = '\\'; /* an unknown escape stands for itself */
        out[1] = c;
        return 2;
}

/* Resolving makes nothing longer: the shortest escapes that make two bytes have four. */
static int append(struct jinja_parser *parser, char *out, uint32_t *length)
{
        struct escape in = { parser->token.text, parser->token.length, 0 };

        while (in.at < in.length) {
                uint32_t start = in.at;
                char bytes[4];
                size_t size;

                if (in.bytes[in.at] != '\\') {
                        out[(*length)++] = in.bytes[in.at++];
                        continue;
                }
                in.at++;
                if (in.bytes[in.at] == '\n') { /* a line goes on in the next */
                        in.at++;
                        continue;
                }
                size = resolve(&in, bytes);
                if (size == 0)
                        return qvf_jinja_parse_fail(parser, parser->token.offset + 1 + start,
                                        "expected an escape like \\n, \\x41 or \\u20ac");
                memcpy(out + *length, bytes, size);
                *length += (uint32_t)size;
        }
        return 0;
}

int qvf_jinja_literal_string(struct jinja_parser *parser, struct jinja_node *node)
{
        struct jinja_lexer ahead = parser->lexer;
        struct jinja_token token = parser->token;
        size_t total = 0, count = 0;
        char *out;
        int r;

        for (; token.kind == JINJA_TOKEN_STRING; count++) {
                total += token.length;
                r = qvf_jinja_lex(&ahead, &token);
                if (r < 0)
                        return r;
        }
        node->text = parser->token.text;
        node->length = parser->token.length;
        if (count == 1 && !memchr(node->text, '\\', node->length))
                return qvf_jinja_parse_next(parser);
        out = qvf_jinja_arena_allocate(parser->arena, total, 1);
        if (!out)
                return qvf_error_set(parser->lexer.error, -E2BIG, "the template is too complicated");
        node->text = out;
        node->length = 0;
        for (; count > 0; count--) {
                r = append(parser, out, &node->length);
                if (r >= 0)
                        r = qvf_jinja_parse_next(parser);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Copies the token without its underscores. */
static bool copy_number(const struct jinja_token *token, char text[64])
{
        size_t length = 0;

        for (uint32_t i = 0; i < token->length; i++) {
                if (token->text[i] == '_')
                        continue;
                if (length == 63)
                        return false;
                text[length++] = token->text[i];
        }
        text[length] = 0;
        return true;
}

int qvf_jinja_literal_integer(struct jinja_parser *parser, struct jinja_node *node)
{
        const struct jinja_token *token = &parser->token;
        char text[64], *digits = text, *end;
        int base = 10;

        if (!copy_number(token, text))
                return qvf_jinja_parse_unexpected(parser, "a number of less than 64 digits");
        if (text[0] == '0' && text[1] > '9') {
                base = (text[1] | 0x20) == 'x' ? 16 : (text[1] | 0x20) == 'o' ? 8 : 2;
                digits += 2;
        }
        errno = 0;
        node->integer = strtoll(digits, &end, base);
        if (errno == ERANGE)
                return qvf_jinja_parse_unexpected(parser, "an integer of 64 bits");
        if (*end || end == digits || *digits == '-' || *digits == '+' ||
                        (base == 10 && text[0] == '0' && strspn(text, "0") != strlen(text)))
                return qvf_jinja_parse_unexpected(parser, "a number");
        return qvf_jinja_parse_next(parser);
}

int qvf_jinja_literal_real(struct jinja_parser *parser, struct jinja_node *node)
{
        char text[64];

        if (!copy_number(&parser->token, text))
                return qvf_jinja_parse_unexpected(parser, "a number of less than 64 digits");
        node->real = strtod(text, NULL);
        return qvf_jinja_parse_next(parser);
}
