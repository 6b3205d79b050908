/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/template/parser.h"

#include <errno.h>
#include <string.h>

#include "common/checked.h"

#define NODE(kind, offset, ret_node) qvf_jinja_parse_node(parser, kind, offset, ret_node)

/* The words that end a body; NULL: only the end of the template does. */
struct ends {
        const char *words[3];
};

struct statement {
        const char *word;
        int (*parse)(struct jinja_parser *parser, size_t offset, struct jinja_node **ret_node);
};

static int parse_body(struct jinja_parser *parser, const struct ends *ends, struct jinja_node **ret_body);

static bool is_word(const struct jinja_parser *parser, const char *word)
{
        return qvf_jinja_parse_at(parser, JINJA_TOKEN_NAME, word);
}

static int skip_word(struct jinja_parser *parser, const char *word)
{
        return qvf_jinja_parse_skip(parser, JINJA_TOKEN_NAME, word);
}

static int expect_block_end(struct jinja_parser *parser)
{
        return qvf_jinja_parse_expect(parser, JINJA_TOKEN_BLOCK_END, NULL);
}

/* "%}", the body, and the word that ends it ("%}" is left for the caller of the statement). */
static int parse_block(struct jinja_parser *parser, const char *end_word, struct jinja_node **ret_body)
{
        struct ends ends = { { end_word } };
        int r = expect_block_end(parser);

        if (r >= 0)
                r = parse_body(parser, &ends, ret_body);
        return r < 0 ? r : qvf_jinja_parse_next(parser);
}

static int parse_if(struct jinja_parser *parser, size_t offset, struct jinja_node **ret_node)
{
        static const struct ends ends = { { "elif", "else", "endif" } };
        struct jinja_node *node, *first = NULL, **place = &first;
        int r;

        do {
                r = NODE(JINJA_NODE_IF, offset, &node);
                if (r < 0)
                        return r;
                *place = node;
                r = qvf_jinja_parse_tuple(parser, false, NULL, &node->a);
                if (r >= 0)
                        r = expect_block_end(parser);
                if (r >= 0)
                        r = parse_body(parser, &ends, &node->b);
                if (r < 0)
                        return r;
                place = &node->c;
                offset = parser->token.offset;
                node->operation = is_word(parser, "elif");
                r = skip_word(parser, "elif");
        } while (r > 0);
        if (r >= 0 && is_word(parser, "else")) {
                r = qvf_jinja_parse_next(parser);
                if (r >= 0)
                        r = parse_block(parser, "endif", &node->c);
        } else if (r >= 0) {
                r = qvf_jinja_parse_next(parser);
        }
        *ret_node = first;
        return r;
}

static int parse_for(struct jinja_parser *parser, size_t offset, struct jinja_node **ret_node)
{
        static const struct ends ends = { { "else", "endfor" } };
        struct jinja_node *node, *parts;
        int r = NODE(JINJA_NODE_FOR, offset, &node);

        if (r >= 0)
                r = NODE(JINJA_NODE_FOR_PARTS, offset, &parts);
        if (r < 0)
                return r;
        node->c = parts;
        r = qvf_jinja_parse_target(parser, false, &node->a);
        if (r >= 0)
                r = qvf_jinja_parse_expect(parser, JINJA_TOKEN_NAME, "in");
        if (r >= 0)
                r = qvf_jinja_parse_tuple(parser, false, "recursive", &node->b);
        if (r >= 0)
                r = skip_word(parser, "if");
        if (r > 0)
                r = qvf_jinja_parse_expression(parser, true, &parts->a);
        if (r < 0)
                return r;
        if (is_word(parser, "recursive"))
                return qvf_jinja_parse_fail(
                                parser, parser->token.offset, "recursive loops are not supported");
        r = expect_block_end(parser);
        parser->loops++;
        if (r >= 0)
                r = parse_body(parser, &ends, &parts->b);
        parser->loops--;
        if (r < 0)
                return r;
        *ret_node = node;
        r = skip_word(parser, "else");
        if (r > 0)
                return parse_block(parser, "endfor", &parts->c);
        return r < 0 ? r : qvf_jinja_parse_next(parser);
}

