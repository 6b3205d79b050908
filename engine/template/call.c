/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "engine/template/machine.h"

int qvf_jinja_bind(struct jinja_machine *machine, const struct jinja_builtin *builtin,
                const struct jinja_value *self, struct jinja_value *ret_value)
{
        struct jinja_bound *bound = qvf_jinja_allocate(machine, 1, sizeof(*bound));

        if (!bound)
                return -E2BIG;
        bound->builtin = builtin;
        if (self)
                bound->self = *self;
        *ret_value = (struct jinja_value){ .kind = JINJA_BUILTIN, .builtin = bound };
        return 0;
}

/* The position of a parameter among the blank-separated names, or -1. */
static int find_parameter(const char *parameters, const struct jinja_string *name)
{
        for (int i = 0; *parameters; i++) {
                size_t length = strcspn(parameters, " ");

                if (length == name->length && memcmp(parameters, name->bytes, length) == 0)
                        return i;
                parameters += length;
                parameters += strspn(parameters, " ");
        }
        return -1;
}

static unsigned count_parameters(const char *parameters)
{
        unsigned count = *parameters != 0;

        for (; *parameters; parameters++)
                count += *parameters == ' ';
        return count;
}

int qvf_jinja_call_builtin(struct jinja_machine *machine, const struct jinja_builtin *builtin,
                struct jinja_call *call, struct jinja_value *ret_value)
{
        struct jinja_value sorted[JINJA_PARAMETERS_MAX] = { 0 };
        struct jinja_call sorted_call = { .self = call->self, .arguments = sorted };
        unsigned count;
        int r;

        r = qvf_jinja_charge(machine, 1);
        if (r < 0 || !builtin->parameters)
                return r < 0 ? r : builtin->function(machine, call, ret_value);
        count = count_parameters(builtin->parameters);
        if (call->count > count)
                return qvf_jinja_fail(machine, -EINVAL, "%s expects at most %u arguments but got %zu",
                                builtin->name, count, call->count);
        if (call->count > 0)
                memcpy(sorted, call->arguments, call->count * sizeof(*sorted));
        for (size_t i = 0; i < call->keyword_count; i++) {
                const struct jinja_string *name = &call->keywords[i].name;
                int at = find_parameter(builtin->parameters, name);

                if (at < 0)
                        return qvf_jinja_fail(machine, -EINVAL, "%s has no argument '%.*s', only: %s",
                                        builtin->name, (int)(name->length < 64 ? name->length : 64),
                                        name->bytes, count ? builtin->parameters : "none");
                if (sorted[at].kind != JINJA_ABSENT)
                        return qvf_jinja_fail(machine, -EINVAL, "%s got its argument '%.*s' twice",
                                        builtin->name, (int)name->length, name->bytes);
                sorted[at] = call->keywords[i].value;
        }
        for (unsigned i = 0; i < builtin->required; i++)
                if (sorted[i].kind == JINJA_ABSENT)
                        return qvf_jinja_fail(machine, -EINVAL, "%s expects at least %u arguments (%s)",
                                        builtin->name, builtin->required, builtin->parameters);
        sorted_call.count = count;
        return builtin->function(machine, &sorted_call, ret_value);
}

/* What was given beyond the macro's parameters. */
static int bind_rest(struct jinja_machine *machine, const struct jinja_macro *macro,
                const struct jinja_call *call, size_t parameter_count, const bool *used)
{
        const struct jinja_node *node = macro->node;
        size_t extra = call->count > parameter_count ? call->count - parameter_count : 0;
        struct jinja_value rest, keywords;
        int r = qvf_jinja_dict_new(machine, &keywords);

        if (r >= 0)
                r = qvf_jinja_list_new(machine, extra, JINJA_TUPLE, &rest);
        if (r < 0)
                return r;
        if (extra > 0 && !(node->operation & JINJA_MACRO_VARARGS))
                return qvf_jinja_fail(machine, -EINVAL, "macro '%.*s' takes %zu arguments but got %zu",
                                (int)node->length, node->text, parameter_count, call->count);
        for (size_t i = 0; i < extra; i++)
                rest.list->items[i] = call->arguments[parameter_count + i];
        for (size_t i = 0; i < call->keyword_count; i++) {
                const struct jinja_keyword *keyword = &call->keywords[i];
                struct jinja_value key = { .kind = JINJA_STRING, .string = keyword->name };

                if (used[i])
                        continue;
                if (!(node->operation & JINJA_MACRO_KWARGS))
                        return qvf_jinja_fail(machine, -EINVAL, "macro '%.*s' has no parameter '%.*s'",
                                        (int)node->length, node->text, (int)keyword->name.length,
                                        keyword->name.bytes);
                r = qvf_jinja_dict_set(machine, keywords.dict, &key, &keyword->value);
                if (r < 0)
                        return r;
        }
        if (node->operation & JINJA_MACRO_VARARGS)
                r = qvf_jinja_scope_set(machine, "varargs", 7, &rest);
        if (r >= 0 && (node->operation & JINJA_MACRO_KWARGS))
                r = qvf_jinja_scope_set(machine, "kwargs", 6, &keywords);
        return r;
}

