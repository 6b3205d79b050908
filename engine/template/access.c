/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes, subscripts, slices and loops over values. */
#include <errno.h>
#include <string.h>

#include "engine/template/machine.h"

static int fail_undefined(struct jinja_machine *machine, const struct jinja_value *value, const char *name,
                size_t length)
{
        return qvf_jinja_fail(machine, -EINVAL, "'%.*s' is undefined, so it has no '%.*s'",
                        (int)value->undefined_length, value->undefined_name,
                        (int)(length < 64 ? length : 64), name);
}

static bool name_is(const char *name, size_t length, const char *other)
{
        return length == strlen(other) && memcmp(name, other, length) == 0;
}

static int loop_attribute(struct jinja_machine *machine, const struct jinja_value *value, const char *name,
                size_t length, struct jinja_value *ret_value)
{
        const struct jinja_loop *loop = value->loop;
        const struct jinja_builtin *method = qvf_jinja_find_loop_method(name, length);
        size_t index = loop->index, count = loop->items->count;
        const struct {
                const char *name;
                int64_t number;
        } numbers[] = { { "index", (int64_t)index + 1 }, { "index0", (int64_t)index },
                { "revindex", (int64_t)(count - index) }, { "revindex0", (int64_t)(count - index) - 1 },
                { "length", (int64_t)count }, { "depth", 1 } /* deeper in recursive loops only */,
                { "depth0", 0 } };

        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
                if (!name_is(name, length, numbers[i].name))
                        continue;
                *ret_value = JINJA_VALUE_INTEGER(numbers[i].number);
                return 0;
        }
        if (method)
                return qvf_jinja_bind(machine, method, value, ret_value);
        *ret_value = qvf_jinja_undefined(name, length);
        if (name_is(name, length, "first"))
                *ret_value = JINJA_VALUE_BOOLEAN(index == 0);
        else if (name_is(name, length, "last"))
                *ret_value = JINJA_VALUE_BOOLEAN(index + 1 >= count);
        else if (name_is(name, length, "previtem") && index > 0)
                *ret_value = loop->items->items[index - 1];
        else if (name_is(name, length, "nextitem") && index + 1 < count)
                *ret_value = loop->items->items[index + 1];
        return 0;
}

static const struct jinja_builtin *find_method(
                const struct jinja_value *value, const char *name, size_t length)
{
        if (value->kind == JINJA_STRING)
                return qvf_jinja_find_string_method(name, length);
        if (value->kind == JINJA_LIST && value->list->flavour <= JINJA_RANGE)
                return qvf_jinja_find_list_method(name, length);
        if (value->kind == JINJA_DICT && !value->dict->is_namespace)
                return qvf_jinja_find_dict_method(name, length);
        return NULL;
}

/* A member of a dict, or undefined. */
static int find_member(struct jinja_machine *machine, const struct jinja_value *value,
                const struct jinja_value *key, struct jinja_value *ret_value)
{
        struct jinja_value *member;
        int r = qvf_jinja_dict_get(machine, value->dict, key, &member);

        if (r < 0)
                return r;
        if (member)
                *ret_value = *member;
        else if (key->kind == JINJA_STRING)
                *ret_value = qvf_jinja_undefined(key->string.bytes, key->string.length);
        else
                *ret_value = qvf_jinja_undefined("dict item", 9);
        return 0;
}

int qvf_jinja_attribute(struct jinja_machine *machine, const struct jinja_value *value, const char *name,
                size_t length, struct jinja_value *ret_value)
{
        const struct jinja_builtin *method = find_method(value, name, length);
        struct jinja_value key = qvf_jinja_string(name, length, 0);

        if (value->kind == JINJA_UNDEFINED)
                return fail_undefined(machine, value, name, length);
        if (method)
                return qvf_jinja_bind(machine, method, value, ret_value);
        if (value->kind == JINJA_LOOP)
                return loop_attribute(machine, value, name, length, ret_value);
        if (value->kind == JINJA_DICT)
                return find_member(machine, value, &key, ret_value);
        *ret_value = qvf_jinja_undefined(name, length);
        if (value->kind == JINJA_MACRO && name_is(name, length, "name"))
                *ret_value = qvf_jinja_string(value->macro->node->text, value->macro->node->length, 0);
        return 0;
}

static bool as_index(const struct jinja_value *value, int64_t *ret_index)
{
        if (value->kind != JINJA_INTEGER && value->kind != JINJA_BOOLEAN)
                return false;
        *ret_index = value->kind == JINJA_INTEGER ? value->integer : value->boolean;
        return true;
}

static bool is_indexable(const struct jinja_value *value)
{
        return value->kind == JINJA_LIST && value->list->flavour <= JINJA_RANGE;
}

