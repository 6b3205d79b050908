/* SPDX-License-Identifier: Apache-2.0 */
/* Filters on lists and dicts. */
#include <errno.h>
#include <string.h>

#include "engine/template/filters.h"
#include "engine/template/strings.h"

#define BATCH_MAX 100000

JINJA_FILTER(length)
{
        size_t length;
        int r = qvf_jinja_length(machine, &call->self, &length);

        if (r >= 0)
                *ret_value = JINJA_VALUE_INTEGER((int64_t)length);
        return r;
}

JINJA_FILTER(list)
{
        struct jinja_list *items;
        int r = qvf_jinja_iterate(machine, &call->self, &items);

        if (r >= 0)
                r = qvf_jinja_list_new(machine, items->count, JINJA_PLAIN, ret_value);
        if (r >= 0 && items->count > 0)
                memcpy(ret_value->list->items, items->items, items->count * sizeof(*items->items));
        return r;
}

static int pick(struct jinja_machine *machine, const struct jinja_call *call, bool last,
                struct jinja_value *ret_value)
{
        struct jinja_list *items;
        int r = qvf_jinja_iterate(machine, &call->self, &items);

        if (r < 0)
                return r;
        *ret_value = qvf_jinja_undefined("item of an empty list", 21);
        if (items->count > 0)
                *ret_value = items->items[last ? items->count - 1 : 0];
        return 0;
}

JINJA_FILTER(first)
{
        return pick(machine, call, false, ret_value);
}

JINJA_FILTER(last)
{
        return pick(machine, call, true, ret_value);
}

JINJA_FILTER(items)
{
        struct jinja_value items, pair;
        uint32_t count = call->self.kind == JINJA_DICT ? call->self.dict->count : 0;
        int r;

        if (call->self.kind != JINJA_UNDEFINED &&
                        (call->self.kind != JINJA_DICT || call->self.dict->is_namespace))
                return qvf_jinja_fail(machine, -EINVAL, "expected a dict but found %s",
                                qvf_jinja_kind_name(&call->self));
        r = qvf_jinja_list_new(machine, count, JINJA_ITEMS, &items);
        for (uint32_t i = 0; r >= 0 && i < count; i++) {
                r = qvf_jinja_list_new(machine, 2, JINJA_TUPLE, &pair);
                if (r < 0)
                        return r;
                pair.list->items[0] = call->self.dict->entries[i].key;
                pair.list->items[1] = call->self.dict->entries[i].value;
                items.list->items[i] = pair;
        }
        if (r >= 0)
                *ret_value = items;
        return r;
}

/* The attribute `path` of every item; the items themselves where it is absent. */
static int pluck(struct jinja_machine *machine, const struct jinja_list *items,
                const struct jinja_value *path, struct jinja_list **ret_list)
{
        struct jinja_value list;
        int r = qvf_jinja_list_new(machine, items->count, JINJA_LAZY, &list);

        for (size_t i = 0; r >= 0 && i < items->count; i++) {
                r = qvf_jinja_charge(machine, 1);
                if (r >= 0)
                        r = qvf_jinja_path(machine, &items->items[i], path, &list.list->items[i]);
        }
        if (r >= 0)
                *ret_list = list.list;
        return r;
}

JINJA_FILTER(join)
{
        struct jinja_value separator = qvf_jinja_literal("");
        struct jinja_list *items;
        int r = qvf_jinja_iterate(machine, &call->self, &items);

        if (r >= 0)
                r = pluck(machine, items, &call->arguments[1], &items);
        if (r >= 0 && call->arguments[0].kind != JINJA_ABSENT)
                r = qvf_jinja_to_string(machine, &call->arguments[0], &separator.string);
        return r < 0 ? r : qvf_jinja_join(machine, &separator.string, items, ret_value);
}

