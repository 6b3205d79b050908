/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/template/parser.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "engine/template/literal.h"

#define NODE(kind, offset, ret_node) qvf_jinja_parse_node(parser, kind, offset, ret_node)

struct operator_name {
        const char *text;
        enum jinja_operator operation;
        unsigned level; /* the higher, the tighter it binds */
};

#define LEVELS 4

static const struct operator_name binary_operators[] = {
        { "+", JINJA_ADD, 0 },
        { "-", JINJA_SUBTRACT, 0 },
        { "~", JINJA_CONCAT, 1 },
        { "*", JINJA_MULTIPLY, 2 },
        { "/", JINJA_DIVIDE, 2 },
        { "//", JINJA_FLOOR_DIVIDE, 2 },
        { "%", JINJA_MODULO, 2 },
        { "**", JINJA_POWER, 3 },
};

static const struct operator_name comparisons[] = {
        { "==", JINJA_EQUAL, 0 },
        { "!=", JINJA_NOT_EQUAL, 0 },
        { "<", JINJA_LESS, 0 },
        { "<=", JINJA_LESS_EQUAL, 0 },
        { ">", JINJA_GREATER, 0 },
        { ">=", JINJA_GREATER_EQUAL, 0 },
};

static int parse_unary(struct jinja_parser *parser, bool with_filter, struct jinja_node **ret_node);
static int parse_primary(struct jinja_parser *parser, struct jinja_node **ret_node);
static int parse_postfix(struct jinja_parser *parser, struct jinja_node **node);

static bool is_word(const struct jinja_parser *parser, const char *word)
{
        return qvf_jinja_parse_at(parser, JINJA_TOKEN_NAME, word);
}

static bool is_operator(const struct jinja_parser *parser, const char *text)
{
        return qvf_jinja_parse_at(parser, JINJA_TOKEN_OPERATOR, text);
}

static int skip_operator(struct jinja_parser *parser, const char *text)
{
        return qvf_jinja_parse_skip(parser, JINJA_TOKEN_OPERATOR, text);
}

static int expect_operator(struct jinja_parser *parser, const char *text)
{
        return qvf_jinja_parse_expect(parser, JINJA_TOKEN_OPERATOR, text);
}

static enum jinja_operator find_operator(const struct jinja_parser *parser,
                const struct operator_name *table, size_t count, unsigned level)
{
        for (size_t i = 0; i < count; i++)
                if (table[i].level == level && is_operator(parser, table[i].text))
                        return table[i].operation;
        return JINJA_NO_OPERATOR;
}

static int parse_binary(struct jinja_parser *parser, unsigned level, struct jinja_node **ret_node)
{
        enum jinja_operator operation;
        struct jinja_node *left, *node;
        int r;

        if (level == LEVELS)
                return parse_unary(parser, true, ret_node);
        r = parse_binary(parser, level + 1, &left);
        if (r < 0)
                return r;
        while ((operation = find_operator(parser, binary_operators, QVF_ARRAY_LENGTH(binary_operators),
                                level)) != JINJA_NO_OPERATOR) {
                r = NODE(JINJA_NODE_BINARY, parser->token.offset, &node);
                if (r < 0)
                        return r;
                node->operation = (uint8_t)operation;
                node->a = left;
                r = qvf_jinja_parse_next(parser);
                if (r < 0)
                        return r;
                r = parse_binary(parser, level + 1, &node->b);
                if (r < 0)
                        return r;
                left = node;
        }
        *ret_node = left;
        return 0;
}

/* Steps over a comparison operator; *ret_operation is JINJA_NO_OPERATOR where there is none. */
static int skip_comparison(struct jinja_parser *parser, enum jinja_operator *ret_operation)
{
        struct jinja_token ahead;
        int r;

        *ret_operation = find_operator(parser, comparisons, QVF_ARRAY_LENGTH(comparisons), 0);
        if (*ret_operation != JINJA_NO_OPERATOR)
                return qvf_jinja_parse_next(parser);
        if (is_word(parser, "in")) {
                *ret_operation = JINJA_IN;
                return qvf_jinja_parse_next(parser);
        }
        if (!is_word(parser, "not"))
                return 0;
        r = qvf_jinja_parse_peek(parser, &ahead);
        if (r < 0)
                return r;
        if (ahead.kind != JINJA_TOKEN_NAME || ahead.length != 2 || memcmp(ahead.text, "in", 2) != 0)
                return 0;
        *ret_operation = JINJA_NOT_IN;
        r = qvf_jinja_parse_next(parser);
        return r < 0 ? r : qvf_jinja_parse_next(parser);
}

