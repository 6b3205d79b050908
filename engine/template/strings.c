/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/template/strings.h"

#include <errno.h>
#include <string.h>

#include "engine/template/characters.h"

static bool is_stripped(const struct jinja_value *characters, uint32_t codepoint)
{
        uint32_t other, size;

        if (characters->kind != JINJA_STRING)
                return qvf_jinja_is_space(codepoint);
        for (uint32_t at = 0; at < characters->string.length; at += size) {
                size = qvf_jinja_string_step(&characters->string, at, &other);
                if (other == codepoint)
                        return true;
        }
        return false;
}

/* The offset where the character that ends at `offset` begins. */
static uint32_t step_back(const struct jinja_string *string, uint32_t offset)
{
        uint32_t at = offset - 1;

        while (at > 0 && offset - at < 4 && (string->bytes[at] & 0xc0) == 0x80)
                at--;
        return at + qvf_jinja_string_step(string, at, NULL) == offset ? at : offset - 1;
}

int qvf_jinja_strip(struct jinja_machine *machine, const struct jinja_string *string,
                const struct jinja_value *characters, bool left, bool right, struct jinja_value *ret_value)
{
        uint32_t from = 0, to = string->length, size, before, codepoint;
        uint64_t cost = 1;
        int r;

        if (characters->kind == JINJA_STRING)
                cost += characters->string.length / 16;
        else if (characters->kind != JINJA_ABSENT && characters->kind != JINJA_NONE)
                return qvf_jinja_fail(machine, -EINVAL, "expected a string of characters to strip");
        while (left && from < to) {
                size = qvf_jinja_string_step(string, from, &codepoint);
                if (!is_stripped(characters, codepoint))
                        break;
                from += size;
        }
        r = qvf_jinja_charge(machine, 1 + from * cost / 8);
        while (right && from < to) {
                before = step_back(string, to);
                qvf_jinja_string_step(string, before, &codepoint);
                if (!is_stripped(characters, codepoint))
                        break;
                to = before;
        }
        if (r >= 0)
                r = qvf_jinja_charge(machine, 1 + (string->length - to) * cost / 8);
        return r < 0 ? r : qvf_jinja_string_slice(machine, string, from, to, ret_value);
}

/* The one common letter whose capital is two. */
#define SHARP_S 0xdf

static bool has_case(uint32_t codepoint)
{
        return qvf_jinja_upper(codepoint) != codepoint || qvf_jinja_lower(codepoint) != codepoint ||
               codepoint == SHARP_S;
}

/* Does a word begin behind this character? */
static bool ends_word(uint32_t codepoint, enum jinja_case to)
{
        if (to == JINJA_CASE_TITLE)
                return !has_case(codepoint);
        return to == JINJA_CASE_WORDS &&
               (qvf_jinja_is_space(codepoint) ||
                               (codepoint < 0x80 && codepoint && strchr("-({[<", (int)codepoint)));
}

int qvf_jinja_change_case(struct jinja_machine *machine, const struct jinja_string *string,
                enum jinja_case to, struct jinja_value *ret_value)
{
        _cleanup_builder_ struct jinja_builder builder = { .machine = machine };
        bool raise = to != JINJA_CASE_LOWER;
        uint32_t plain = 0, size, codepoint;
        int r = qvf_jinja_charge_characters(machine, string->length);

        for (uint32_t at = 0; r >= 0 && at < string->length; at += size) {
                uint32_t changed;
                bool is_double;

                size = qvf_jinja_string_step(string, at, &codepoint);
                changed = raise ? qvf_jinja_upper(codepoint) : qvf_jinja_lower(codepoint);
                is_double = raise && codepoint == SHARP_S;
                if (to != JINJA_CASE_UPPER && to != JINJA_CASE_LOWER)
                        raise = ends_word(codepoint, to);
                if (changed == codepoint && !is_double)
                        continue;
                r = qvf_jinja_build_slice(&builder, string, plain, at);
                if (r >= 0 && is_double)
                        r = qvf_jinja_build(&builder,
                                        to == JINJA_CASE_UPPER || to == JINJA_CASE_WORDS ? "SS" : "Ss", 2,
                                        qvf_jinja_string_run_at(string, at).origin);
                else if (r >= 0)
                        r = qvf_jinja_build_codepoint(
                                        &builder, changed, qvf_jinja_string_run_at(string, at).origin);
                plain = at + size;
        }
        if (r >= 0)
                r = qvf_jinja_build_slice(&builder, string, plain, string->length);
        return r < 0 ? r : qvf_jinja_build_finish(&builder, ret_value);
}

int qvf_jinja_replace(struct jinja_machine *machine, const struct jinja_string *string,
                const struct jinja_string *old, const struct jinja_string *new, int64_t most,
                struct jinja_value *ret_value)
{
        _cleanup_builder_ struct jinja_builder builder = { .machine = machine };
        uint32_t plain = 0, at = 0;
        int r = qvf_jinja_charge_search(machine, string->length);