JINJA_FILTER(reverse)
{
        const struct jinja_value bounds[3] = { JINJA_VALUE_NONE, JINJA_VALUE_NONE, JINJA_VALUE_INTEGER(-1) };
        struct jinja_list *items;
        int r;

        if (call->self.kind == JINJA_STRING)
                return qvf_jinja_slice(machine, &call->self, bounds, ret_value);
        r = qvf_jinja_iterate(machine, &call->self, &items);
        if (r >= 0)
                r = qvf_jinja_list_new(machine, items->count, JINJA_LAZY, ret_value);
        for (size_t i = 0; r >= 0 && i < items->count; i++)
                ret_value->list->items[i] = items->items[items->count - 1 - i];
        return r;
}

static const struct jinja_value *find_keyword(const struct jinja_call *call, const char *name)
{
        for (size_t i = 0; i < call->keyword_count; i++)
                if (qvf_jinja_string_is(&call->keywords[i].name, name))
                        return &call->keywords[i].value;
        return NULL;
}

static int map_attribute(struct jinja_machine *machine, const struct jinja_list *items,
                const struct jinja_value *path, const struct jinja_value *absent,
                struct jinja_value *ret_value)
{
        struct jinja_list *list;
        int r = pluck(machine, items, path, &list);

        if (r < 0)
                return r;
        for (size_t i = 0; absent && i < list->count; i++)
                if (list->items[i].kind == JINJA_UNDEFINED)
                        list->items[i] = *absent;
        *ret_value = (struct jinja_value){ .kind = JINJA_LIST, .list = list };
        return 0;
}

/* The filter or test that an argument names. */
static int named(struct jinja_machine *machine, const struct jinja_value *name, bool is_filter,
                const struct jinja_builtin **ret_builtin)
{
        struct jinja_string text;
        int r = qvf_jinja_want_string(
                        machine, name, is_filter ? "the name of a filter" : "the name of a test", &text);

        if (r < 0)
                return r;
        *ret_builtin = is_filter ? qvf_jinja_find_filter(text.bytes, text.length)
                                 : qvf_jinja_find_test(text.bytes, text.length);
        if (!*ret_builtin)
                return qvf_jinja_fail(machine, -EINVAL, "there is no %s named '%.*s'",
                                is_filter ? "filter" : "test", (int)(text.length < 64 ? text.length : 64),
                                text.bytes);
        return 0;
}

/* Calls a filter or test with what was given behind its name. Filters may change their arguments: copies. */
static int apply(struct jinja_machine *machine, const struct jinja_builtin *builtin,
                const struct jinja_value *item, const struct jinja_call *outer, size_t used,
                struct jinja_value *ret_value)
{
        struct jinja_call call = { .self = *item,
                .arguments = outer->arguments + used,
                .count = outer->count - used,
                .keywords = outer->keywords,
                .keyword_count = outer->keyword_count };
        int r = qvf_jinja_enter(machine);

        if (r < 0)
                return r;
        r = qvf_jinja_call_builtin(machine, builtin, &call, ret_value);
        qvf_jinja_leave(machine);
        return r;
}

/* map, select and their like take anything false for an empty list. */
static int iterate_unless_false(
                struct jinja_machine *machine, const struct jinja_value *value, struct jinja_list **ret_list)
{
        const struct jinja_value nothing = JINJA_VALUE_UNDEFINED;

        return qvf_jinja_iterate(machine, qvf_jinja_truth(value) ? value : &nothing, ret_list);
}

JINJA_FILTER(map)
{
        const struct jinja_value *path = find_keyword(call, "attribute");
        const struct jinja_builtin *filter;
        struct jinja_list *items;
        struct jinja_value list;
        int r = iterate_unless_false(machine, &call->self, &items);

        if (r < 0)
                return r;
        if (call->count == 0 && path)
                return map_attribute(machine, items, path, find_keyword(call, "default"), ret_value);
        if (call->count == 0)
                return qvf_jinja_fail(machine, -EINVAL, "map expects the name of a filter, or attribute=");
        r = named(machine, &call->arguments[0], true, &filter);
        if (r >= 0)
                r = qvf_jinja_list_new(machine, items->count, JINJA_LAZY, &list);
        for (size_t i = 0; r >= 0 && i < items->count; i++)
                r = apply(machine, filter, &items->items[i], call, 1, &list.list->items[i]);
        if (r >= 0)
                *ret_value = list;
        return r;
}

