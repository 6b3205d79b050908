/* SPDX-License-Identifier: Apache-2.0 */
/* Literals in a template. Each takes the parser's token, fills the node and steps over the token. */
#ifndef QVF_ENGINE_TEMPLATE_LITERAL_H
#define QVF_ENGINE_TEMPLATE_LITERAL_H

#include "engine/template/parser.h"

/* Also the string literals that follow at once: 'a' "b" is 'ab'. */
int qvf_jinja_literal_string(struct jinja_parser *parser, struct jinja_node *node);
int qvf_jinja_literal_integer(struct jinja_parser *parser, struct jinja_node *node);
int qvf_jinja_literal_real(struct jinja_parser *parser, struct jinja_node *node);

#endif
