/* SPDX-License-Identifier: Apache-2.0 */
/* Operators, with Python's meaning. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "engine/template/format.h"
#include "engine/template/machine.h"

static const char *const symbols[] = { "+", "-", "*", "/", "//", "%", "**", "~" };

static int fail_operands(struct jinja_machine *machine, enum jinja_operator operation,
                const struct jinja_value *left, const struct jinja_value *right)
{
        const struct jinja_value *undefined = left->kind == JINJA_UNDEFINED    ? left
                                              : right->kind == JINJA_UNDEFINED ? right
                                                                               : NULL;

        if (undefined)
                return qvf_jinja_fail(machine, -EINVAL, "'%.*s' is undefined, so '%s' does not apply to it",
                                (int)undefined->undefined_length, undefined->undefined_name,
                                symbols[operation]);
        return qvf_jinja_fail(machine, -EINVAL, "'%s' does not apply to %s and %s", symbols[operation],
                        qvf_jinja_kind_name(left), qvf_jinja_kind_name(right));
}

static int fail_overflow(struct jinja_machine *machine)
{
        return qvf_jinja_fail(machine, -EINVAL, "the result does not fit an integer of 64 bits");
}

static int concat(struct jinja_machine *machine, const struct jinja_value *left,
                const struct jinja_value *right, struct jinja_value *ret_value)
{
        struct jinja_string first, second;
        int r = qvf_jinja_to_string(machine, left, &first);

        if (r >= 0)
                r = qvf_jinja_to_string(machine, right, &second);
        return r < 0 ? r : qvf_jinja_string_concat(machine, &first, &second, ret_value);
}

static int concat_lists(struct jinja_machine *machine, const struct jinja_list *left,
                const struct jinja_list *right, struct jinja_value *ret_value)
{
        int r = qvf_jinja_list_new(machine, left->count + right->count, left->flavour, ret_value);

        if (r < 0)
                return r;
        if (left->count > 0)
                memcpy(ret_value->list->items, left->items, left->count * sizeof(*left->items));
        if (right->count > 0)
                memcpy(ret_value->list->items + left->count, right->items,
                                right->count * sizeof(*right->items));
        return 0;
}

static int repeat_string(struct jinja_machine *machine, const struct jinja_string *string, uint64_t times,
                struct jinja_value *ret_value)
{
        _cleanup_builder_ struct jinja_builder builder = { .machine = machine };
        uint64_t total;
        char *bytes;
        int r = 0;

        if (__builtin_mul_overflow(times, string->length, &total) || total > UINT32_MAX)
                return qvf_jinja_out_of_memory(machine);
        if (total == 0) {
                *ret_value = qvf_jinja_literal("");
                return 0;
        }
        if (string->runs) {
                for (uint64_t i = 0; r >= 0 && i < times; i++)
                        r = qvf_jinja_build_string(&builder, string);
                return r < 0 ? r : qvf_jinja_build_finish(&builder, ret_value);
        }
        r = qvf_jinja_charge_bytes(machine, total);
        if (r < 0)
                return r;
        bytes = qvf_jinja_arena_allocate(&machine->bytes, total, 1);
        if (!bytes)
                return qvf_jinja_out_of_memory(machine);
        for (uint64_t at = 0; at < total; at += string->length)
                memcpy(bytes + at, string->bytes, string->length);
        *ret_value = qvf_jinja_string(bytes, total, string->tag);
        return 0;
}

static int repeat_list(struct jinja_machine *machine, const struct jinja_list *list, uint64_t times,
                struct jinja_value *ret_value)
{
        uint64_t total;
        int r;

        if (__builtin_mul_overflow(times, list->count, &total))
                return qvf_jinja_out_of_memory(machine);
        r = qvf_jinja_list_new(machine, total, list->flavour, ret_value);
        for (uint64_t i = 0; r >= 0 && i < total; i++)
                ret_value->list->items[i] = list->items[i % list->count];
        return r;
}

static bool is_sequence(const struct jinja_value *value)
{
        return value->kind == JINJA_STRING ||
               (value->kind == JINJA_LIST && value->list->flavour <= JINJA_TUPLE);
}

static int64_t as_integer(const struct jinja_value *value)
{
        return value->kind == JINJA_BOOLEAN ? value->boolean : value->integer;
}

static double as_real(const struct jinja_value *value)
{
        return value->kind == JINJA_FLOAT ? value->real : (double)as_integer(value);
}

static int repeat(struct jinja_machine *machine, const struct jinja_value *left,
                const struct jinja_value *right, struct jinja_value *ret_value)
{
        const struct jinja_value *sequence = is_sequence(left) ? left : right;
        const struct jinja_value *times = sequence == left ? right : left;
        int64_t count;

        if (times->kind != JINJA_INTEGER && times->kind != JINJA_BOOLEAN)
                return fail_operands(machine, JINJA_MULTIPLY, left, right);
        count = as_integer(times) < 0 ? 0 : as_integer(times);
        if (sequence->kind == JINJA_STRING)
                return repeat_string(machine, &sequence->string, (uint64_t)count, ret_value);
        return repeat_list(machine, sequence->list, (uint64_t)count, ret_value);
}

/* Python rounds the quotient down, and the remainder has the divisor's sign. */
static int divide_integers(struct jinja_machine *machine, enum jinja_operator operation, int64_t a,
                int64_t b, struct jinja_value *ret_value)
{
        int64_t quotient, remainder;

        if (b == 0)
                return qvf_jinja_fail(machine, -EINVAL, "division by zero");
        if (a == INT64_MIN && b == -1)
                return fail_overflow(machine);
        quotient = a / b;
        remainder = a % b;
        if (remainder != 0 && (remainder < 0) != (b < 0)) {
                quotient--;
                remainder += b;
        }
        *ret_value = JINJA_VALUE_INTEGER(operation == JINJA_MODULO ? remainder : quotient);
        return 0;
}