int qvf_jinja_subscript(struct jinja_machine *machine, const struct jinja_value *value,
                const struct jinja_value *index, struct jinja_value *ret_value)
{
        int64_t at, count;
        uint32_t from;
        int r;

        if (value->kind == JINJA_UNDEFINED)
                return fail_undefined(machine, value, "item", 4);
        *ret_value = qvf_jinja_undefined("list item", 9);
        if (value->kind == JINJA_DICT && !value->dict->is_namespace && index->kind != JINJA_LIST &&
                        index->kind != JINJA_DICT) {
                r = find_member(machine, value, index, ret_value);
                if (r < 0 || ret_value->kind != JINJA_UNDEFINED)
                        return r;
        }
        if (index->kind == JINJA_STRING)
                return qvf_jinja_attribute(
                                machine, value, index->string.bytes, index->string.length, ret_value);
        if (!as_index(index, &at))
                return 0;
        if (is_indexable(value)) {
                count = (int64_t)value->list->count;
                at += at < 0 ? count : 0;
                if (at >= 0 && at < count)
                        *ret_value = value->list->items[at];
        } else if (value->kind == JINJA_STRING) {
                r = qvf_jinja_charge_characters(machine, value->string.length);
                if (r < 0)
                        return r;
                at += at < 0 ? (int64_t)qvf_jinja_string_count(&value->string) : 0;
                if (at < 0 || at >= (int64_t)value->string.length)
                        return 0;
                from = qvf_jinja_string_offset(&value->string, (uint32_t)at);
                if (from < value->string.length)
                        return qvf_jinja_string_slice(machine, &value->string, from,
                                        from + qvf_jinja_string_step(&value->string, from, NULL), ret_value);
        }
        return 0;
}

/* A bound of a slice as Python clips it: into [low, high]. */
static int64_t clip(
                const struct jinja_value *bound, int64_t absent, int64_t count, int64_t low, int64_t high)
{
        int64_t at;

        if (!as_index(bound, &at))
                return absent;
        if (at < 0)
                at = at < -count ? low : at + count;
        return at < low ? low : at > high ? high : at;
}

struct range {
        int64_t start, stop, step, count;
};

static int resolve_slice(struct jinja_machine *machine, const struct jinja_value bounds[3], int64_t count,
                struct range *ret_range)
{
        struct range range = { .step = 1 };
        int64_t ignored;

        for (int i = 0; i < 3; i++)
                if (bounds[i].kind != JINJA_NONE && !as_index(&bounds[i], &ignored))
                        return qvf_jinja_fail(machine, -EINVAL, "expected integers in a slice but found %s",
                                        qvf_jinja_kind_name(&bounds[i]));
        as_index(&bounds[2], &range.step);
        if (range.step == 0)
                return qvf_jinja_fail(machine, -EINVAL, "the step of a slice is 0");
        if (range.step > 0) {
                range.start = clip(&bounds[0], 0, count, 0, count);
                range.stop = clip(&bounds[1], count, count, 0, count);
                if (range.stop > range.start)
                        range.count = (range.stop - range.start - 1) / range.step + 1;
        } else {
                range.start = clip(&bounds[0], count - 1, count, -1, count - 1);
                range.stop = clip(&bounds[1], -1, count, -1, count - 1);
                if (range.step < -count)
                        range.step = -count - 1; /* the same, and cannot overflow */
                if (range.start > range.stop)
                        range.count = (range.start - range.stop - 1) / -range.step + 1;
        }
        *ret_range = range;
        return 0;
}

static int slice_string(struct jinja_machine *machine, const struct jinja_string *string,
                const struct jinja_value bounds[3], struct jinja_value *ret_value)
{
        _cleanup_builder_ struct jinja_builder builder = { .machine = machine };
        uint32_t count, from, to, *offsets;
        struct range range;
        int r = qvf_jinja_charge_characters(machine, string->length);

        if (r < 0)
                return r;
        count = qvf_jinja_string_count(string);
        r = resolve_slice(machine, bounds, count, &range);
        if (r < 0)
                return r;
        if (range.count == 0) {
                *ret_value = qvf_jinja_literal("");
                return 0;
        }
        if (range.step == 1) {
                from = qvf_jinja_string_offset(string, (uint32_t)range.start);
                to = qvf_jinja_string_offset(string, (uint32_t)range.stop);
                return qvf_jinja_string_slice(machine, string, from, to, ret_value);
        }
        offsets = qvf_jinja_allocate(machine, (size_t)count + 1, sizeof(*offsets));
        if (!offsets)
                return -E2BIG;
        for (uint32_t i = 0; i < count; i++)
                offsets[i + 1] = offsets[i] + qvf_jinja_string_step(string, offsets[i], NULL);
        for (int64_t i = 0; r >= 0 && i < range.count; i++) {
                int64_t at = range.start + i * range.step;

                r = qvf_jinja_build_slice(&builder, string, offsets[at], offsets[at + 1]);
        }
        return r < 0 ? r : qvf_jinja_build_finish(&builder, ret_value);
}

