/* SPDX-License-Identifier: Apache-2.0 */
/* What filters and string methods both do. All keep the origin of the bytes. */
#ifndef QVF_ENGINE_TEMPLATE_STRINGS_H
#define QVF_ENGINE_TEMPLATE_STRINGS_H

#include "engine/template/machine.h"

enum jinja_case {
        JINJA_CASE_UPPER,
        JINJA_CASE_LOWER,
        JINJA_CASE_CAPITALIZE,
        JINJA_CASE_TITLE,
        JINJA_CASE_WORDS
};

/* `characters` is a string, or absent or None: white space. */
int qvf_jinja_strip(struct jinja_machine *machine, const struct jinja_string *string,
                const struct jinja_value *characters, bool left, bool right, struct jinja_value *ret_value);
/* TITLE begins words after anything that has no case, as str.title(); WORDS after blanks and opening
 * brackets only, as the title filter. */
int qvf_jinja_change_case(struct jinja_machine *machine, const struct jinja_string *string,
                enum jinja_case to, struct jinja_value *ret_value);
/* `most` < 0: all. */
int qvf_jinja_replace(struct jinja_machine *machine, const struct jinja_string *string,
                const struct jinja_string *old, const struct jinja_string *new, int64_t most,
                struct jinja_value *ret_value);
int qvf_jinja_join(struct jinja_machine *machine, const struct jinja_string *separator,
                const struct jinja_list *items, struct jinja_value *ret_value);
/* Lines without their ends, or with them. */
int qvf_jinja_split_lines(struct jinja_machine *machine, const struct jinja_string *string, bool keep_ends,
                struct jinja_value *ret_value);
/* An argument as a string, an integer or a truth; absent ones become the given default. */
int qvf_jinja_want_string(struct jinja_machine *machine, const struct jinja_value *value, const char *what,
                struct jinja_string *ret_string);
int qvf_jinja_want_integer(struct jinja_machine *machine, const struct jinja_value *value, const char *what,
                int64_t absent, int64_t *ret_number);
bool qvf_jinja_given_truth(const struct jinja_value *value, bool absent);

/* A list that grows while it is filled. */
struct jinja_growing {
        struct jinja_value *items;
        size_t count, capacity;
};
int qvf_jinja_grow(struct jinja_machine *machine, struct jinja_growing *growing, struct jinja_value value);
int qvf_jinja_grown(struct jinja_machine *machine, const struct jinja_growing *growing,
                enum jinja_flavour flavour, struct jinja_value *ret_value);

#endif