static int choose(struct jinja_machine *machine, const struct jinja_call *call, bool by_attribute,
                bool wanted, struct jinja_value *ret_value)
{
        const struct jinja_builtin *test = NULL;
        struct jinja_growing kept = { 0 };
        size_t used = by_attribute;
        struct jinja_list *items;
        int r = iterate_unless_false(machine, &call->self, &items);

        if (r >= 0 && call->count < used)
                return qvf_jinja_fail(machine, -EINVAL, "expected the name of an attribute");
        if (r >= 0 && call->count > used)
                r = named(machine, &call->arguments[used++], false, &test);
        for (size_t i = 0; r >= 0 && i < items->count; i++) {
                struct jinja_value value = items->items[i];

                if (by_attribute)
                        r = qvf_jinja_path(machine, &items->items[i], &call->arguments[0], &value);
                if (r >= 0)
                        r = qvf_jinja_charge(machine, 1);
                if (r >= 0 && test)
                        r = apply(machine, test, &value, call, used, &value);
                if (r >= 0 && qvf_jinja_truth(&value) == wanted)
                        r = qvf_jinja_grow(machine, &kept, items->items[i]);
        }
        return r < 0 ? r : qvf_jinja_grown(machine, &kept, JINJA_LAZY, ret_value);
}

JINJA_FILTER(select)
{
        return choose(machine, call, false, true, ret_value);
}

JINJA_FILTER(reject)
{
        return choose(machine, call, false, false, ret_value);
}

JINJA_FILTER(selectattr)
{
        return choose(machine, call, true, true, ret_value);
}

JINJA_FILTER(rejectattr)
{
        return choose(machine, call, true, false, ret_value);
}

/* What an item is sorted or told apart by: in lower case unless case counts. */
static int make_key(struct jinja_machine *machine, const struct jinja_value *item,
                const struct jinja_value *path, bool case_sensitive, struct jinja_value *ret_key)
{
        int r = qvf_jinja_path(machine, item, path, ret_key);

        if (r < 0 || case_sensitive || ret_key->kind != JINJA_STRING)
                return r;
        return qvf_jinja_change_case(machine, &ret_key->string, JINJA_CASE_LOWER, ret_key);
}

/* Like make_key, for a path like "age,name". */
static int make_keys(struct jinja_machine *machine, const struct jinja_value *item,
                const struct jinja_value *paths, bool case_sensitive, struct jinja_value *ret_key)
{
        struct jinja_growing keys = { 0 };
        struct jinja_value path, key;
        const char *comma;
        int r = 0;

        if (paths->kind != JINJA_STRING || !memchr(paths->string.bytes, ',', paths->string.length))
                return make_key(machine, item, paths, case_sensitive, ret_key);
        for (uint32_t at = 0; r >= 0 && at <= paths->string.length; at += path.string.length + 1) {
                comma = memchr(paths->string.bytes + at, ',', paths->string.length - at);
                path = qvf_jinja_string(paths->string.bytes + at,
                                comma ? (size_t)(comma - paths->string.bytes) - at
                                      : paths->string.length - at,
                                0);
                r = make_key(machine, item, &path, case_sensitive, &key);
                if (r >= 0)
                        r = qvf_jinja_grow(machine, &keys, key);
        }
        return r < 0 ? r : qvf_jinja_grown(machine, &keys, JINJA_PLAIN, ret_key);
}

struct sorted {
        struct jinja_value key, value;
};