        while (r >= 0 && most != 0) {
                uint32_t found = qvf_jinja_string_find(string, old, at);

                if (found == UINT32_MAX)
                        break;
                r = qvf_jinja_build_slice(&builder, string, plain, found);
                if (r >= 0)
                        r = qvf_jinja_build_string(&builder, new);
                if (r >= 0)
                        r = qvf_jinja_charge(machine, 1);
                plain = at = found + old->length;
                most -= most > 0;
                if (old->length > 0)
                        continue;
                if (at == string->length) /* an empty one is also found at the end, once */
                        break;
                at += qvf_jinja_string_step(string, at, NULL);
        }
        if (r >= 0)
                r = qvf_jinja_build_slice(&builder, string, plain, string->length);
        return r < 0 ? r : qvf_jinja_build_finish(&builder, ret_value);
}

int qvf_jinja_join(struct jinja_machine *machine, const struct jinja_string *separator,
                const struct jinja_list *items, struct jinja_value *ret_value)
{
        _cleanup_builder_ struct jinja_builder builder = { .machine = machine };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < items->count; i++) {
                r = qvf_jinja_charge(machine, 1);
                if (r >= 0 && i > 0)
                        r = qvf_jinja_build_string(&builder, separator);
                if (r >= 0)
                        r = qvf_jinja_write(&builder, &items->items[i]);
        }
        return r < 0 ? r : qvf_jinja_build_finish(&builder, ret_value);
}

int qvf_jinja_split_lines(struct jinja_machine *machine, const struct jinja_string *string, bool keep_ends,
                struct jinja_value *ret_value)
{
        struct jinja_growing lines = { 0 };
        struct jinja_value line;
        uint32_t start = 0, size, codepoint;
        int r = qvf_jinja_charge_characters(machine, string->length);

        for (uint32_t at = 0; r >= 0 && at < string->length; at += size) {
                size = qvf_jinja_string_step(string, at, &codepoint);
                if (!qvf_jinja_is_line_end(codepoint))
                        continue;
                if (codepoint == '\r' && at + 1 < string->length && string->bytes[at + 1] == '\n')
                        size = 2;
                r = qvf_jinja_string_slice(machine, string, start, keep_ends ? at + size : at, &line);
                if (r >= 0)
                        r = qvf_jinja_grow(machine, &lines, line);
                start = at + size;
        }
        if (r >= 0 && start < string->length) {
                r = qvf_jinja_string_slice(machine, string, start, string->length, &line);
                if (r >= 0)
                        r = qvf_jinja_grow(machine, &lines, line);
        }
        return r < 0 ? r : qvf_jinja_grown(machine, &lines, JINJA_PLAIN, ret_value);
}

int qvf_jinja_want_string(struct jinja_machine *machine, const struct jinja_value *value, const char *what,
                struct jinja_string *ret_string)
{
        if (value->kind != JINJA_STRING)
                return qvf_jinja_fail(machine, -EINVAL, "expected a string as %s but found %s", what,
                                qvf_jinja_kind_name(value));
        *ret_string = value->string;
        return 0;
}

int qvf_jinja_want_integer(struct jinja_machine *machine, const struct jinja_value *value, const char *what,
                int64_t absent, int64_t *ret_number)
{
        if (value->kind == JINJA_ABSENT)
                *ret_number = absent;
        else if (value->kind == JINJA_INTEGER)
                *ret_number = value->integer;
        else if (value->kind == JINJA_BOOLEAN)
                *ret_number = value->boolean;
        else
                return qvf_jinja_fail(machine, -EINVAL, "expected an integer as %s but found %s", what,
                                qvf_jinja_kind_name(value));
        return 0;
}

bool qvf_jinja_given_truth(const struct jinja_value *value, bool absent)
{
        return value->kind == JINJA_ABSENT ? absent : qvf_jinja_truth(value);
}

int qvf_jinja_grow(struct jinja_machine *machine, struct jinja_growing *growing, struct jinja_value value)
{
        int r = qvf_jinja_charge(machine, 1);

        if (r < 0)
                return r;
        if (growing->count == growing->capacity) {
                size_t capacity = growing->capacity ? growing->capacity * 2 : 8;
                struct jinja_value *items = qvf_jinja_allocate(machine, capacity, sizeof(*items));

                if (!items)
                        return -E2BIG;
                if (growing->count > 0)
                        memcpy(items, growing->items, growing->count * sizeof(*items));
                growing->items = items;
                growing->capacity = capacity;
        }
        growing->items[growing->count++] = value;
        return 0;
}

int qvf_jinja_grown(struct jinja_machine *machine, const struct jinja_growing *growing,
                enum jinja_flavour flavour, struct jinja_value *ret_value)
{
        int r = qvf_jinja_list_new(machine, 0, flavour, ret_value);

        if (r < 0 || growing->count == 0)
                return r;
        ret_value->list->items = growing->items;
        ret_value->list->count = growing->count;
        return 0;
}
