/* SPDX-License-Identifier: Apache-2.0 */
/* Methods of strings. Where Python's index() would raise, so does this; find() gives -1. */
#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "engine/template/characters.h"
#include "engine/template/format.h"
#include "engine/template/strings.h"

#define METHOD(name)                                                                                        \
        static int method_##name(struct jinja_machine *machine, struct jinja_call *call,                    \
                        struct jinja_value *ret_value)

METHOD(strip)
{
        return qvf_jinja_strip(machine, &call->self.string, &call->arguments[0], true, true, ret_value);
}

METHOD(lstrip)
{
        return qvf_jinja_strip(machine, &call->self.string, &call->arguments[0], true, false, ret_value);
}

METHOD(rstrip)
{
        return qvf_jinja_strip(machine, &call->self.string, &call->arguments[0], false, true, ret_value);
}

METHOD(upper)
{
        return qvf_jinja_change_case(machine, &call->self.string, JINJA_CASE_UPPER, ret_value);
}

METHOD(lower)
{
        return qvf_jinja_change_case(machine, &call->self.string, JINJA_CASE_LOWER, ret_value);
}

METHOD(title)
{
        return qvf_jinja_change_case(machine, &call->self.string, JINJA_CASE_TITLE, ret_value);
}

METHOD(capitalize)
{
        return qvf_jinja_change_case(machine, &call->self.string, JINJA_CASE_CAPITALIZE, ret_value);
}

METHOD(replace)
{
        struct jinja_string old, new;
        int64_t most;
        int r = qvf_jinja_want_string(machine, &call->arguments[0], "what to replace", &old);

        if (r >= 0)
                r = qvf_jinja_want_string(machine, &call->arguments[1], "the replacement", &new);
        if (r >= 0)
                r = qvf_jinja_want_integer(machine, &call->arguments[2], "count", -1, &most);
        return r < 0 ? r : qvf_jinja_replace(machine, &call->self.string, &old, &new, most, ret_value);
}

METHOD(join)
{
        struct jinja_list *items;
        int r = qvf_jinja_iterate(machine, &call->arguments[0], &items);

        for (size_t i = 0; r >= 0 && i < items->count; i++)
                if (items->items[i].kind != JINJA_STRING)
                        return qvf_jinja_fail(machine, -EINVAL, "join() expects strings but item %zu is %s",
                                        i, qvf_jinja_kind_name(&items->items[i]));
        return r < 0 ? r : qvf_jinja_join(machine, &call->self.string, items, ret_value);
}

static int add_part(struct jinja_machine *machine, struct jinja_growing *parts,
                const struct jinja_string *string, uint32_t from, uint32_t to)
{
        struct jinja_value part;
        int r = qvf_jinja_string_slice(machine, string, from, to, &part);

        return r < 0 ? r : qvf_jinja_grow(machine, parts, part);
}

/* At white space; runs of it count once. What is left after `most` splits keeps its other end, as in Python.
 */
static int split_blanks(struct jinja_machine *machine, const struct jinja_string *string, int64_t most,
                struct jinja_growing *parts)
{
        uint32_t at = 0, start;
        const uint32_t end = string->length;
        size_t size;
        int r = 0;

        while (r >= 0) {
                while ((size = qvf_jinja_space_length(string->bytes + at, end - at)) > 0)
                        at += (uint32_t)size;
                if (at == end)
                        break;
                start = at;
                if (most == 0)
                        return add_part(machine, parts, string, start, end);
                while (at < end && !qvf_jinja_space_length(string->bytes + at, end - at))
                        at += qvf_jinja_string_step(string, at, NULL);
                r = add_part(machine, parts, string, start, at);
                most -= most > 0;
        }
        return r;
}

static int split_blanks_right(struct jinja_machine *machine, const struct jinja_string *string, int64_t most,
                struct jinja_growing *parts)
{
        uint32_t at = string->length, end;
        size_t size;
        int r = 0;

        while (r >= 0) {
                while ((size = qvf_jinja_space_length_before(string->bytes, at)) > 0)
                        at -= (uint32_t)size;
                if (at == 0)
                        break;
                end = at;
                if (most == 0)
                        return add_part(machine, parts, string, 0, end);
                while (at > 0 && !qvf_jinja_space_length_before(string->bytes, at))
                        at--;
                r = add_part(machine, parts, string, at, end);
                most -= most > 0;
        }
        return r;
}