static int order(struct jinja_machine *machine, const struct sorted *left, const struct sorted *right,
                int *ret_order)
{
        bool equal;
        int r = qvf_jinja_equal(machine, &left->key, &right->key, &equal);

        *ret_order = 0;
        return r < 0 || equal ? r : qvf_jinja_order(machine, "<", &left->key, &right->key, ret_order);
}

/* Stable: equal ones keep their order, also when sorting downwards. */
static int merge_sort(struct jinja_machine *machine, struct sorted *items, struct sorted *spare,
                size_t count, bool reverse)
{
        for (size_t width = 1; width < count; width *= 2) {
                for (size_t start = 0; start < count; start += 2 * width) {
                        size_t middle = start + width < count ? start + width : count;
                        size_t end = start + 2 * width < count ? start + 2 * width : count;
                        size_t left = start, right = middle;

                        for (size_t to = start; to < end; to++) {
                                bool take_left = right == end;

                                if (left < middle && right < end) {
                                        int sign;
                                        int r = order(machine, &items[left], &items[right], &sign);

                                        if (r < 0)
                                                return r;
                                        take_left = reverse ? sign >= 0 : sign <= 0;
                                }
                                spare[to] = take_left ? items[left++] : items[right++];
                        }
                }
                memcpy(items, spare, count * sizeof(*items));
        }
        return 0;
}

static int sort_items(struct jinja_machine *machine, const struct jinja_list *items,
                const struct jinja_value *paths, bool case_sensitive, bool reverse,
                struct jinja_value *ret_value)
{
        struct sorted *sorted = qvf_jinja_allocate(machine, items->count, 2 * sizeof(*sorted));
        int r = sorted ? qvf_jinja_list_new(machine, items->count, JINJA_PLAIN, ret_value) : -E2BIG;

        for (size_t i = 0; r >= 0 && i < items->count; i++) {
                sorted[i].value = items->items[i];
                r = make_keys(machine, &items->items[i], paths, case_sensitive, &sorted[i].key);
        }
        if (r >= 0)
                r = merge_sort(machine, sorted, sorted + items->count, items->count, reverse);
        for (size_t i = 0; r >= 0 && i < items->count; i++)
                ret_value->list->items[i] = sorted[i].value;
        return r;
}

JINJA_FILTER(sort)
{
        struct jinja_list *items;
        int r = qvf_jinja_iterate(machine, &call->self, &items);

        return r < 0 ? r
                     : sort_items(machine, items, &call->arguments[2],
                                       qvf_jinja_given_truth(&call->arguments[1], false),
                                       qvf_jinja_given_truth(&call->arguments[0], false), ret_value);
}

JINJA_FILTER(dictsort)
{
        const struct jinja_value *by = &call->arguments[1];
        struct jinja_call inner = { .self = call->self };
        struct jinja_value items, path = JINJA_VALUE_INTEGER(0);
        int r;

        if (by->kind == JINJA_STRING && qvf_jinja_string_is(&by->string, "value"))
                path.integer = 1;
        else if (by->kind != JINJA_ABSENT &&
                        !(by->kind == JINJA_STRING && qvf_jinja_string_is(&by->string, "key")))
                return qvf_jinja_fail(machine, -EINVAL, "dictsort sorts by 'key' or by 'value'");
        if (call->self.kind == JINJA_UNDEFINED)
                return qvf_jinja_fail(machine, -EINVAL, "'%.*s' is undefined, so it cannot be sorted",
                                (int)call->self.undefined_length, call->self.undefined_name);
        r = qvf_jinja_filter_items(machine, &inner, &items);
        return r < 0 ? r
                     : sort_items(machine, items.list, &path,
                                       qvf_jinja_given_truth(&call->arguments[0], false),
                                       qvf_jinja_given_truth(&call->arguments[2], false), ret_value);
}

