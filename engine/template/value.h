/* SPDX-License-Identifier: Apache-2.0 */
/* The values of a template: Python's, as far as templates see them. All but namespaces never change once
 * made, so values are copied by copying the struct, and strings share bytes. */
#ifndef QVF_ENGINE_TEMPLATE_VALUE_H
#define QVF_ENGINE_TEMPLATE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jinja_machine;
struct jinja_value;
struct jinja_node;
struct jinja_scope;

enum jinja_kind {
        JINJA_ABSENT, /* an argument that was not given; templates never see it */
        JINJA_UNDEFINED,
        JINJA_NONE,
        JINJA_BOOLEAN,
        JINJA_INTEGER,
        JINJA_FLOAT,
        JINJA_STRING,
        JINJA_LIST,
        JINJA_DICT,
        JINJA_LOOP,
        JINJA_MACRO,
        JINJA_BUILTIN,
};

/* Where a stretch of text came from. `origin`: 0 the template, else the index of a message + 1. The other
 * two are filled in when the text is written: which turn (see chat_template.h) and generation block. */
struct jinja_run {
        uint32_t end; /* offset in the string behind the last byte of the stretch */
        uint32_t origin;
        uint32_t turn;
        uint32_t generation;
};

/* Without `runs` all bytes have the origin `tag`; else there are `tag` runs, which cover all bytes. */
struct jinja_string {
        const char *bytes;
        const struct jinja_run *runs;
        uint32_t length;
        uint32_t tag;
};

struct jinja_value {
        enum jinja_kind kind;
        uint32_t undefined_length; /* kind UNDEFINED: of the name */
        union {
                bool boolean;
                int64_t integer;
                double real;
                struct jinja_string string;
                struct jinja_list *list;
                struct jinja_dict *dict;
                struct jinja_loop *loop;
                const struct jinja_macro *macro;
                struct jinja_bound *builtin;
                const char *undefined_name; /* what was looked for, for the error message */
        };
};

enum jinja_flavour {
        JINJA_PLAIN,
        JINJA_TUPLE,
        JINJA_RANGE,
        JINJA_KEYS,
        JINJA_VALUES,
        JINJA_ITEMS,
        JINJA_LAZY
};

struct jinja_list {
        struct jinja_value *items;
        size_t count;
        enum jinja_flavour flavour;
};

struct jinja_entry {
        struct jinja_value key;
        struct jinja_value value;
        uint64_t hash;
};

struct jinja_dict {
        struct jinja_entry *entries; /* in the order of insertion */
        uint32_t *slots;             /* entry index + 1, 0: free; NULL while there are few entries */
        uint32_t count;
        uint32_t capacity;
        uint32_t slot_count; /* a power of two */
        uint32_t message;    /* index + 1 of the chat message that this is, or 0 */
        bool is_namespace;
};

struct jinja_loop {
        const struct jinja_list *items;
        size_t index;
        struct jinja_list *changed; /* the last arguments of loop.changed() */
};

struct jinja_macro {
        const struct jinja_node *node;
        struct jinja_scope *closure;
};

/* A function, or a method with the value that it was taken from. */
struct jinja_bound {
        const struct jinja_builtin *builtin;
        struct jinja_value self;
};

#define JINJA_VALUE_BOOLEAN(truth) ((struct jinja_value){ .kind = JINJA_BOOLEAN, .boolean = (truth) })
#define JINJA_VALUE_INTEGER(number) ((struct jinja_value){ .kind = JINJA_INTEGER, .integer = (number) })
#define JINJA_VALUE_FLOAT(number) ((struct jinja_value){ .kind = JINJA_FLOAT, .real = (number) })
#define JINJA_VALUE_NONE ((struct jinja_value){ .kind = JINJA_NONE })
#define JINJA_VALUE_UNDEFINED ((struct jinja_value){ .kind = JINJA_UNDEFINED })

/* Constants: the bytes must outlive the value. */
struct jinja_value qvf_jinja_string(const char *bytes, size_t length, uint32_t origin);
struct jinja_value qvf_jinja_literal(const char *string);
struct jinja_value qvf_jinja_undefined(const char *name, size_t length);

int qvf_jinja_list_new(struct jinja_machine *machine, size_t count, enum jinja_flavour flavour,
                struct jinja_value *ret_value);
int qvf_jinja_dict_new(struct jinja_machine *machine, struct jinja_value *ret_value);
/* Adds or replaces. Only for a dict that no template has seen yet, and for namespaces. */
int qvf_jinja_dict_set(struct jinja_machine *machine, struct jinja_dict *dict, const struct jinja_value *key,
                const struct jinja_value *value);
int qvf_jinja_dict_set_name(struct jinja_machine *machine, struct jinja_dict *dict, const char *name,
                struct jinja_value value);
/* *ret_value is NULL where there is no such key; an unhashable key is an error. */
int qvf_jinja_dict_get(struct jinja_machine *machine, const struct jinja_dict *dict,
                const struct jinja_value *key, struct jinja_value **ret_value);

bool qvf_jinja_string_is(const struct jinja_string *string, const char *other);
/* The origin, and the run's other tags, of the byte at `offset`. */
struct jinja_run qvf_jinja_string_run_at(const struct jinja_string *string, uint32_t offset);
int qvf_jinja_string_slice(struct jinja_machine *machine, const struct jinja_string *string, uint32_t from,
                uint32_t to, struct jinja_value *ret_value);
int qvf_jinja_string_concat(struct jinja_machine *machine, const struct jinja_string *left,
                const struct jinja_string *right, struct jinja_value *ret_value);
/* Bytes of the character at `offset`: 1 where they are no valid UTF-8. `ret_codepoint` may be NULL. */
uint32_t qvf_jinja_string_step(const struct jinja_string *string, uint32_t offset, uint32_t *ret_codepoint);
/* In characters. */
uint32_t qvf_jinja_string_count(const struct jinja_string *string);
/* The byte offset of the character `index` (which may be the count). */
uint32_t qvf_jinja_string_offset(const struct jinja_string *string, uint32_t index);
/* Offset of the first occurrence at or after `from`, or UINT32_MAX. */
uint32_t qvf_jinja_string_find(
                const struct jinja_string *string, const struct jinja_string *needle, uint32_t from);

const char *qvf_jinja_kind_name(const struct jinja_value *value); /* as Python calls it */
bool qvf_jinja_is_number(const struct jinja_value *value);        /* integer, float or boolean */
bool qvf_jinja_truth(const struct jinja_value *value);

#endif
