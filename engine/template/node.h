/* SPDX-License-Identifier: Apache-2.0 */
/* The parsed template. */
#ifndef QVF_ENGINE_TEMPLATE_NODE_H
#define QVF_ENGINE_TEMPLATE_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "engine/template/arena.h"

enum jinja_operator {
        JINJA_ADD,
        JINJA_SUBTRACT,
        JINJA_MULTIPLY,
        JINJA_DIVIDE,
        JINJA_FLOOR_DIVIDE,
        JINJA_MODULO,
        JINJA_POWER,
        JINJA_CONCAT,
        JINJA_EQUAL,
        JINJA_NOT_EQUAL,
        JINJA_LESS,
        JINJA_LESS_EQUAL,
        JINJA_GREATER,
        JINJA_GREATER_EQUAL,
        JINJA_IN,
        JINJA_NOT_IN,
        JINJA_NO_OPERATOR,
};

/* Which of the members text, a, b and c a kind uses stands beside it. Lists are chained through `next`. */
enum jinja_node_kind {
        /* expressions */
        JINJA_NODE_NAME, /* text */
        JINJA_NODE_TRUE,
        JINJA_NODE_FALSE,
        JINJA_NODE_NULL,
        JINJA_NODE_INTEGER,     /* integer */
        JINJA_NODE_REAL,        /* real */
        JINJA_NODE_STRING,      /* text */
        JINJA_NODE_LIST,        /* a: items */
        JINJA_NODE_TUPLE,       /* a: items */
        JINJA_NODE_DICT,        /* a: pairs */
        JINJA_NODE_PAIR,        /* a: key, b: value */
        JINJA_NODE_NOT,         /* a */
        JINJA_NODE_NEGATE,      /* a */
        JINJA_NODE_PLUS,        /* a */
        JINJA_NODE_BINARY,      /* a, operator, b */
        JINJA_NODE_AND,         /* a, b */
        JINJA_NODE_OR,          /* a, b */
        JINJA_NODE_COMPARE,     /* a, b: comparisons */
        JINJA_NODE_COMPARISON,  /* operator, a */
        JINJA_NODE_CONDITIONAL, /* a if b else c (or NULL) */
        JINJA_NODE_ATTRIBUTE,   /* a.text */
        JINJA_NODE_SUBSCRIPT,   /* a[b] */
        JINJA_NODE_SLICE,       /* a:b:c, each or NULL; the b of a subscript */
        JINJA_NODE_CALL,        /* a(b: arguments) */
        JINJA_NODE_KEYWORD,     /* text=a, in arguments */
        JINJA_NODE_STAR,        /* *a, in arguments */
        JINJA_NODE_DOUBLE_STAR, /* **a, in arguments */
        JINJA_NODE_FILTER,      /* a|text(b: arguments) */
        JINJA_NODE_TEST,        /* a is text(b: arguments) */
        JINJA_NODE_CAPTURED,    /* the text of the block that is being filtered */
        /* statements */
        JINJA_NODE_DATA,         /* text */
        JINJA_NODE_OUTPUT,       /* a */
        JINJA_NODE_IF,           /* a, b: body, c: else body; or, with operation 1, an IF node */
        JINJA_NODE_FOR,          /* a: target, b: iterable, c: parts */
        JINJA_NODE_FOR_PARTS,    /* a: condition or NULL, b: body, c: else body */
        JINJA_NODE_SET,          /* a: target, b: expression */
        JINJA_NODE_SET_BLOCK,    /* a: target, b: filters or NULL, c: body */
        JINJA_NODE_MACRO,        /* text, a: parameters, b: body */
        JINJA_NODE_PARAMETER,    /* text, a: default or NULL */
        JINJA_NODE_CALL_BLOCK,   /* a: call, b: macro */
        JINJA_NODE_FILTER_BLOCK, /* a: filters, b: body */
        JINJA_NODE_WITH,         /* a: set nodes, b: body */
        JINJA_NODE_GENERATION,   /* b: body */
        JINJA_NODE_BREAK,
        JINJA_NODE_CONTINUE,
        JINJA_NODE_KINDS,
};

enum { JINJA_MACRO_VARARGS = 1, JINJA_MACRO_KWARGS = 2, JINJA_MACRO_CALLER = 4 };

struct jinja_node {
        uint8_t kind;      /* enum jinja_node_kind */
        uint8_t operation; /* enum jinja_operator; a macro: which special names it uses */
        uint32_t offset;   /* into the source */
        uint32_t length;   /* of text */
        union {
                const char *text;
                int64_t integer;
                double real;
        };
        struct jinja_node *a, *b, *c, *next;
};

/* Parses `source`, whose newlines are all "\n"; the nodes live in `arena` and point into `source`. */
int qvf_jinja_parse(const char *source, size_t length, struct jinja_arena *arena,
                struct jinja_node **ret_body, struct qvf_error *error);
/* Sets the error with "line L, column C: " before it. */
int qvf_jinja_fail_at(struct qvf_error *error, int code, const char *source, size_t offset,
                const char *format, va_list arguments) __attribute__((format(printf, 5, 0)));

#endif