static int parse_compare(struct jinja_parser *parser, struct jinja_node **ret_node)
{
        struct jinja_chain chain = { 0 };
        struct jinja_node *first, *node;
        int r = parse_binary(parser, 0, &first);

        if (r < 0)
                return r;
        for (;;) {
                size_t offset = parser->token.offset;
                enum jinja_operator operation;

                r = skip_comparison(parser, &operation);
                if (r < 0)
                        return r;
                if (operation == JINJA_NO_OPERATOR)
                        break;
                r = NODE(JINJA_NODE_COMPARISON, offset, &node);
                if (r < 0)
                        return r;
                node->operation = (uint8_t)operation;
                r = parse_binary(parser, 0, &node->a);
                if (r < 0)
                        return r;
                qvf_jinja_chain_add(&chain, node);
        }
        *ret_node = first;
        if (!chain.first)
                return 0;
        r = NODE(JINJA_NODE_COMPARE, first->offset, ret_node);
        if (r < 0)
                return r;
        (*ret_node)->a = first;
        (*ret_node)->b = chain.first;
        return 0;
}

static int parse_not(struct jinja_parser *parser, struct jinja_node **ret_node)
{
        struct jinja_node **place = ret_node, *first = NULL;
        int r;

        /* A loop, not a recursion: "not not not …" may be long. */
        while (is_word(parser, "not")) {
                struct jinja_node *node;

                r = NODE(JINJA_NODE_NOT, parser->token.offset, &node);
                if (r < 0)
                        return r;
                r = qvf_jinja_parse_next(parser);
                if (r < 0)
                        return r;
                if (!first)
                        first = node;
                *place = node; /* NOLINT: NODE() made what it points into */
                place = &node->a;
        }
        r = parse_compare(parser, place);
        if (r >= 0 && first)
                *ret_node = first;
        return r;
}

/* "and" binds tighter than "or". */
static int parse_logic(struct jinja_parser *parser, bool is_or, struct jinja_node **ret_node)
{
        struct jinja_node *left, *node;
        int r = is_or ? parse_logic(parser, false, &left) : parse_not(parser, &left);

        if (r < 0)
                return r;
        while (is_word(parser, is_or ? "or" : "and")) {
                r = NODE(is_or ? JINJA_NODE_OR : JINJA_NODE_AND, parser->token.offset, &node);
                if (r < 0)
                        return r;
                r = qvf_jinja_parse_next(parser);
                if (r < 0)
                        return r;
                node->a = left;
                r = is_or ? parse_logic(parser, false, &node->b) : parse_not(parser, &node->b);
                if (r < 0)
                        return r;
                left = node;
        }
        *ret_node = left;
        return 0;
}

int qvf_jinja_parse_expression(
                struct jinja_parser *parser, bool with_condition, struct jinja_node **ret_node)
{
        struct jinja_node *value, *node;
        int r = qvf_jinja_parse_enter(parser);

        if (r < 0)
                return r;
        r = parse_logic(parser, true, &value);
        if (r < 0)
                return r;
        while (with_condition && is_word(parser, "if")) {
                r = NODE(JINJA_NODE_CONDITIONAL, parser->token.offset, &node);
                if (r < 0)
                        return r;
                r = qvf_jinja_parse_next(parser);
                if (r < 0)
                        return r;
                node->a = value;
                r = parse_logic(parser, true, &node->b);
                if (r < 0)
                        return r;
                r = qvf_jinja_parse_skip(parser, JINJA_TOKEN_NAME, "else");
                if (r > 0)
                        r = qvf_jinja_parse_expression(parser, true, &node->c);
                if (r < 0)
                        return r;
                value = node;
        }
        parser->depth--;
        *ret_node = value;
        return 0;
}

static bool ends_tuple(const struct jinja_parser *parser, const char *end_word)
{
        const struct jinja_token *token = &parser->token;

        return token->kind == JINJA_TOKEN_OUTPUT_END || token->kind == JINJA_TOKEN_BLOCK_END ||
               is_operator(parser, ")") || (end_word && is_word(parser, end_word));
}