static int parse_set(struct jinja_parser *parser, size_t offset, struct jinja_node **ret_node)
{
        struct jinja_node *node, *captured;
        int r = NODE(JINJA_NODE_SET, offset, &node);

        if (r >= 0)
                r = qvf_jinja_parse_target(parser, true, &node->a);
        if (r < 0)
                return r;
        *ret_node = node;
        r = qvf_jinja_parse_skip(parser, JINJA_TOKEN_OPERATOR, "=");
        if (r > 0)
                return qvf_jinja_parse_tuple(parser, true, NULL, &node->b);
        if (r < 0)
                return r;
        node->kind = JINJA_NODE_SET_BLOCK;
        if (qvf_jinja_parse_at(parser, JINJA_TOKEN_OPERATOR, "|")) {
                r = NODE(JINJA_NODE_CAPTURED, offset, &captured);
                if (r >= 0)
                        r = qvf_jinja_parse_filters(parser, captured, false, &node->b);
        } else if (parser->token.kind != JINJA_TOKEN_BLOCK_END) {
                return qvf_jinja_parse_unexpected(parser, "'=' or '%}'");
        }
        return r < 0 ? r : parse_block(parser, "endset", &node->c);
}

/* "(name, name=default, …)" */
static int parse_parameters(struct jinja_parser *parser, struct jinja_node **ret_parameters)
{
        struct jinja_chain chain = { 0 };
        struct jinja_node *parameter;
        struct jinja_token name;
        bool defaults = false;
        int r = qvf_jinja_parse_expect(parser, JINJA_TOKEN_OPERATOR, "(");

        while (r >= 0 && !qvf_jinja_parse_at(parser, JINJA_TOKEN_OPERATOR, ")")) {
                if (chain.first) {
                        r = qvf_jinja_parse_expect(parser, JINJA_TOKEN_OPERATOR, ",");
                        if (r < 0)
                                return r;
                }
                r = qvf_jinja_parse_name(parser, "the name of a parameter", &name);
                if (r >= 0)
                        r = NODE(JINJA_NODE_PARAMETER, name.offset, &parameter);
                if (r < 0)
                        return r;
                parameter->text = name.text;
                parameter->length = name.length;
                qvf_jinja_chain_add(&chain, parameter);
                r = qvf_jinja_parse_skip(parser, JINJA_TOKEN_OPERATOR, "=");
                if (r > 0) {
                        defaults = true;
                        r = qvf_jinja_parse_expression(parser, true, &parameter->a);
                } else if (r == 0 && defaults) {
                        return qvf_jinja_parse_unexpected(
                                        parser, "'=': a parameter behind one with a default needs one too");
                }
        }
        *ret_parameters = chain.first;
        return r < 0 ? r : qvf_jinja_parse_next(parser);
}

/* Parses a macro's body, and notes which of the special names it uses. */
static int parse_macro_body(struct jinja_parser *parser, const char *end_word, struct jinja_node *macro)
{
        uint8_t outer_names = parser->special_names;
        unsigned outer_loops = parser->loops;
        int r;

        parser->special_names = 0;
        parser->loops = 0;
        r = parse_block(parser, end_word, &macro->b);
        macro->operation = parser->special_names;
        parser->special_names = outer_names;
        parser->loops = outer_loops;
        return r;
}

static int parse_macro(struct jinja_parser *parser, size_t offset, struct jinja_node **ret_node)
{
        struct jinja_token name;
        struct jinja_node *node;
        int r = NODE(JINJA_NODE_MACRO, offset, &node);

        if (r >= 0)
                r = qvf_jinja_parse_name(parser, "the name of the macro", &name);
        if (r < 0)
                return r;
        node->text = name.text;
        node->length = name.length;
        *ret_node = node;
        r = parse_parameters(parser, &node->a);
        return r < 0 ? r : parse_macro_body(parser, "endmacro", node);
}

static int parse_call_block(struct jinja_parser *parser, size_t offset, struct jinja_node **ret_node)
{
        struct jinja_node *node;
        int r = NODE(JINJA_NODE_CALL_BLOCK, offset, &node);

        if (r >= 0)
                r = NODE(JINJA_NODE_MACRO, offset, &node->b);
        if (r < 0)
                return r;
        node->b->text = "caller";
        node->b->length = 6;
        if (qvf_jinja_parse_at(parser, JINJA_TOKEN_OPERATOR, "("))
                r = parse_parameters(parser, &node->b->a);
        if (r >= 0)
                r = qvf_jinja_parse_expression(parser, true, &node->a);
        if (r < 0)
                return r;
        if (node->a->kind != JINJA_NODE_CALL)
                return qvf_jinja_parse_fail(parser, node->a->offset, "expected a call of a macro");
        *ret_node = node;
        return parse_macro_body(parser, "endcall", node->b);
}