/* Puts the macro's parameters into the current scope, which is its own. */
static int bind_parameters(struct jinja_machine *machine, const struct jinja_macro *macro,
                const struct jinja_call *call)
{
        bool *used = qvf_jinja_allocate(machine, call->keyword_count, sizeof(*used));
        size_t count = 0;
        int r = 0;

        if (!used)
                return -E2BIG;
        for (const struct jinja_node *parameter = macro->node->a; parameter;
                        parameter = parameter->next, count++) {
                struct jinja_value value = qvf_jinja_undefined(parameter->text, parameter->length);
                bool given = count < call->count;

                if (given)
                        value = call->arguments[count];
                for (size_t i = 0; i < call->keyword_count; i++) {
                        const struct jinja_keyword *keyword = &call->keywords[i];

                        if (keyword->name.length != parameter->length ||
                                        memcmp(keyword->name.bytes, parameter->text, parameter->length) != 0)
                                continue;
                        if (given)
                                return qvf_jinja_fail(machine, -EINVAL, "macro '%.*s' got '%.*s' twice",
                                                (int)macro->node->length, macro->node->text,
                                                (int)parameter->length, parameter->text);
                        value = keyword->value;
                        used[i] = given = true;
                }
                if (!given && parameter->a)
                        r = qvf_jinja_evaluate(machine, parameter->a, &value);
                if (r >= 0)
                        r = qvf_jinja_scope_set(machine, parameter->text, parameter->length, &value);
                if (r >= 0)
                        r = qvf_jinja_charge(machine, 1 + call->keyword_count);
                if (r < 0)
                        return r;
        }
        return bind_rest(machine, macro, call, count, used);
}

int qvf_jinja_call_macro(struct jinja_machine *machine, const struct jinja_macro *macro,
                struct jinja_call *call, const struct jinja_value *caller, struct jinja_value *ret_value)
{
        _cleanup_builder_ struct jinja_builder builder = { .machine = machine, .is_output = true };
        struct jinja_scope *scope = qvf_jinja_allocate(machine, 1, sizeof(*scope)), *outer = machine->scope;
        struct jinja_builder *output = machine->output;
        int r = scope ? qvf_jinja_enter(machine) : -E2BIG;

        if (r < 0)
                return r;
        scope->outer = macro->closure;
        machine->scope = scope;
        machine->output = &builder;
        r = bind_parameters(machine, macro, call);
        if (r >= 0 && caller)
                r = qvf_jinja_scope_set(machine, "caller", 6, caller);
        if (r >= 0)
                r = qvf_jinja_execute(machine, macro->node->b);
        machine->scope = outer;
        machine->output = output;
        qvf_jinja_leave(machine);
        return r < 0 ? r : qvf_jinja_build_finish(&builder, ret_value);
}

int qvf_jinja_call(struct jinja_machine *machine, const struct jinja_value *callee, struct jinja_call *call,
                struct jinja_value *ret_value)
{
        switch (callee->kind) {
        case JINJA_MACRO: return qvf_jinja_call_macro(machine, callee->macro, call, NULL, ret_value);
        case JINJA_BUILTIN:
                call->self = callee->builtin->self;
                return qvf_jinja_call_builtin(machine, callee->builtin->builtin, call, ret_value);
        case JINJA_UNDEFINED:
                return qvf_jinja_fail(machine, -EINVAL, "'%.*s' is undefined, so it cannot be called",
                                (int)callee->undefined_length, callee->undefined_name);
        default:
                return qvf_jinja_fail(machine, -EINVAL, "expected a function or macro to call but found %s",
                                qvf_jinja_kind_name(callee));
        }
}
