/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/template/value.h"

#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "engine/template/machine.h"

#define SEARCH_WINDOW 1024

struct jinja_value qvf_jinja_string(const char *bytes, size_t length, uint32_t origin)
{
        return (struct jinja_value){ .kind = JINJA_STRING,
                .string = { .bytes = bytes, .length = (uint32_t)length, .tag = origin } };
}

struct jinja_value qvf_jinja_literal(const char *string)
{
        return qvf_jinja_string(string, strlen(string), 0);
}

struct jinja_value qvf_jinja_undefined(const char *name, size_t length)
{
        return (struct jinja_value){ .kind = JINJA_UNDEFINED,
                .undefined_name = name,
                .undefined_length = (uint32_t)(length < 64 ? length : 64) };
}

int qvf_jinja_list_new(struct jinja_machine *machine, size_t count, enum jinja_flavour flavour,
                struct jinja_value *ret_value)
{
        struct jinja_list *list = qvf_jinja_allocate(machine, 1, sizeof(*list));

        if (!list)
                return -E2BIG;
        list->flavour = flavour;
        list->count = count;
        list->items = qvf_jinja_allocate(machine, count, sizeof(*list->items));
        if (!list->items)
                return -E2BIG;
        *ret_value = (struct jinja_value){ .kind = JINJA_LIST, .list = list };
        return 0;
}

bool qvf_jinja_string_is(const struct jinja_string *string, const char *other)
{
        return string->length == strlen(other) && memcmp(string->bytes, other, string->length) == 0;
}