static int split_at(struct jinja_machine *machine, const struct jinja_string *string,
                const struct jinja_string *separator, int64_t most, struct jinja_growing *parts)
{
        uint32_t start = 0, found;
        int r = 0;

        for (; r >= 0 && most != 0; most -= most > 0) {
                found = qvf_jinja_string_find(string, separator, start);
                if (found == UINT32_MAX)
                        break;
                r = add_part(machine, parts, string, start, found);
                start = found + separator->length;
        }
        return r < 0 ? r : add_part(machine, parts, string, start, string->length);
}

/* The last occurrence that ends at or before `end`, or UINT32_MAX. */
static uint32_t find_last(const struct jinja_string *string, const struct jinja_string *needle, uint32_t end)
{
        if (needle->length > end)
                return UINT32_MAX;
        for (uint32_t at = end - needle->length + 1; at > 0; at--)
                if (memcmp(string->bytes + at - 1, needle->bytes, needle->length) == 0)
                        return at - 1;
        return UINT32_MAX;
}

/* It compares at every offset, so its time grows with the product. */
static int charge_find_last(struct jinja_machine *machine, const struct jinja_string *string,
                const struct jinja_string *needle)
{
        return qvf_jinja_charge(
                        machine, 1 + ((uint64_t)string->length / 16) * (1 + (uint64_t)needle->length / 64));
}

static int split_at_right(struct jinja_machine *machine, const struct jinja_string *string,
                const struct jinja_string *separator, int64_t most, struct jinja_growing *parts)
{
        uint32_t end = string->length, found;
        int r = 0;

        for (; r >= 0 && most != 0; most -= most > 0) {
                found = find_last(string, separator, end);
                if (found == UINT32_MAX)
                        break;
                r = add_part(machine, parts, string, found + separator->length, end);
                end = found;
        }
        return r < 0 ? r : add_part(machine, parts, string, 0, end);
}

static int split(struct jinja_machine *machine, struct jinja_call *call, bool right,
                struct jinja_value *ret_value)
{
        const struct jinja_value *separator = &call->arguments[0];
        struct jinja_growing parts = { 0 };
        int64_t most;
        int r = qvf_jinja_want_integer(machine, &call->arguments[1], "maxsplit", -1, &most);

        if (r >= 0)
                r = qvf_jinja_charge_characters(machine, call->self.string.length);
        if (r >= 0 && right && separator->kind == JINJA_STRING)
                r = charge_find_last(machine, &call->self.string, &separator->string);
        if (r < 0)
                return r;
        if (separator->kind == JINJA_ABSENT || separator->kind == JINJA_NONE)
                r = (right ? split_blanks_right : split_blanks)(machine, &call->self.string, most, &parts);
        else if (separator->kind != JINJA_STRING || separator->string.length == 0)
                return qvf_jinja_fail(machine, -EINVAL, "expected a string that is not empty to split at");
        else
                r = (right ? split_at_right : split_at)(
                                machine, &call->self.string, &separator->string, most, &parts);
        for (size_t i = 0; r >= 0 && right && i < parts.count / 2; i++) {
                struct jinja_value swapped = parts.items[i];

                parts.items[i] = parts.items[parts.count - 1 - i];
                parts.items[parts.count - 1 - i] = swapped;
        }
        return r < 0 ? r : qvf_jinja_grown(machine, &parts, JINJA_PLAIN, ret_value);
}

METHOD(split)
{
        return split(machine, call, false, ret_value);
}

METHOD(rsplit)
{
        return split(machine, call, true, ret_value);
}

METHOD(splitlines)
{
        return qvf_jinja_split_lines(machine, &call->self.string,
                        qvf_jinja_given_truth(&call->arguments[0], false), ret_value);
}

/* head, separator, tail */
static int partition(struct jinja_machine *machine, struct jinja_call *call, bool right,
                struct jinja_value *ret_value)
{
        const struct jinja_string *string = &call->self.string;
        struct jinja_string separator;
        uint32_t found;
        int r = qvf_jinja_want_string(machine, &call->arguments[0], "the separator", &separator);