int qvf_jinja_parse_tuple(struct jinja_parser *parser, bool with_condition, const char *end_word,
                struct jinja_node **ret_node)
{
        struct jinja_chain chain = { 0 };
        size_t offset = parser->token.offset;
        struct jinja_node *node;
        bool is_tuple = false;
        int r;

        while (!ends_tuple(parser, end_word)) {
                r = qvf_jinja_parse_expression(parser, with_condition, &node);
                if (r < 0)
                        return r;
                qvf_jinja_chain_add(&chain, node);
                r = skip_operator(parser, ",");
                if (r < 0)
                        return r;
                if (r == 0)
                        break;
                is_tuple = true;
        }
        if (!chain.first)
                return qvf_jinja_parse_unexpected(parser, "an expression");
        *ret_node = chain.first;
        if (!is_tuple)
                return 0;
        r = NODE(JINJA_NODE_TUPLE, offset, ret_node);
        if (r >= 0)
                (*ret_node)->a = chain.first;
        return r;
}

int qvf_jinja_parse_constant_name(
                struct jinja_parser *parser, const struct jinja_token *name, struct jinja_node **ret_node)
{
        static const struct {
                const char *word;
                enum jinja_node_kind kind;
        } words[] = { { "true", JINJA_NODE_TRUE }, { "True", JINJA_NODE_TRUE },
                { "false", JINJA_NODE_FALSE }, { "False", JINJA_NODE_FALSE }, { "none", JINJA_NODE_NULL },
                { "None", JINJA_NODE_NULL } };
        static const struct {
                const char *word;
                uint8_t flag;
        } special[] = { { "varargs", JINJA_MACRO_VARARGS }, { "kwargs", JINJA_MACRO_KWARGS },
                { "caller", JINJA_MACRO_CALLER } };
        enum jinja_node_kind kind = JINJA_NODE_NAME;
        int r;

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(words); i++)
                if (name->length == strlen(words[i].word) &&
                                memcmp(name->text, words[i].word, name->length) == 0)
                        kind = words[i].kind;
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(special); i++)
                if (name->length == strlen(special[i].word) &&
                                memcmp(name->text, special[i].word, name->length) == 0)
                        parser->special_names |= special[i].flag;
        r = NODE(kind, name->offset, ret_node);
        if (r >= 0 && kind == JINJA_NODE_NAME) {
                (*ret_node)->text = name->text;
                (*ret_node)->length = name->length;
        }
        return r;
}

static int parse_literal(struct jinja_parser *parser, struct jinja_node **ret_node)
{
        struct jinja_token token = parser->token;
        struct jinja_node *node;
        int r = NODE(JINJA_NODE_STRING, token.offset, &node);

        if (r < 0)
                return r;
        if (token.kind == JINJA_TOKEN_STRING) {
                r = qvf_jinja_literal_string(parser, node);
        } else if (token.kind == JINJA_TOKEN_INTEGER) {
                node->kind = JINJA_NODE_INTEGER;
                r = qvf_jinja_literal_integer(parser, node);
        } else {
                node->kind = JINJA_NODE_REAL;
                r = qvf_jinja_literal_real(parser, node);
        }
        *ret_node = node;
        return r;
}

/* Items up to the closing bracket, which is stepped over. A dict has pairs. */
static int parse_items(struct jinja_parser *parser, const char *close, bool is_dict, struct jinja_node *list)
{
        struct jinja_chain chain = { 0 };
        struct jinja_node *item, *key;
        int r;

        while (!is_operator(parser, close)) {
                if (chain.first) {
                        r = expect_operator(parser, ",");
                        if (r < 0)
                                return r;
                        if (is_operator(parser, close))
                                break;
                }
                r = qvf_jinja_parse_expression(parser, true, &item);
                if (r < 0)
                        return r;
                if (is_dict) {
                        key = item;
                        r = NODE(JINJA_NODE_PAIR, key->offset, &item);
                        if (r < 0)
                                return r;
                        item->a = key;
                        r = expect_operator(parser, ":");
                        if (r >= 0)
                                r = qvf_jinja_parse_expression(parser, true, &item->b);
                        if (r < 0)
                                return r;
                }
                qvf_jinja_chain_add(&chain, item);
        }
        list->a = chain.first;
        return qvf_jinja_parse_next(parser);
}