JINJA_FILTER(unique)
{
        bool case_sensitive = qvf_jinja_given_truth(&call->arguments[0], false);
        struct jinja_growing kept = { 0 };
        struct jinja_value seen, key;
        struct jinja_list *items;
        int r = qvf_jinja_iterate(machine, &call->self, &items);

        if (r >= 0)
                r = qvf_jinja_dict_new(machine, &seen);
        for (size_t i = 0; r >= 0 && i < items->count; i++) {
                uint32_t before = seen.dict->count;

                r = make_key(machine, &items->items[i], &call->arguments[1], case_sensitive, &key);
                if (r >= 0)
                        r = qvf_jinja_dict_set(machine, seen.dict, &key, &key);
                if (r >= 0 && seen.dict->count > before)
                        r = qvf_jinja_grow(machine, &kept, items->items[i]);
        }
        return r < 0 ? r : qvf_jinja_grown(machine, &kept, JINJA_LAZY, ret_value);
}

static int extreme(struct jinja_machine *machine, const struct jinja_call *call, int sign,
                struct jinja_value *ret_value)
{
        bool case_sensitive = qvf_jinja_given_truth(&call->arguments[0], false);
        struct sorted best, item;
        struct jinja_list *items;
        int r = qvf_jinja_iterate(machine, &call->self, &items), found;

        for (size_t i = 0; r >= 0 && i < items->count; i++) {
                item.value = items->items[i];
                r = make_key(machine, &item.value, &call->arguments[1], case_sensitive, &item.key);
                found = sign;
                if (r >= 0 && i > 0)
                        r = order(machine, &item, &best, &found);
                if (r >= 0 && (i == 0 || (found > 0) - (found < 0) == sign))
                        best = item;
        }
        if (r >= 0)
                *ret_value = items->count > 0 ? best.value
                                              : qvf_jinja_undefined("item of an empty list", 21);
        return r;
}

JINJA_FILTER(min)
{
        return extreme(machine, call, -1, ret_value);
}

JINJA_FILTER(max)
{
        return extreme(machine, call, 1, ret_value);
}

JINJA_FILTER(sum)
{
        struct jinja_value total = call->arguments[1].kind == JINJA_ABSENT ? JINJA_VALUE_INTEGER(0)
                                                                           : call->arguments[1];
        struct jinja_list *items;
        int r = qvf_jinja_iterate(machine, &call->self, &items);

        if (r >= 0)
                r = pluck(machine, items, &call->arguments[0], &items);
        for (size_t i = 0; r >= 0 && i < items->count; i++)
                r = qvf_jinja_binary(machine, JINJA_ADD, &total, &items->items[i], &total);
        if (r >= 0)
                *ret_value = total;
        return r;
}

JINJA_FILTER(batch)
{
        struct jinja_growing lines = { 0 };
        struct jinja_value line;
        struct jinja_list *items;
        int64_t width;
        int r = qvf_jinja_want_integer(machine, &call->arguments[0], "linecount", 1, &width);

        if (r >= 0 && (width < 1 || width > BATCH_MAX))
                return qvf_jinja_fail(machine, -EINVAL, "linecount must be from 1 to %d", BATCH_MAX);
        if (r >= 0)
                r = qvf_jinja_iterate(machine, &call->self, &items);
        for (size_t start = 0; r >= 0 && start < items->count; start += (size_t)width) {
                size_t left = items->count - start, count = left < (size_t)width ? left : (size_t)width;
                bool fill = call->arguments[1].kind != JINJA_ABSENT && call->arguments[1].kind != JINJA_NONE;

                r = qvf_jinja_list_new(machine, fill ? (size_t)width : count, JINJA_PLAIN, &line);
                for (size_t i = 0; r >= 0 && i < line.list->count; i++)
                        line.list->items[i] = i < count ? items->items[start + i] : call->arguments[1];
                if (r >= 0)
                        r = qvf_jinja_grow(machine, &lines, line);
        }
        return r < 0 ? r : qvf_jinja_grown(machine, &lines, JINJA_LAZY, ret_value);
}
