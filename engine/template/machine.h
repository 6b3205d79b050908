/* SPDX-License-Identifier: Apache-2.0 */
/* What a rendering is made of: limits, memory, scopes and the functions that templates call.
 * Functions return 0 or a negative errno after qvf_jinja_fail() has put the reason into the error. */
#ifndef QVF_ENGINE_TEMPLATE_MACHINE_H
#define QVF_ENGINE_TEMPLATE_MACHINE_H

#include "common/error.h"
#include "engine/template/arena.h"
#include "engine/template/builder.h"
#include "engine/template/node.h"
#include "engine/template/value.h"

struct jinja_variable {
        const char *name;
        uint32_t name_length;
        struct jinja_value value;
};

struct jinja_scope {
        struct jinja_scope *outer;
        struct jinja_variable *variables;
        size_t count, capacity;
};

struct jinja_machine {
        const char *source;
        struct qvf_error *error;
        const struct jinja_node *at; /* what is being worked on, for errors; NULL: not the template */
        struct jinja_memory memory;
        struct jinja_arena objects, bytes, runs;
        uint64_t work_left;
        uint32_t depth;
        uint32_t escapes; /* counts what may have outlived the statement that made it */
        uint32_t turn, last_turn;
        uint32_t generation, last_generation;
        uint32_t turn_kind;
        struct jinja_scope *scope;
        struct jinja_builder *output;
        struct jinja_value captured; /* what the filters of a set or filter block work on */
        int64_t now;
};

struct jinja_keyword {
        struct jinja_string name;
        struct jinja_value value;
};

struct jinja_call {
        struct jinja_value self;
        struct jinja_value *arguments;
        size_t count;
        struct jinja_keyword *keywords;
        size_t keyword_count;
};

/* A filter, test, method or function. `parameters` names them, separated by blanks; those from `required`
 * on may be left out and are then JINJA_ABSENT. NULL: takes any arguments and sorts them out itself.
 * With parameters, call->arguments has exactly as many items as there are names. */
struct jinja_builtin {
        const char *name;
        int (*function)(struct jinja_machine *machine, struct jinja_call *call,
                        struct jinja_value *ret_value);
        const char *parameters;
        unsigned required;
};

#define JINJA_PARAMETERS_MAX 8

int qvf_jinja_fail(struct jinja_machine *machine, int code, const char *format, ...)
                __attribute__((format(printf, 3, 4)));
int qvf_jinja_out_of_memory(struct jinja_machine *machine);
/* Takes steps from the budget. */
int qvf_jinja_charge(struct jinja_machine *machine, uint64_t steps);
/* Steps for passing over so many bytes: 256 at once for copies, 32 for searches, 16 for work on characters.
 * A step then takes 0.1 us or so, whatever it is spent on. */
int qvf_jinja_charge_search(struct jinja_machine *machine, uint64_t length);
int qvf_jinja_charge_bytes(struct jinja_machine *machine, uint64_t length);
int qvf_jinja_charge_characters(struct jinja_machine *machine, uint64_t length);
void *qvf_jinja_allocate(struct jinja_machine *machine, size_t count, size_t size); /* zeroed; fails */
int qvf_jinja_enter(struct jinja_machine *machine);
void qvf_jinja_leave(struct jinja_machine *machine);

int qvf_jinja_scope_set(struct jinja_machine *machine, const char *name, size_t length,
                const struct jinja_value *value);
int qvf_jinja_scope_get(struct jinja_machine *machine, const char *name, size_t length,
                struct jinja_value *ret_value);

/* evaluate.c */
int qvf_jinja_evaluate(
                struct jinja_machine *machine, const struct jinja_node *node, struct jinja_value *ret_value);
int qvf_jinja_evaluate_call(struct jinja_machine *machine, const struct jinja_node *arguments,
                struct jinja_call *ret_call);
/* execute.c */
int qvf_jinja_execute(struct jinja_machine *machine, const struct jinja_node *body);
int qvf_jinja_assign(struct jinja_machine *machine, const struct jinja_node *target,
                const struct jinja_value *value);
/* call.c */
int qvf_jinja_call(struct jinja_machine *machine, const struct jinja_value *callee, struct jinja_call *call,
                struct jinja_value *ret_value);
int qvf_jinja_call_macro(struct jinja_machine *machine, const struct jinja_macro *macro,
                struct jinja_call *call, const struct jinja_value *caller, struct jinja_value *ret_value);