static int parse_primary(struct jinja_parser *parser, struct jinja_node **ret_node)
{
        struct jinja_token token = parser->token;
        int r;

        switch (token.kind) {
        case JINJA_TOKEN_NAME:
                r = qvf_jinja_parse_next(parser);
                return r < 0 ? r : qvf_jinja_parse_constant_name(parser, &token, ret_node);
        case JINJA_TOKEN_STRING:
        case JINJA_TOKEN_INTEGER:
        case JINJA_TOKEN_FLOAT: return parse_literal(parser, ret_node);
        default: break;
        }
        if (is_operator(parser, "(")) {
                r = qvf_jinja_parse_next(parser);
                if (r < 0)
                        return r;
                if (is_operator(parser, ")"))
                        r = NODE(JINJA_NODE_TUPLE, token.offset, ret_node);
                else
                        r = qvf_jinja_parse_tuple(parser, true, NULL, ret_node);
                return r < 0 ? r : expect_operator(parser, ")");
        }
        if (is_operator(parser, "[") || is_operator(parser, "{")) {
                bool is_dict = token.text[0] == '{';

                r = NODE(is_dict ? JINJA_NODE_DICT : JINJA_NODE_LIST, token.offset, ret_node);
                if (r >= 0)
                        r = qvf_jinja_parse_next(parser);
                return r < 0 ? r : parse_items(parser, is_dict ? "}" : "]", is_dict, *ret_node);
        }
        return qvf_jinja_parse_unexpected(parser, "an expression");
}

/* One argument of a call: value, name=value, *value or **value. */
static int parse_argument(struct jinja_parser *parser, struct jinja_node **ret_node)
{
        struct jinja_token token = parser->token, ahead;
        bool is_double = is_operator(parser, "**");
        int r;

        if (is_double || is_operator(parser, "*")) {
                r = NODE(is_double ? JINJA_NODE_DOUBLE_STAR : JINJA_NODE_STAR, token.offset, ret_node);
                if (r >= 0)
                        r = qvf_jinja_parse_next(parser);
                return r < 0 ? r : qvf_jinja_parse_expression(parser, true, &(*ret_node)->a);
        }
        if (token.kind == JINJA_TOKEN_NAME) {
                r = qvf_jinja_parse_peek(parser, &ahead);
                if (r < 0)
                        return r;
                if (ahead.kind == JINJA_TOKEN_OPERATOR && ahead.length == 1 && ahead.text[0] == '=') {
                        r = NODE(JINJA_NODE_KEYWORD, token.offset, ret_node);
                        if (r < 0)
                                return r;
                        (*ret_node)->text = token.text;
                        (*ret_node)->length = token.length;
                        r = qvf_jinja_parse_next(parser);
                        if (r >= 0)
                                r = qvf_jinja_parse_next(parser);
                        return r < 0 ? r : qvf_jinja_parse_expression(parser, true, &(*ret_node)->a);
                }
        }
        return qvf_jinja_parse_expression(parser, true, ret_node);
}

/* How late a kind of argument may come: plain ones first, then names, then *, then **. */
static unsigned argument_rank(const struct jinja_node *argument)
{
        switch (argument->kind) {
        case JINJA_NODE_KEYWORD: return 1;
        case JINJA_NODE_STAR: return 2;
        case JINJA_NODE_DOUBLE_STAR: return 3;
        default: return 0;
        }
}

static int parse_arguments(struct jinja_parser *parser, struct jinja_node **ret_arguments)
{
        struct jinja_chain chain = { 0 };
        struct jinja_node *argument;
        unsigned rank = 0;
        int r = expect_operator(parser, "(");

        if (r < 0)
                return r;
        while (!is_operator(parser, ")")) {
                if (chain.first) {
                        r = expect_operator(parser, ",");
                        if (r < 0)
                                return r;
                        if (is_operator(parser, ")"))
                                break;
                }
                r = parse_argument(parser, &argument);
                if (r < 0)
                        return r;
                if (argument_rank(argument) < rank || (rank >= 2 && argument_rank(argument) == rank))
                        return qvf_jinja_parse_fail(parser, argument->offset,
                                        "arguments come in the order value, name=value, *value, **value");
                rank = argument_rank(argument);
                qvf_jinja_chain_add(&chain, argument);
        }
        *ret_arguments = chain.first;
        return qvf_jinja_parse_next(parser);
}