static int parse_filter_block(struct jinja_parser *parser, size_t offset, struct jinja_node **ret_node)
{
        struct jinja_node *node, *captured;
        int r = NODE(JINJA_NODE_FILTER_BLOCK, offset, &node);

        if (r >= 0)
                r = NODE(JINJA_NODE_CAPTURED, offset, &captured);
        if (r >= 0)
                r = qvf_jinja_parse_filters(parser, captured, true, &node->a);
        if (r < 0)
                return r;
        *ret_node = node;
        return parse_block(parser, "endfilter", &node->b);
}

static int parse_with(struct jinja_parser *parser, size_t offset, struct jinja_node **ret_node)
{
        struct jinja_chain chain = { 0 };
        struct jinja_node *node, *set;
        int r = NODE(JINJA_NODE_WITH, offset, &node);

        while (r >= 0 && parser->token.kind != JINJA_TOKEN_BLOCK_END) {
                if (chain.first)
                        r = qvf_jinja_parse_expect(parser, JINJA_TOKEN_OPERATOR, ",");
                if (r >= 0)
                        r = NODE(JINJA_NODE_SET, parser->token.offset, &set);
                if (r >= 0)
                        r = qvf_jinja_parse_target(parser, false, &set->a);
                if (r >= 0)
                        r = qvf_jinja_parse_expect(parser, JINJA_TOKEN_OPERATOR, "=");
                if (r >= 0)
                        r = qvf_jinja_parse_expression(parser, true, &set->b);
                if (r >= 0)
                        qvf_jinja_chain_add(&chain, set);
        }
        if (r < 0)
                return r;
        node->a = chain.first;
        *ret_node = node;
        return parse_block(parser, "endwith", &node->b);
}

static int parse_generation(struct jinja_parser *parser, size_t offset, struct jinja_node **ret_node)
{
        int r = NODE(JINJA_NODE_GENERATION, offset, ret_node);

        return r < 0 ? r : parse_block(parser, "endgeneration", &(*ret_node)->b);
}

static int parse_jump(struct jinja_parser *parser, enum jinja_node_kind kind, size_t offset,
                struct jinja_node **ret_node)
{
        if (parser->loops == 0)
                return qvf_jinja_parse_fail(parser, offset, "%s outside of a loop",
                                kind == JINJA_NODE_BREAK ? "break" : "continue");
        return NODE(kind, offset, ret_node);
}

static int parse_break(struct jinja_parser *parser, size_t offset, struct jinja_node **ret_node)
{
        return parse_jump(parser, JINJA_NODE_BREAK, offset, ret_node);
}

static int parse_continue(struct jinja_parser *parser, size_t offset, struct jinja_node **ret_node)
{
        return parse_jump(parser, JINJA_NODE_CONTINUE, offset, ret_node);
}

static const struct statement statements[] = {
        { "if", parse_if },
        { "for", parse_for },
        { "set", parse_set },
        { "macro", parse_macro },
        { "call", parse_call_block },
        { "filter", parse_filter_block },
        { "with", parse_with },
        { "generation", parse_generation },
        { "break", parse_break },
        { "continue", parse_continue },
};

/* Behind "{%". Parses up to and with "%}". */
static int parse_statement(struct jinja_parser *parser, struct jinja_node **ret_node)
{
        size_t offset = parser->token.offset;
        int r;

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(statements); i++) {
                if (!is_word(parser, statements[i].word))
                        continue;
                r = qvf_jinja_parse_next(parser);
                if (r >= 0)
                        r = statements[i].parse(parser, offset, ret_node);
                return r < 0 ? r : expect_block_end(parser);
        }
        return qvf_jinja_parse_unexpected(parser,
                        "if, for, set, macro, call, filter, with, generation, break, "
                        "continue, raw or the end of an open block");
}

static bool is_end(const struct jinja_parser *parser, const struct ends *ends)
{
        for (size_t i = 0; ends && i < QVF_ARRAY_LENGTH(ends->words) && ends->words[i]; i++)
                if (is_word(parser, ends->words[i]))
                        return true;
        return false;
}

static int parse_piece(struct jinja_parser *parser, struct jinja_node **ret_node)
{
        struct jinja_token token = parser->token;
        int r;

        if (token.kind == JINJA_TOKEN_DATA) {
                r = NODE(JINJA_NODE_DATA, token.offset, ret_node);
                if (r < 0)
                        return r;
                (*ret_node)->text = token.text;
                (*ret_node)->length = token.length;
                return qvf_jinja_parse_next(parser);
        }
        r = NODE(JINJA_NODE_OUTPUT, token.offset, ret_node);
        if (r >= 0)
                r = qvf_jinja_parse_next(parser);
        if (r >= 0)
                r = qvf_jinja_parse_tuple(parser, true, NULL, &(*ret_node)->a);
        return r < 0 ? r : qvf_jinja_parse_expect(parser, JINJA_TOKEN_OUTPUT_END, NULL);
}