int qvf_jinja_call_builtin(struct jinja_machine *machine, const struct jinja_builtin *builtin,
                struct jinja_call *call, struct jinja_value *ret_value);
int qvf_jinja_bind(struct jinja_machine *machine, const struct jinja_builtin *builtin,
                const struct jinja_value *self, struct jinja_value *ret_value);

/* The tables; NULL where there is no such name. */
const struct jinja_builtin *qvf_jinja_find_filter(const char *name, size_t length);
const struct jinja_builtin *qvf_jinja_find_test(const char *name, size_t length);
const struct jinja_builtin *qvf_jinja_find_function(const char *name, size_t length);
const struct jinja_builtin *qvf_jinja_find_string_method(const char *name, size_t length);
const struct jinja_builtin *qvf_jinja_find_list_method(const char *name, size_t length);
const struct jinja_builtin *qvf_jinja_find_dict_method(const char *name, size_t length);
const struct jinja_builtin *qvf_jinja_find_loop_method(const char *name, size_t length);
const struct jinja_builtin *qvf_jinja_find(
                const struct jinja_builtin *table, size_t count, const char *name, size_t length);

/* access.c */
int qvf_jinja_attribute(struct jinja_machine *machine, const struct jinja_value *value, const char *name,
                size_t length, struct jinja_value *ret_value);
int qvf_jinja_subscript(struct jinja_machine *machine, const struct jinja_value *value,
                const struct jinja_value *index, struct jinja_value *ret_value);
int qvf_jinja_slice(struct jinja_machine *machine, const struct jinja_value *value,
                const struct jinja_value bounds[3], struct jinja_value *ret_value);
/* A path as filters take it: "a.b.0". */
int qvf_jinja_path(struct jinja_machine *machine, const struct jinja_value *value,
                const struct jinja_value *path, struct jinja_value *ret_value);
/* The items of anything that can be looped over. */
int qvf_jinja_iterate(struct jinja_machine *machine, const struct jinja_value *value,
                struct jinja_list **ret_list);
int qvf_jinja_length(struct jinja_machine *machine, const struct jinja_value *value, size_t *ret_length);

/* arithmetic.c */
int qvf_jinja_binary(struct jinja_machine *machine, enum jinja_operator operation,
                const struct jinja_value *left, const struct jinja_value *right,
                struct jinja_value *ret_value);
int qvf_jinja_negate(struct jinja_machine *machine, const struct jinja_value *value,
                struct jinja_value *ret_value);
/* compare.c */
int qvf_jinja_equal(struct jinja_machine *machine, const struct jinja_value *left,
                const struct jinja_value *right, bool *ret_equal);
int qvf_jinja_order(struct jinja_machine *machine, const char *operation, const struct jinja_value *left,
                const struct jinja_value *right, int *ret_order);
int qvf_jinja_compare(struct jinja_machine *machine, enum jinja_operator operation,
                const struct jinja_value *left, const struct jinja_value *right, bool *ret_result);
int qvf_jinja_contains(struct jinja_machine *machine, const struct jinja_value *container,
                const struct jinja_value *item, bool *ret_found);
int qvf_jinja_hash(struct jinja_machine *machine, const struct jinja_value *value, uint64_t *ret_hash);

/* convert.c: str(), repr(), and the names of things. */
int qvf_jinja_write(struct jinja_builder *builder, const struct jinja_value *value);
int qvf_jinja_write_repr(struct jinja_builder *builder, const struct jinja_value *value);
int qvf_jinja_to_string(struct jinja_machine *machine, const struct jinja_value *value,
                struct jinja_string *ret_string);
void qvf_jinja_format_float(double number, char ret_text[32]);
/* Whole strings only, blanks around them allowed, as Python's int() and float(); false: not a number. */
bool qvf_jinja_parse_integer(const struct jinja_string *string, int base, int64_t *ret_number);
bool qvf_jinja_parse_float(const struct jinja_string *string, double *ret_number);

/* json_read.c, json_write.c */
int qvf_jinja_json_read(struct jinja_machine *machine, const char *what, const char *text, size_t length,
                uint32_t origin, struct jinja_value *ret_value);
struct jinja_json_style {
        struct jinja_string indent; /* repeated per level */
        bool has_indent, ascii, sort_keys;
        struct jinja_string item_separator, key_separator;
};
int qvf_jinja_json_write(struct jinja_builder *builder, const struct jinja_value *value,
                const struct jinja_json_style *style);

#endif