static int parse_slice_part(struct jinja_parser *parser, struct jinja_node **ret_part)
{
        if (is_operator(parser, ":") || is_operator(parser, "]"))
                return 0;
        return qvf_jinja_parse_expression(parser, true, ret_part);
}

/* What stands in the brackets of a[…]. */
static int parse_index(struct jinja_parser *parser, struct jinja_node **ret_index)
{
        struct jinja_node *first = NULL, *slice;
        size_t offset = parser->token.offset;
        int r = parse_slice_part(parser, &first);

        if (r < 0)
                return r;
        *ret_index = first;
        if (!is_operator(parser, ":"))
                return first ? 0 : qvf_jinja_parse_unexpected(parser, "an expression");
        r = NODE(JINJA_NODE_SLICE, offset, &slice);
        if (r < 0)
                return r;
        slice->a = first;
        *ret_index = slice;
        r = qvf_jinja_parse_next(parser);
        if (r >= 0)
                r = parse_slice_part(parser, &slice->b);
        if (r >= 0)
                r = skip_operator(parser, ":");
        return r <= 0 ? r : parse_slice_part(parser, &slice->c);
}

static int parse_attribute(struct jinja_parser *parser, struct jinja_node *node)
{
        if (parser->token.kind == JINJA_TOKEN_INTEGER) {
                node->kind = JINJA_NODE_SUBSCRIPT;
                return parse_literal(parser, &node->b);
        }
        if (parser->token.kind != JINJA_TOKEN_NAME)
                return qvf_jinja_parse_unexpected(parser, "a name after '.'");
        node->text = parser->token.text;
        node->length = parser->token.length;
        return qvf_jinja_parse_next(parser);
}

static int parse_postfix(struct jinja_parser *parser, struct jinja_node **operand)
{
        struct jinja_node *node;
        int r;

        for (;;) {
                enum jinja_node_kind kind = is_operator(parser, ".")   ? JINJA_NODE_ATTRIBUTE
                                            : is_operator(parser, "[") ? JINJA_NODE_SUBSCRIPT
                                            : is_operator(parser, "(") ? JINJA_NODE_CALL
                                                                       : JINJA_NODE_KINDS;

                if (kind == JINJA_NODE_KINDS)
                        return 0;
                r = NODE(kind, parser->token.offset, &node);
                if (r < 0)
                        return r;
                node->a = *operand;
                *operand = node;
                if (kind == JINJA_NODE_CALL) {
                        r = parse_arguments(parser, &node->b);
                } else {
                        r = qvf_jinja_parse_next(parser);
                        if (r >= 0 && kind == JINJA_NODE_ATTRIBUTE)
                                r = parse_attribute(parser, node);
                        else if (r >= 0)
                                r = parse_index(parser, &node->b);
                        if (r >= 0 && kind == JINJA_NODE_SUBSCRIPT)
                                r = expect_operator(parser, "]");
                }
                if (r < 0)
                        return r;
        }
}

/* The name of a filter or test, which may have dots in it. */
static int parse_dotted_name(struct jinja_parser *parser, const char *expected, struct jinja_node *node)
{
        struct jinja_token name;
        int r = qvf_jinja_parse_name(parser, expected, &name);

        if (r < 0)
                return r;
        node->text = name.text;
        while (r >= 0 && is_operator(parser, ".")) {
                r = qvf_jinja_parse_next(parser);
                if (r >= 0)
                        r = qvf_jinja_parse_name(parser, "a name after '.'", &name);
        }
        node->length = (uint32_t)(name.text - node->text) + name.length;
        return r;
}

static bool starts_test_argument(const struct jinja_parser *parser)
{
        switch (parser->token.kind) {
        case JINJA_TOKEN_NAME:
                return !is_word(parser, "else") && !is_word(parser, "or") && !is_word(parser, "and") &&
                       !is_word(parser, "if");
        case JINJA_TOKEN_STRING:
        case JINJA_TOKEN_INTEGER:
        case JINJA_TOKEN_FLOAT: return true;
        case JINJA_TOKEN_OPERATOR: return is_operator(parser, "[") || is_operator(parser, "{");
        default: return false;
        }
}