int qvf_jinja_slice(struct jinja_machine *machine, const struct jinja_value *value,
                const struct jinja_value bounds[3], struct jinja_value *ret_value)
{
        struct range range;
        int r;

        if (value->kind == JINJA_STRING)
                return slice_string(machine, &value->string, bounds, ret_value);
        if (value->kind == JINJA_UNDEFINED)
                return fail_undefined(machine, value, "item", 4);
        if (!is_indexable(value))
                return qvf_jinja_fail(machine, -EINVAL, "%s cannot be sliced", qvf_jinja_kind_name(value));
        r = resolve_slice(machine, bounds, (int64_t)value->list->count, &range);
        if (r >= 0)
                r = qvf_jinja_list_new(machine, (size_t)range.count, value->list->flavour, ret_value);
        for (int64_t i = 0; r >= 0 && i < range.count; i++)
                ret_value->list->items[i] = value->list->items[range.start + i * range.step];
        return r;
}

/* The next part of a path; numbers index. */
static struct jinja_value path_part(const struct jinja_string *path, uint32_t *at)
{
        struct jinja_string part = { .bytes = path->bytes + *at };
        struct jinja_value value = { .kind = JINJA_STRING };
        int64_t number;

        while (*at + part.length < path->length && part.bytes[part.length] != '.')
                part.length++;
        *at += part.length + 1;
        value.string = part;
        if (part.length > 0 && part.bytes[0] >= '0' && part.bytes[0] <= '9' &&
                        qvf_jinja_parse_integer(&part, 10, &number))
                return JINJA_VALUE_INTEGER(number);
        return value;
}

int qvf_jinja_path(struct jinja_machine *machine, const struct jinja_value *value,
                const struct jinja_value *path, struct jinja_value *ret_value)
{
        struct jinja_value current = *value;
        uint32_t at = 0;
        int r = 0;

        if (path->kind == JINJA_ABSENT || path->kind == JINJA_NONE) {
                *ret_value = current;
                return 0;
        }
        if (path->kind != JINJA_STRING)
                return qvf_jinja_subscript(machine, value, path, ret_value);
        while (r >= 0 && at <= path->string.length) {
                struct jinja_value part = path_part(&path->string, &at);
                struct jinja_value next;

                r = qvf_jinja_subscript(machine, &current, &part, &next);
                if (r >= 0)
                        r = qvf_jinja_charge(machine, 1);
                current = next;
        }
        if (r >= 0)
                *ret_value = current;
        return r;
}

static int iterate_string(struct jinja_machine *machine, const struct jinja_string *string,
                struct jinja_list **ret_list)
{
        struct jinja_value list;
        uint32_t offset = 0;
        int r = qvf_jinja_charge_characters(machine, string->length);

        if (r >= 0)
                r = qvf_jinja_list_new(machine, qvf_jinja_string_count(string), JINJA_PLAIN, &list);
        for (size_t i = 0; r >= 0 && i < list.list->count; i++) {
                uint32_t size = qvf_jinja_string_step(string, offset, NULL);

                r = qvf_jinja_string_slice(machine, string, offset, offset + size, &list.list->items[i]);
                offset += size;
        }
        if (r >= 0)
                *ret_list = list.list;
        return r;
}

int qvf_jinja_iterate(
                struct jinja_machine *machine, const struct jinja_value *value, struct jinja_list **ret_list)
{
        struct jinja_value list;
        size_t count = value->kind == JINJA_DICT ? value->dict->count : 0;
        int r;

        switch (value->kind) {
        case JINJA_LIST: *ret_list = value->list; return 0;
        case JINJA_STRING: return iterate_string(machine, &value->string, ret_list);
        case JINJA_DICT:
                if (value->dict->is_namespace)
                        break;
                /* fall through */
        case JINJA_UNDEFINED:
                r = qvf_jinja_list_new(machine, count, JINJA_PLAIN, &list);
                for (size_t i = 0; r >= 0 && i < count; i++)
                        list.list->items[i] = value->dict->entries[i].key;
                if (r >= 0)
                        *ret_list = list.list;
                return r;
        default: break;
        }
        return qvf_jinja_fail(machine, -EINVAL, "expected something to loop over but found %s",
                        qvf_jinja_kind_name(value));
}

int qvf_jinja_length(struct jinja_machine *machine, const struct jinja_value *value, size_t *ret_length)
{
        int r;

        switch (value->kind) {
        case JINJA_UNDEFINED: *ret_length = 0; return 0;
        case JINJA_STRING:
                r = qvf_jinja_charge_characters(machine, value->string.length);
                *ret_length = r < 0 ? 0 : qvf_jinja_string_count(&value->string);
                return r;
        case JINJA_LIST:
                if (value->list->flavour == JINJA_LAZY)
                        break;
                *ret_length = value->list->count;
                return 0;
        case JINJA_DICT:
                if (value->dict->is_namespace)
                        break;
                *ret_length = value->dict->count;
                return 0;
        case JINJA_LOOP: *ret_length = value->loop->items->count; return 0;
        default: break;
        }
        return qvf_jinja_fail(machine, -EINVAL, "expected something that has a length but found %s",
                        qvf_jinja_kind_name(value));
}
