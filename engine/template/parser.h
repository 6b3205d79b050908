/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the parser share. */
#ifndef QVF_ENGINE_TEMPLATE_PARSER_H
#define QVF_ENGINE_TEMPLATE_PARSER_H

#include "engine/template/lexer.h"
#include "engine/template/node.h"

struct jinja_parser {
        struct jinja_lexer lexer;
        struct jinja_token token; /* the one to be parsed next */
        struct jinja_arena *arena;
        unsigned depth;
        unsigned loops;        /* how many for blocks we are in, within the macro: break needs one */
        uint8_t special_names; /* JINJA_MACRO_…: seen in the macro being parsed */
};

/* Appends nodes to a chain. */
struct jinja_chain {
        struct jinja_node *first, **end;
};

int qvf_jinja_parse_fail(struct jinja_parser *parser, size_t offset, const char *format, ...)
                __attribute__((format(printf, 3, 4)));
/* Fails with "expected … but found …". */
int qvf_jinja_parse_unexpected(struct jinja_parser *parser, const char *expected);
int qvf_jinja_parse_next(struct jinja_parser *parser);
int qvf_jinja_parse_peek(struct jinja_parser *parser, struct jinja_token *ret_token);
int qvf_jinja_parse_enter(struct jinja_parser *parser);
bool qvf_jinja_parse_at(const struct jinja_parser *parser, enum jinja_token_kind kind, const char *text);
/* Steps over the token if it is this one; 1: it was, 0: it was not. */
int qvf_jinja_parse_skip(struct jinja_parser *parser, enum jinja_token_kind kind, const char *text);
int qvf_jinja_parse_expect(struct jinja_parser *parser, enum jinja_token_kind kind, const char *text);
int qvf_jinja_parse_node(struct jinja_parser *parser, enum jinja_node_kind kind, size_t offset,
                struct jinja_node **ret_node);
int qvf_jinja_parse_name(struct jinja_parser *parser, const char *expected, struct jinja_token *ret_name);
void qvf_jinja_chain_add(struct jinja_chain *chain, struct jinja_node *node);

int qvf_jinja_parse_expression(
                struct jinja_parser *parser, bool with_condition, struct jinja_node **ret_node);
/* Expressions with commas between them become a tuple. `is_end` names the word that ends it, or is NULL. */
int qvf_jinja_parse_tuple(struct jinja_parser *parser, bool with_condition, const char *end_word,
                struct jinja_node **ret_node);
/* What a value is assigned to: names, ns.attribute, tuples of them. */
int qvf_jinja_parse_target(struct jinja_parser *parser, bool with_attribute, struct jinja_node **ret_node);
/* Filters after `operand`; with `inline_first`, the first without its "|". */
int qvf_jinja_parse_filters(struct jinja_parser *parser, struct jinja_node *operand, bool inline_first,
                struct jinja_node **ret_node);
int qvf_jinja_parse_constant_name(
                struct jinja_parser *parser, const struct jinja_token *name, struct jinja_node **ret_node);

#endif
