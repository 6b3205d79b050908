/* SPDX-License-Identifier: Apache-2.0 */
/* Methods of dicts, lists and loops. Those that would change a value are refused, as in the immutable
 * sandbox that Hugging Face renders in. */
#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "engine/template/filters.h"

#define METHOD(name)                                                                                        \
        static int method_##name(struct jinja_machine *machine, struct jinja_call *call,                    \
                        struct jinja_value *ret_value)

METHOD(refuse)
{
        (void)call;
        (void)ret_value;
        return qvf_jinja_fail(machine, -EINVAL, "a template may not change a list or dict; build a new one");
}

METHOD(copy)
{
        (void)machine;
        *ret_value = call->self;
        return 0;
}

static int list_members(struct jinja_machine *machine, const struct jinja_dict *dict,
                enum jinja_flavour flavour, struct jinja_value *ret_value)
{
        int r = qvf_jinja_list_new(machine, dict->count, flavour, ret_value);

        for (uint32_t i = 0; r >= 0 && i < dict->count; i++)
                ret_value->list->items[i] =
                                flavour == JINJA_KEYS ? dict->entries[i].key : dict->entries[i].value;
        return r;
}

METHOD(keys)
{
        return list_members(machine, call->self.dict, JINJA_KEYS, ret_value);
}

METHOD(values)
{
        return list_members(machine, call->self.dict, JINJA_VALUES, ret_value);
}

METHOD(get)
{
        struct jinja_value *member;
        int r = qvf_jinja_dict_get(machine, call->self.dict, &call->arguments[0], &member);

        if (r < 0)
                return r;
        *ret_value = member                                    ? *member
                     : call->arguments[1].kind == JINJA_ABSENT ? JINJA_VALUE_NONE
                                                               : call->arguments[1];
        return 0;
}

METHOD(index)
{
        bool equal = false;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < call->self.list->count; i++) {
                r = qvf_jinja_equal(machine, &call->self.list->items[i], &call->arguments[0], &equal);
                if (!equal)
                        continue;
                *ret_value = JINJA_VALUE_INTEGER((int64_t)i);
                return r;
        }
        return r < 0 ? r : qvf_jinja_fail(machine, -EINVAL, "index() did not find the item");
}

METHOD(count)
{
        int64_t count = 0;
        bool equal = false;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < call->self.list->count; i++) {
                r = qvf_jinja_equal(machine, &call->self.list->items[i], &call->arguments[0], &equal);
                count += equal;
        }
        *ret_value = JINJA_VALUE_INTEGER(count);
        return r;
}

METHOD(cycle)
{
        if (call->count == 0)
                return qvf_jinja_fail(machine, -EINVAL, "loop.cycle() expects items");
        *ret_value = call->arguments[call->self.loop->index % call->count];
        return 0;
}

/* Are the arguments others than in the pass before? */
METHOD(changed)
{
        struct jinja_loop *loop = call->self.loop;
        struct jinja_value now;
        bool changed = !loop->changed || loop->changed->count != call->count;
        int r = qvf_jinja_list_new(machine, call->count, JINJA_TUPLE, &now);

        for (size_t i = 0; r >= 0 && i < call->count; i++) {
                bool equal;

                now.list->items[i] = call->arguments[i];
                if (changed)
                        continue;
                r = qvf_jinja_equal(machine, &loop->changed->items[i], &call->arguments[i], &equal);
                changed = !equal;
        }
        if (r < 0)
                return r;
        if (changed) {
                loop->changed = now.list;
                machine->escapes++;
        }
        *ret_value = JINJA_VALUE_BOOLEAN(changed);
        return 0;
}

const struct jinja_builtin *qvf_jinja_find_dict_method(const char *name, size_t length)
{
        static const struct jinja_builtin methods[] = {
                { "clear", method_refuse, NULL, 0 },
                { "copy", method_copy, "", 0 },
                { "get", method_get, "key default", 1 },
                { "items", qvf_jinja_filter_items, "", 0 },
                { "keys", method_keys, "", 0 },
                { "pop", method_refuse, NULL, 0 },
                { "popitem", method_refuse, NULL, 0 },
                { "setdefault", method_refuse, NULL, 0 },
                { "update", method_refuse, NULL, 0 },
                { "values", method_values, "", 0 },
        };

        return qvf_jinja_find(methods, QVF_ARRAY_LENGTH(methods), name, length);
}

const struct jinja_builtin *qvf_jinja_find_list_method(const char *name, size_t length)
{
        static const struct jinja_builtin methods[] = {
                { "append", method_refuse, NULL, 0 },
                { "clear", method_refuse, NULL, 0 },
                { "copy", method_copy, "", 0 },
                { "count", method_count, "value", 1 },
                { "extend", method_refuse, NULL, 0 },
                { "index", method_index, "value", 1 },
                { "insert", method_refuse, NULL, 0 },
                { "pop", method_refuse, NULL, 0 },
                { "remove", method_refuse, NULL, 0 },
                { "reverse", method_refuse, NULL, 0 },
                { "sort", method_refuse, NULL, 0 },
        };

        return qvf_jinja_find(methods, QVF_ARRAY_LENGTH(methods), name, length);
}

const struct jinja_builtin *qvf_jinja_find_loop_method(const char *name, size_t length)
{
        static const struct jinja_builtin methods[] = {
                { "changed", method_changed, NULL, 0 },
                { "cycle", method_cycle, NULL, 0 },
        };

        return qvf_jinja_find(methods, QVF_ARRAY_LENGTH(methods), name, length);
}