        if (r >= 0 && separator.length == 0)
                return qvf_jinja_fail(machine, -EINVAL, "expected a separator that is not empty");
        if (r >= 0)
                r = qvf_jinja_charge_characters(machine, string->length);
        if (r >= 0)
                r = qvf_jinja_list_new(machine, 3, JINJA_TUPLE, ret_value);
        if (r < 0)
                return r;
        for (size_t i = 0; i < 3; i++)
                ret_value->list->items[i] = qvf_jinja_literal("");
        r = right ? charge_find_last(machine, string, &separator) : 0;
        if (r < 0)
                return r;
        found = right ? find_last(string, &separator, string->length)
                      : qvf_jinja_string_find(string, &separator, 0);
        if (found == UINT32_MAX) {
                ret_value->list->items[right ? 2 : 0] = call->self;
                return 0;
        }
        r = qvf_jinja_string_slice(machine, string, 0, found, &ret_value->list->items[0]);
        if (r >= 0)
                r = qvf_jinja_string_slice(machine, string, found, found + separator.length,
                                &ret_value->list->items[1]);
        return r < 0 ? r
                     : qvf_jinja_string_slice(machine, string, found + separator.length, string->length,
                                       &ret_value->list->items[2]);
}

METHOD(partition)
{
        return partition(machine, call, false, ret_value);
}

METHOD(rpartition)
{
        return partition(machine, call, true, ret_value);
}

static bool has_affix(const struct jinja_string *string, const struct jinja_string *affix, bool at_end)
{
        const char *start = string->bytes;

        if (affix->length > string->length)
                return false;
        if (at_end)
                start += string->length - affix->length;
        return memcmp(start, affix->bytes, affix->length) == 0;
}

/* startswith and endswith take one string, or a tuple of them. */
static int test_affix(struct jinja_machine *machine, const struct jinja_call *call, bool at_end,
                struct jinja_value *ret_value)
{
        const struct jinja_value *affix = &call->arguments[0];
        size_t count = affix->kind == JINJA_LIST && affix->list->flavour == JINJA_TUPLE ? affix->list->count
                                                                                        : 1;
        struct jinja_string text;
        bool found = false;
        int r = 0;

        for (size_t i = 0; r >= 0 && !found && i < count; i++) {
                r = qvf_jinja_want_string(machine,
                                affix->kind == JINJA_LIST && affix->list->flavour == JINJA_TUPLE
                                                ? &affix->list->items[i]
                                                : affix,
                                at_end ? "the end" : "the start", &text);
                if (r >= 0)
                        r = qvf_jinja_charge_bytes(machine, text.length);
                if (r >= 0)
                        found = has_affix(&call->self.string, &text, at_end);
        }
        *ret_value = JINJA_VALUE_BOOLEAN(found);
        return r;
}

METHOD(startswith)
{
        return test_affix(machine, call, false, ret_value);
}

METHOD(endswith)
{
        return test_affix(machine, call, true, ret_value);
}

static int remove_affix(struct jinja_machine *machine, const struct jinja_call *call, bool at_end,
                struct jinja_value *ret_value)
{
        const struct jinja_string *string = &call->self.string;
        struct jinja_string affix;
        int r = qvf_jinja_want_string(machine, &call->arguments[0], "what to remove", &affix);

        if (r < 0)
                return r;
        if (!has_affix(string, &affix, at_end))
                affix.length = 0;
        return qvf_jinja_string_slice(machine, string, at_end ? 0 : affix.length,
                        at_end ? string->length - affix.length : string->length, ret_value);
}

METHOD(removeprefix)
{
        return remove_affix(machine, call, false, ret_value);
}

METHOD(removesuffix)
{
        return remove_affix(machine, call, true, ret_value);
}

/* In characters, from which Python counts; -1 where it is not found. */
static int find(struct jinja_machine *machine, const struct jinja_call *call, bool last,
                struct jinja_value *ret_value)
{
        const struct jinja_string *string = &call->self.string;
        struct jinja_value bounds[3] = { call->arguments[1], call->arguments[2], JINJA_VALUE_NONE };
        struct jinja_value part;
        struct jinja_string needle;
        uint32_t found;
        int r = qvf_jinja_want_string(machine, &call->arguments[0], "what to find", &needle);

        for (int i = 0; i < 2; i++)
                if (bounds[i].kind == JINJA_ABSENT)
                        bounds[i] = JINJA_VALUE_NONE;
        if (r >= 0)
                r = qvf_jinja_slice(machine, &call->self, bounds, &part);
        if (r >= 0 && last)
                r = charge_find_last(machine, string, &needle);
        if (r < 0)
                return r;
        found = last ? find_last(&part.string, &needle, part.string.length)
                     : qvf_jinja_string_find(&part.string, &needle, 0);
        if (found != UINT32_MAX) {
                struct jinja_string before = *string;

                before.length = (uint32_t)(part.string.bytes - string->bytes) + found;
                if (part.string.length == 0)
                        before.length = 0;
                found = qvf_jinja_string_count(&before);
        }
        *ret_value = JINJA_VALUE_INTEGER(found == UINT32_MAX ? -1 : (int64_t)found);
        return qvf_jinja_charge_characters(machine, string->length);
}

