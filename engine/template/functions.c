/* SPDX-License-Identifier: Apache-2.0 */
/* The global functions. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/checked.h"
#include "engine/template/machine.h"
#include "engine/template/strings.h"

/* Jinja's sandbox has the same limit. */
#define RANGE_MAX 100000

#define FUNCTION(name)                                                                                      \
        static int function_##name(struct jinja_machine *machine, struct jinja_call *call,                  \
                        struct jinja_value *ret_value)

FUNCTION(range)
{
        int64_t bounds[3] = { 0, 0, 1 }, span;
        uint64_t count = 0;
        int r = 0;

        if (call->count < 1 || call->count > 3 || call->keyword_count > 0)
                return qvf_jinja_fail(machine, -EINVAL, "range() expects one to three integers");
        for (size_t i = 0; r >= 0 && i < call->count; i++)
                r = qvf_jinja_want_integer(machine, &call->arguments[i], "a bound of range()", 0,
                                &bounds[call->count == 1 ? 1 : i]);
        if (r < 0)
                return r;
        if (bounds[2] == 0)
                return qvf_jinja_fail(machine, -EINVAL, "the step of range() is 0");
        if (__builtin_sub_overflow(bounds[1], bounds[0], &span))
                count = RANGE_MAX + 1;
        else if (span != 0 && (span > 0) == (bounds[2] > 0))
                count = span > 0 ? ((uint64_t)span - 1) / (uint64_t)bounds[2] + 1
                                 : (0 - (uint64_t)span - 1) / (0 - (uint64_t)bounds[2]) + 1;
        if (count > RANGE_MAX)
                return qvf_jinja_fail(machine, -E2BIG, "range() may have at most %d items", RANGE_MAX);
        r = qvf_jinja_list_new(machine, count, JINJA_RANGE, ret_value);
        for (uint64_t i = 0; r >= 0 && i < count; i++)
                ret_value->list->items[i] = JINJA_VALUE_INTEGER(bounds[0] + (int64_t)i * bounds[2]);
        return r;
}

/* The members of a dict, or pairs. */
static int add_members(
                struct jinja_machine *machine, struct jinja_dict *dict, const struct jinja_value *from)
{
        struct jinja_list *pairs, *pair;
        int r = 0;

        if (from->kind == JINJA_DICT) {
                for (uint32_t i = 0; r >= 0 && i < from->dict->count; i++)
                        r = qvf_jinja_dict_set(machine, dict, &from->dict->entries[i].key,
                                        &from->dict->entries[i].value);
                return r;
        }
        r = qvf_jinja_iterate(machine, from, &pairs);
        for (size_t i = 0; r >= 0 && i < pairs->count; i++) {
                r = qvf_jinja_iterate(machine, &pairs->items[i], &pair);
                if (r >= 0 && pair->count != 2)
                        return qvf_jinja_fail(machine, -EINVAL, "expected pairs of key and value");
                if (r >= 0)
                        r = qvf_jinja_dict_set(machine, dict, &pair->items[0], &pair->items[1]);
        }
        return r;
}

FUNCTION(dict)
{
        int r = qvf_jinja_dict_new(machine, ret_value);

        if (call->count > 1)
                return qvf_jinja_fail(machine, -EINVAL, "expected at most one dict, and names");
        if (r >= 0 && call->count == 1)
                r = add_members(machine, ret_value->dict, &call->arguments[0]);
        for (size_t i = 0; r >= 0 && i < call->keyword_count; i++) {
                struct jinja_value key = { .kind = JINJA_STRING, .string = call->keywords[i].name };

                r = qvf_jinja_dict_set(machine, ret_value->dict, &key, &call->keywords[i].value);
        }
        return r;
}

FUNCTION(namespace)
{
        int r = function_dict(machine, call, ret_value);

        if (r >= 0)
                ret_value->dict->is_namespace = true;
        return r;
}

FUNCTION(raise_exception)
{
        struct jinja_string text;
        int r = qvf_jinja_to_string(machine, &call->arguments[0], &text);

        (void)ret_value;
        if (r < 0)
                return r;
        return qvf_jinja_fail(machine, -EBADMSG, "the template refuses the messages: %.*s",
                        (int)(text.length < 300 ? text.length : 300), text.bytes);
}

FUNCTION(strftime_now)
{
        _cleanup_builder_ struct jinja_builder builder = { .machine = machine };
        time_t now = machine->now ? (time_t)machine->now : time(NULL);
        char format[128], text[256];
        struct jinja_string wanted;
        struct tm parts;
        size_t length;
        int r = qvf_jinja_want_string(machine, &call->arguments[0], "the format", &wanted);

        if (r < 0)
                return r;
        if (wanted.length >= sizeof(format) || memchr(wanted.bytes, 0, wanted.length) ||
                        !localtime_r(&now, &parts))
                return qvf_jinja_fail(
                                machine, -EINVAL, "strftime_now() expects a format of less than 128 bytes");
        memcpy(format, wanted.bytes, wanted.length);
        format[wanted.length] = 0;
        length = strftime(text, sizeof(text), format, &parts);
        if (length == 0 && wanted.length > 0)
                return qvf_jinja_fail(
                                machine, -EINVAL, "strftime_now() gives no text, or more than 255 bytes");
        r = qvf_jinja_build(&builder, text, length, 0);
        return r < 0 ? r : qvf_jinja_build_finish(&builder, ret_value);
}

const struct jinja_builtin *qvf_jinja_find_function(const char *name, size_t length)
{
        static const struct jinja_builtin functions[] = {
                { "dict", function_dict, NULL, 0 },
                { "namespace", function_namespace, NULL, 0 },
                { "raise_exception", function_raise_exception, "message", 1 },
                { "range", function_range, NULL, 0 },
                { "strftime_now", function_strftime_now, "format", 1 },
        };

        return qvf_jinja_find(functions, QVF_ARRAY_LENGTH(functions), name, length);
}