/* `operand is [not] test [argument]`, behind "is". */
static int parse_test(struct jinja_parser *parser, struct jinja_node *operand, struct jinja_node **ret_node)
{
        struct jinja_node *node, *negation;
        size_t offset = parser->token.offset;
        int negated = qvf_jinja_parse_skip(parser, JINJA_TOKEN_NAME, "not");
        int r = negated < 0 ? negated : NODE(JINJA_NODE_TEST, parser->token.offset, &node);

        if (r < 0)
                return r;
        node->a = operand;
        r = parse_dotted_name(parser, "the name of a test after 'is'", node);
        if (r < 0)
                return r;
        if (is_operator(parser, "(")) {
                r = parse_arguments(parser, &node->b);
        } else if (starts_test_argument(parser)) {
                if (is_word(parser, "is"))
                        return qvf_jinja_parse_unexpected(parser, "no second 'is' without brackets");
                r = qvf_jinja_parse_enter(parser);
                if (r >= 0)
                        r = parse_primary(parser, &node->b);
                if (r >= 0)
                        r = parse_postfix(parser, &node->b);
                parser->depth--;
        }
        if (r < 0)
                return r;
        *ret_node = node;
        if (!negated)
                return 0;
        r = NODE(JINJA_NODE_NOT, offset, &negation);
        if (r < 0)
                return r;
        negation->a = node;
        *ret_node = negation;
        return 0;
}

int qvf_jinja_parse_filters(struct jinja_parser *parser, struct jinja_node *operand, bool inline_first,
                struct jinja_node **ret_node)
{
        struct jinja_node *node;
        int r;

        while (inline_first || is_operator(parser, "|")) {
                if (!inline_first) {
                        r = qvf_jinja_parse_next(parser);
                        if (r < 0)
                                return r;
                }
                inline_first = false;
                r = NODE(JINJA_NODE_FILTER, parser->token.offset, &node);
                if (r >= 0)
                        r = parse_dotted_name(parser, "the name of a filter after '|'", node);
                if (r >= 0 && is_operator(parser, "("))
                        r = parse_arguments(parser, &node->b);
                if (r < 0)
                        return r;
                node->a = operand;
                operand = node;
        }
        *ret_node = operand;
        return 0;
}

/* Filters, tests and calls in any order. */
static int parse_filter_expression(struct jinja_parser *parser, struct jinja_node **operand)
{
        struct jinja_node *node;
        int r;

        for (;;) {
                if (is_operator(parser, "|")) {
                        r = qvf_jinja_parse_filters(parser, *operand, false, operand);
                } else if (is_word(parser, "is")) {
                        r = qvf_jinja_parse_next(parser);
                        if (r >= 0)
                                r = parse_test(parser, *operand, operand);
                } else if (is_operator(parser, "(")) {
                        r = NODE(JINJA_NODE_CALL, parser->token.offset, &node);
                        if (r < 0)
                                return r;
                        node->a = *operand;
                        *operand = node;
                        r = parse_arguments(parser, &node->b);
                } else {
                        return 0;
                }
                if (r < 0)
                        return r;
        }
}

static int parse_unary(struct jinja_parser *parser, bool with_filter, struct jinja_node **ret_node)
{
        struct jinja_node *node;
        int r = qvf_jinja_parse_enter(parser);

        if (r < 0)
                return r;
        if (is_operator(parser, "-") || is_operator(parser, "+")) {
                r = NODE(is_operator(parser, "-") ? JINJA_NODE_NEGATE : JINJA_NODE_PLUS,
                                parser->token.offset, &node);
                if (r >= 0)
                        r = qvf_jinja_parse_next(parser);
                if (r >= 0)
                        r = parse_unary(parser, false, &node->a);
        } else {
                r = parse_primary(parser, &node);
        }
        if (r >= 0)
                r = parse_postfix(parser, &node);
        if (r >= 0 && with_filter)
                r = parse_filter_expression(parser, &node);
        parser->depth--;
        if (r >= 0)
                *ret_node = node;
        return r;
}