static int power_of_integers(
                struct jinja_machine *machine, int64_t base, int64_t exponent, struct jinja_value *ret_value)
{
        int64_t result = 1;

        while (exponent > 0) {
                if ((exponent & 1) && __builtin_mul_overflow(result, base, &result))
                        return fail_overflow(machine);
                exponent >>= 1;
                if (exponent > 0 && __builtin_mul_overflow(base, base, &base))
                        return fail_overflow(machine);
        }
        *ret_value = JINJA_VALUE_INTEGER(result);
        return 0;
}

static int operate_on_integers(struct jinja_machine *machine, enum jinja_operator operation, int64_t a,
                int64_t b, struct jinja_value *ret_value)
{
        int64_t result = 0;
        bool overflows = false;

        switch (operation) {
        case JINJA_ADD: overflows = __builtin_add_overflow(a, b, &result); break;
        case JINJA_SUBTRACT: overflows = __builtin_sub_overflow(a, b, &result); break;
        case JINJA_MULTIPLY: overflows = __builtin_mul_overflow(a, b, &result); break;
        case JINJA_POWER: return power_of_integers(machine, a, b, ret_value);
        default: return divide_integers(machine, operation, a, b, ret_value);
        }
        if (overflows)
                return fail_overflow(machine);
        *ret_value = JINJA_VALUE_INTEGER(result);
        return 0;
}

static int operate_on_reals(struct jinja_machine *machine, enum jinja_operator operation, double a, double b,
                struct jinja_value *ret_value)
{
        double result = 0;

        if (b == 0 && (operation == JINJA_DIVIDE || operation == JINJA_FLOOR_DIVIDE ||
                                      operation == JINJA_MODULO))
                return qvf_jinja_fail(machine, -EINVAL, "division by zero");
        switch (operation) {
        case JINJA_ADD: result = a + b; break;
        case JINJA_SUBTRACT: result = a - b; break;
        case JINJA_MULTIPLY: result = a * b; break;
        case JINJA_DIVIDE: result = a / b; break;
        case JINJA_FLOOR_DIVIDE: result = floor(a / b); break;
        case JINJA_MODULO:
                result = fmod(a, b);
                if (result == 0)
                        result = copysign(0, b);
                else if ((result < 0) != (b < 0))
                        result += b;
                break;
        default:
                if (a == 0 && b < 0)
                        return qvf_jinja_fail(machine, -EINVAL, "0 cannot be raised to a negative power");
                result = pow(a, b);
                if (isinf(result) && !isinf(a) && !isinf(b))
                        return qvf_jinja_fail(machine, -EINVAL, "the result is too large");
                break;
        }
        *ret_value = JINJA_VALUE_FLOAT(result);
        return 0;
}

int qvf_jinja_binary(struct jinja_machine *machine, enum jinja_operator operation,
                const struct jinja_value *left, const struct jinja_value *right,
                struct jinja_value *ret_value)
{
        bool is_real = left->kind == JINJA_FLOAT || right->kind == JINJA_FLOAT || operation == JINJA_DIVIDE;

        if (operation == JINJA_CONCAT)
                return concat(machine, left, right, ret_value);
        if (operation == JINJA_ADD && left->kind == JINJA_STRING && right->kind == JINJA_STRING)
                return qvf_jinja_string_concat(machine, &left->string, &right->string, ret_value);
        if (operation == JINJA_ADD && left->kind == JINJA_LIST && right->kind == JINJA_LIST &&
                        left->list->flavour <= JINJA_TUPLE && left->list->flavour == right->list->flavour)
                return concat_lists(machine, left->list, right->list, ret_value);
        if (operation == JINJA_MULTIPLY && (is_sequence(left) || is_sequence(right)))
                return repeat(machine, left, right, ret_value);
        if (operation == JINJA_MODULO && left->kind == JINJA_STRING)
                return qvf_jinja_format_percent(machine, &left->string, right, ret_value);
        if (!qvf_jinja_is_number(left) || !qvf_jinja_is_number(right))
                return fail_operands(machine, operation, left, right);
        if (operation == JINJA_POWER && !is_real && as_integer(right) < 0)
                is_real = true;
        if (is_real)
                return operate_on_reals(machine, operation, as_real(left), as_real(right), ret_value);
        return operate_on_integers(machine, operation, as_integer(left), as_integer(right), ret_value);
}

int qvf_jinja_negate(struct jinja_machine *machine, const struct jinja_value *value,
                struct jinja_value *ret_value)
{
        if (value->kind == JINJA_FLOAT) {
                *ret_value = JINJA_VALUE_FLOAT(-value->real);
                return 0;
        }
        if (!qvf_jinja_is_number(value))
                return qvf_jinja_fail(machine, -EINVAL, "expected a number behind '-' but found %s",
                                qvf_jinja_kind_name(value));
        return operate_on_integers(machine, JINJA_SUBTRACT, 0, as_integer(value), ret_value);
}