/* Index of the run that holds the byte at `offset`. */
static uint32_t find_run(const struct jinja_string *string, uint32_t offset)
{
        uint32_t low = 0, high = string->tag - 1;

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;

                if (offset >= string->runs[middle].end)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

struct jinja_run qvf_jinja_string_run_at(const struct jinja_string *string, uint32_t offset)
{
        if (!string->runs)
                return (struct jinja_run){ .end = string->length, .origin = string->tag };
        return string->runs[find_run(string, offset)];
}

int qvf_jinja_string_slice(struct jinja_machine *machine, const struct jinja_string *whole, uint32_t from,
                uint32_t to, struct jinja_value *ret_value)
{
        struct jinja_string copy = *whole, *string = &copy; /* ret_value may hold `whole` */
        uint32_t first, last;
        struct jinja_run *runs;

        if (to < from)
                to = from;
        *ret_value = qvf_jinja_string(string->bytes + from, to - from, string->runs ? 0 : string->tag);
        if (!string->runs || from == to)
                return 0;
        first = find_run(string, from);
        last = find_run(string, to - 1);
        runs = qvf_jinja_arena_allocate(&machine->runs, (last - first + 1) * sizeof(*runs), 8);
        if (!runs)
                return qvf_jinja_out_of_memory(machine);
        for (uint32_t i = first; i <= last; i++) {
                runs[i - first] = string->runs[i];
                runs[i - first].end = (string->runs[i].end < to ? string->runs[i].end : to) - from;
        }
        ret_value->string.runs = runs;
        ret_value->string.tag = last - first + 1;
        return qvf_jinja_charge(machine, 1 + (last - first) / 16);
}

/* The runs of left, then those of right. Where left's are the newest in their arena they are not copied. */
static int concat_runs(struct jinja_machine *machine, const struct jinja_string *left,
                const struct jinja_string *right, struct jinja_string *ret_string)
{
        uint32_t left_count = left->runs ? left->tag : 1, right_count = right->runs ? right->tag : 1;
        struct jinja_run *runs;
        int r = qvf_jinja_charge(machine, 1 + (left_count + right_count) / 16);

        if (r < 0)
                return r;
        if (left->runs && qvf_jinja_arena_extend(&machine->runs, left->runs + left_count,
                                          right_count * sizeof(*runs))) {
                runs = (struct jinja_run *)(uintptr_t)left->runs;
        } else {
                runs = qvf_jinja_arena_allocate(
                                &machine->runs, ((size_t)left_count + right_count) * sizeof(*runs), 8);
                if (!runs)
                        return qvf_jinja_out_of_memory(machine);
                if (left->runs)
                        memcpy(runs, left->runs, left_count * sizeof(*runs));
                else
                        runs[0] = qvf_jinja_string_run_at(left, 0);
        }
        for (uint32_t i = 0; i < right_count; i++) {
                runs[left_count + i] = right->runs ? right->runs[i] : qvf_jinja_string_run_at(right, 0);
                runs[left_count + i].end += left->length;
        }
        ret_string->runs = runs;
        ret_string->tag = left_count + right_count;
        return 0;
}

int qvf_jinja_string_concat(struct jinja_machine *machine, const struct jinja_string *left,
                const struct jinja_string *right, struct jinja_value *ret_value)
{
        struct jinja_value result = qvf_jinja_string(left->bytes, 0, left->tag);
        char *bytes = (char *)(uintptr_t)left->bytes;
        size_t total;
        int r;

        if (left->length == 0 || right->length == 0) {
                *ret_value = (struct jinja_value){ .kind = JINJA_STRING,
                        .string = left->length == 0 ? *right : *left };
                return 0;
        }
        if (left->length > UINT32_MAX - right->length)
                return qvf_jinja_out_of_memory(machine);
        if (!qvf_jinja_arena_extend(&machine->bytes, left->bytes + left->length, right->length)) {
                r = qvf_jinja_charge_bytes(machine, left->length);
                if (r < 0)
                        return r;
                total = (size_t)left->length + right->length;
                /* With room for half as much again: templates like to add to the same text in a loop. */
                bytes = qvf_jinja_arena_allocate(&machine->bytes, total + total / 2, 1);
                if (bytes)
                        qvf_jinja_arena_shorten(&machine->bytes, bytes + total);
                else
                        bytes = qvf_jinja_arena_allocate(&machine->bytes, total, 1);
                if (!bytes)
                        return qvf_jinja_out_of_memory(machine);
                memcpy(bytes, left->bytes, left->length);
        }
        memcpy(bytes + left->length, right->bytes, right->length);
        result.string.bytes = bytes;
        result.string.length = left->length + right->length;
        if (left->runs || right->runs || left->tag != right->tag) {
                r = concat_runs(machine, left, right, &result.string);
                if (r < 0)
                        return r;
        }
        *ret_value = result;
        return qvf_jinja_charge_bytes(machine, right->length);
}

uint32_t qvf_jinja_string_step(const struct jinja_string *string, uint32_t offset, uint32_t *ret_codepoint)
{
        uint32_t codepoint = 0xfffd;
        size_t size = qvf_utf8_decode(string->bytes + offset, string->length - offset, &codepoint);

        if (ret_codepoint)
                *ret_codepoint = codepoint;
        return size ? (uint32_t)size : 1;
}

uint32_t qvf_jinja_string_offset(const struct jinja_string *string, uint32_t index)
{
        uint32_t offset = 0;

        for (; index > 0 && offset < string->length; index--)
                offset += qvf_jinja_string_step(string, offset, NULL);
        return offset;
}

uint32_t qvf_jinja_string_count(const struct jinja_string *string)
{
        uint32_t count = 0;

        for (uint32_t offset = 0; offset < string->length; count++)
                offset += qvf_jinja_string_step(string, offset, NULL);
        return count;
}

uint32_t qvf_jinja_string_find(
                const struct jinja_string *string, const struct jinja_string *needle, uint32_t from)
{
        /* In windows: a checking memmem() looks at all that it is given, also when the first byte matches. */
        uint64_t window = 2 * (uint64_t)needle->length + SEARCH_WINDOW, left;
        const char *found;

        if (from > string->length)
                return UINT32_MAX;
        if (needle->length == 0)
                return from;
        for (; (left = string->length - from) >= needle->length;
                        from += (uint32_t)(window - needle->length + 1)) {
                found = memmem(string->bytes + from, left < window ? left : window, needle->bytes,
                                needle->length);
                if (found)
                        return (uint32_t)(found - string->bytes);
                if (left <= window)
                        break;
        }
        return UINT32_MAX;
}

const char *qvf_jinja_kind_name(const struct jinja_value *value)
{
        static const char *const flavours[] = { "list", "tuple", "range", "dict_keys", "dict_values",
                "dict_items", "generator" };
        static const char *const kinds[] = { "absent", "Undefined", "NoneType", "bool", "int", "float",
                "str", "list", "dict", "LoopContext", "Macro", "function" };

        if (value->kind == JINJA_LIST)
                return flavours[value->list->flavour];
        if (value->kind == JINJA_DICT && value->dict->is_namespace)
                return "Namespace";
        return kinds[value->kind];
}

bool qvf_jinja_is_number(const struct jinja_value *value)
{
        return value->kind == JINJA_INTEGER || value->kind == JINJA_FLOAT || value->kind == JINJA_BOOLEAN;
}

bool qvf_jinja_truth(const struct jinja_value *value)
{
        switch (value->kind) {
        case JINJA_ABSENT:
        case JINJA_UNDEFINED:
        case JINJA_NONE: return false;
        case JINJA_BOOLEAN: return value->boolean;
        case JINJA_INTEGER: return value->integer != 0;
        case JINJA_FLOAT: return value->real != 0;
        case JINJA_STRING: return value->string.length > 0;
        case JINJA_LIST: return value->list->count > 0 || value->list->flavour == JINJA_LAZY;
        case JINJA_DICT: return value->dict->count > 0 || value->dict->is_namespace;
        default: return true;
        }
}