METHOD(find)
{
        return find(machine, call, false, ret_value);
}

METHOD(rfind)
{
        return find(machine, call, true, ret_value);
}

METHOD(index)
{
        int r = find(machine, call, false, ret_value);

        if (r >= 0 && ret_value->integer < 0)
                return qvf_jinja_fail(machine, -EINVAL, "index() did not find the string");
        return r;
}

METHOD(count)
{
        const struct jinja_string *string = &call->self.string;
        struct jinja_string needle;
        int64_t count = 0;
        int r = qvf_jinja_want_string(machine, &call->arguments[0], "what to count", &needle);

        if (r >= 0)
                r = qvf_jinja_charge_characters(machine, string->length);
        if (r < 0)
                return r;
        if (needle.length == 0)
                count = (int64_t)qvf_jinja_string_count(string) + 1;
        for (uint32_t at = 0; needle.length > 0; count++) {
                at = qvf_jinja_string_find(string, &needle, at);
                if (at == UINT32_MAX)
                        break;
                at += needle.length;
        }
        *ret_value = JINJA_VALUE_INTEGER(count);
        return 0;
}

static bool is_digit(uint32_t codepoint)
{
        return codepoint >= '0' && codepoint <= '9';
}

static int all_are(struct jinja_machine *machine, const struct jinja_string *string,
                bool (*is)(uint32_t codepoint), struct jinja_value *ret_value)
{
        bool all = string->length > 0;
        uint32_t codepoint;

        for (uint32_t at = 0; all && at < string->length;) {
                at += qvf_jinja_string_step(string, at, &codepoint);
                all = is(codepoint);
        }
        *ret_value = JINJA_VALUE_BOOLEAN(all);
        return qvf_jinja_charge_characters(machine, string->length);
}

METHOD(isdigit)
{
        return all_are(machine, &call->self.string, is_digit, ret_value);
}

METHOD(isspace)
{
        return all_are(machine, &call->self.string, qvf_jinja_is_space, ret_value);
}

METHOD(isupper)
{
        return qvf_jinja_call_builtin(machine, qvf_jinja_find_test("upper", 5), call, ret_value);
}

METHOD(islower)
{
        return qvf_jinja_call_builtin(machine, qvf_jinja_find_test("lower", 5), call, ret_value);
}

const struct jinja_builtin *qvf_jinja_find_string_method(const char *name, size_t length)
{
        static const struct jinja_builtin methods[] = {
                { "capitalize", method_capitalize, "", 0 },
                { "count", method_count, "sub", 1 },
                { "endswith", method_endswith, "suffix", 1 },
                { "find", method_find, "sub start end", 1 },
                { "format", qvf_jinja_format_braces, NULL, 0 },
                { "index", method_index, "sub start end", 1 },
                { "isdigit", method_isdigit, "", 0 },
                { "islower", method_islower, "", 0 },
                { "isspace", method_isspace, "", 0 },
                { "isupper", method_isupper, "", 0 },
                { "join", method_join, "iterable", 1 },
                { "lower", method_lower, "", 0 },
                { "lstrip", method_lstrip, "chars", 0 },
                { "partition", method_partition, "sep", 1 },
                { "removeprefix", method_removeprefix, "prefix", 1 },
                { "removesuffix", method_removesuffix, "suffix", 1 },
                { "replace", method_replace, "old new count", 2 },
                { "rfind", method_rfind, "sub start end", 1 },
                { "rpartition", method_rpartition, "sep", 1 },
                { "rsplit", method_rsplit, "sep maxsplit", 0 },
                { "rstrip", method_rstrip, "chars", 0 },
                { "split", method_split, "sep maxsplit", 0 },
                { "splitlines", method_splitlines, "keepends", 0 },
                { "startswith", method_startswith, "prefix", 1 },
                { "strip", method_strip, "chars", 0 },
                { "title", method_title, "", 0 },
                { "upper", method_upper, "", 0 },
        };

        return qvf_jinja_find(methods, QVF_ARRAY_LENGTH(methods), name, length);
}
