/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/template/machine.h"

#include <errno.h>
#include <string.h>

#include "engine/template/chat_template.h"

int qvf_jinja_fail(struct jinja_machine *machine, int code, const char *format, ...)
{
        va_list arguments;
        char text[512];

        va_start(arguments, format);
        if (machine->at) {
                qvf_jinja_fail_at(machine->error, code, machine->source, machine->at->offset, format,
                                arguments);
        } else {
                vsnprintf(text, sizeof(text), format, arguments);
                qvf_error_set(machine->error, code, "%s", text);
        }
        va_end(arguments);
        return code;
}

int qvf_jinja_out_of_memory(struct jinja_machine *machine)
{
        return qvf_jinja_fail(machine, -E2BIG, "the template needs more than its %zu KiB of memory",
                        machine->memory.limit >> 10);
}

int qvf_jinja_charge(struct jinja_machine *machine, uint64_t steps)
{
        if (steps > machine->work_left)
                return qvf_jinja_fail(machine, -E2BIG, "the template takes too many steps");
        machine->work_left -= steps;
        return 0;
}

int qvf_jinja_charge_bytes(struct jinja_machine *machine, uint64_t length)
{
        return qvf_jinja_charge(machine, 1 + length / 256);
}

int qvf_jinja_charge_search(struct jinja_machine *machine, uint64_t length)
{
        return qvf_jinja_charge(machine, 1 + length / 32);
}

int qvf_jinja_charge_characters(struct jinja_machine *machine, uint64_t length)
{
        return qvf_jinja_charge(machine, 1 + length / 16);
}

void *qvf_jinja_allocate(struct jinja_machine *machine, size_t count, size_t size)
{
        size_t bytes;
        void *memory;

        if (qvf_jinja_charge(machine, 1 + count / 16) < 0)
                return NULL;
        if (__builtin_mul_overflow(count, size, &bytes) ||
                        !(memory = qvf_jinja_arena_allocate(&machine->objects, bytes ? bytes : 1, 8))) {
                qvf_jinja_out_of_memory(machine);
                return NULL;
        }
        return memset(memory, 0, bytes ? bytes : 1);
}

int qvf_jinja_enter(struct jinja_machine *machine)
{
        if (machine->depth >= QVF_CHAT_RENDER_DEPTH)
                return qvf_jinja_fail(machine, -E2BIG,
                                "values, expressions or calls are nested deeper than %d",
                                QVF_CHAT_RENDER_DEPTH);
        machine->depth++;
        return 0;
}

void qvf_jinja_leave(struct jinja_machine *machine)
{
        machine->depth--;
}

static struct jinja_variable *find_variable(const struct jinja_scope *scope, const char *name, size_t length)
{
        for (size_t i = scope->count; i > 0; i--) {
                struct jinja_variable *variable = &scope->variables[i - 1];

                if (variable->name_length == length && memcmp(variable->name, name, length) == 0)
                        return variable;
        }
        return NULL;
}

int qvf_jinja_scope_set(struct jinja_machine *machine, const char *name, size_t length,
                const struct jinja_value *value)
{
        struct jinja_scope *scope = machine->scope;
        struct jinja_variable *variable;
        int r = qvf_jinja_charge(machine, 1 + scope->count / 16);

        if (r < 0)
                return r;
        variable = find_variable(scope, name, length);
        if (!variable) {
                if (scope->count == scope->capacity) {
                        size_t capacity = scope->capacity ? scope->capacity * 2 : 4;
                        struct jinja_variable *larger =
                                        qvf_jinja_allocate(machine, capacity, sizeof(*larger));

                        if (!larger)
                                return -E2BIG;
                        if (scope->count > 0)
                                memcpy(larger, scope->variables, scope->count * sizeof(*larger));
                        scope->variables = larger;
                        scope->capacity = capacity;
                }
                variable = &scope->variables[scope->count++];
                variable->name = name;
                variable->name_length = (uint32_t)length;
        }
        variable->value = *value;
        return 0;
}

int qvf_jinja_scope_get(struct jinja_machine *machine, const char *name, size_t length,
                struct jinja_value *ret_value)
{
        const struct jinja_builtin *function;
        int r;

        for (const struct jinja_scope *scope = machine->scope; scope; scope = scope->outer) {
                struct jinja_variable *variable;

                r = qvf_jinja_charge(machine, 1 + scope->count / 16);
                if (r < 0)
                        return r;
                variable = find_variable(scope, name, length);
                if (variable) {
                        *ret_value = variable->value;
                        return 0;
                }
        }
        function = qvf_jinja_find_function(name, length);
        if (function)
                return qvf_jinja_bind(machine, function, NULL, ret_value);
        *ret_value = qvf_jinja_undefined(name, length);
        return 0;
}

const struct jinja_builtin *qvf_jinja_find(
                const struct jinja_builtin *table, size_t count, const char *name, size_t length)
{
        for (size_t i = 0; i < count; i++)
                if (strlen(table[i].name) == length && memcmp(table[i].name, name, length) == 0)
                        return &table[i];
        return NULL;
}