static int parse_body(struct jinja_parser *parser, const struct ends *ends, struct jinja_node **ret_body)
{
        struct jinja_chain chain = { 0 };
        struct jinja_node *node;
        size_t start = parser->token.offset;
        int r = qvf_jinja_parse_enter(parser);

        while (r >= 0 && parser->token.kind != JINJA_TOKEN_END) {
                if (parser->token.kind == JINJA_TOKEN_BLOCK_BEGIN) {
                        r = qvf_jinja_parse_next(parser);
                        if (r < 0)
                                return r;
                        if (is_end(parser, ends))
                                break;
                        r = parse_statement(parser, &node);
                } else {
                        r = parse_piece(parser, &node);
                }
                if (r >= 0)
                        qvf_jinja_chain_add(&chain, node);
        }
        if (r < 0)
                return r;
        if (ends && parser->token.kind == JINJA_TOKEN_END) {
                size_t last = 0;

                while (last + 1 < QVF_ARRAY_LENGTH(ends->words) && ends->words[last + 1])
                        last++;
                return qvf_jinja_parse_fail(parser, start, "the block that begins here has no {%% %s %%}",
                                ends->words[last]);
        }
        parser->depth--;
        *ret_body = chain.first;
        return 0;
}

/* One name, or ns.attribute, or a tuple in brackets. */
static int parse_one_target(struct jinja_parser *parser, bool with_attribute, struct jinja_node **ret_node)
{
        struct jinja_node *node;
        struct jinja_token name;
        int r = qvf_jinja_parse_skip(parser, JINJA_TOKEN_OPERATOR, "(");

        if (r < 0)
                return r;
        if (r > 0) {
                r = qvf_jinja_parse_enter(parser);
                if (r >= 0)
                        r = qvf_jinja_parse_target(parser, with_attribute, ret_node);
                parser->depth--;
                return r < 0 ? r : qvf_jinja_parse_expect(parser, JINJA_TOKEN_OPERATOR, ")");
        }
        r = qvf_jinja_parse_name(parser, "a name to assign to", &name);
        if (r >= 0)
                r = qvf_jinja_parse_constant_name(parser, &name, ret_node);
        if (r < 0)
                return r;
        if ((*ret_node)->kind != JINJA_NODE_NAME)
                return qvf_jinja_parse_fail(parser, name.offset,
                                "expected a name to assign to but found '%.*s'", (int)name.length,
                                name.text);
        if (!with_attribute || !qvf_jinja_parse_at(parser, JINJA_TOKEN_OPERATOR, "."))
                return 0;
        r = NODE(JINJA_NODE_ATTRIBUTE, name.offset, &node);
        if (r >= 0)
                r = qvf_jinja_parse_next(parser);
        if (r >= 0)
                r = qvf_jinja_parse_name(parser, "a name after '.'", &name);
        if (r < 0)
                return r;
        node->a = *ret_node;
        node->text = name.text;
        node->length = name.length;
        *ret_node = node;
        return 0;
}

int qvf_jinja_parse_target(struct jinja_parser *parser, bool with_attribute, struct jinja_node **ret_node)
{
        struct jinja_chain chain = { 0 };
        size_t offset = parser->token.offset;
        struct jinja_node *node;
        bool is_tuple = false;
        int r;

        do {
                r = parse_one_target(parser, with_attribute, &node);
                if (r < 0)
                        return r;
                qvf_jinja_chain_add(&chain, node);
                r = qvf_jinja_parse_skip(parser, JINJA_TOKEN_OPERATOR, ",");
                if (r < 0)
                        return r;
                is_tuple |= r > 0;
        } while (r > 0 && (parser->token.kind == JINJA_TOKEN_NAME || *parser->token.text == '(') &&
                        !is_word(parser, "in"));
        *ret_node = chain.first;
        if (!is_tuple)
                return 0;
        r = NODE(JINJA_NODE_TUPLE, offset, &node);
        if (r < 0)
                return r;
        node->a = chain.first;
        *ret_node = node;
        return 0;
}

int qvf_jinja_parse(const char *source, size_t length, struct jinja_arena *arena,
                struct jinja_node **ret_body, struct qvf_error *error)
{
        struct jinja_parser parser = {
                .lexer = { .source = source,
                                .length = length,
                                .tag = JINJA_TOKEN_DATA,
                                .line_starts = true,
                                .error = error },
                .arena = arena,
        };
        int r = qvf_jinja_parse_next(&parser);

        return r < 0 ? r : parse_body(&parser, NULL, ret_body);
}
