/* SPDX-License-Identifier: Apache-2.0 */
/* What may stand behind "is". */
#include <errno.h>

#include "common/checked.h"
#include "engine/template/characters.h"
#include "engine/template/machine.h"

#define TEST(name, condition)                                                                               \
        static int test_##name(struct jinja_machine *machine, struct jinja_call *call,                      \
                        struct jinja_value *ret_value)                                                      \
        {                                                                                                   \
                const struct jinja_value *value = &call->self;                                              \
                                                                                                            \
                (void)machine;                                                                              \
                *ret_value = JINJA_VALUE_BOOLEAN(condition);                                                \
                return 0;                                                                                   \
        }

TEST(defined, value->kind != JINJA_UNDEFINED)
TEST(undefined, value->kind == JINJA_UNDEFINED)
TEST(none, value->kind == JINJA_NONE)
TEST(boolean, value->kind == JINJA_BOOLEAN)
TEST(true, value->kind == JINJA_BOOLEAN && value->boolean)
TEST(false, value->kind == JINJA_BOOLEAN && !value->boolean)
TEST(integer, value->kind == JINJA_INTEGER)
TEST(float, value->kind == JINJA_FLOAT)
TEST(number, qvf_jinja_is_number(value))
TEST(string, value->kind == JINJA_STRING)
TEST(mapping, value->kind == JINJA_DICT && !value->dict->is_namespace)
TEST(iterable, value->kind == JINJA_STRING || value->kind == JINJA_LIST || value->kind == JINJA_UNDEFINED ||
                                (value->kind == JINJA_DICT && !value->dict->is_namespace) ||
                                value->kind == JINJA_LOOP)
TEST(sequence, value->kind == JINJA_STRING || value->kind == JINJA_UNDEFINED ||
                                (value->kind == JINJA_LIST && value->list->flavour <= JINJA_RANGE) ||
                                (value->kind == JINJA_DICT && !value->dict->is_namespace))
TEST(callable, value->kind == JINJA_MACRO || value->kind == JINJA_BUILTIN || value->kind == JINJA_UNDEFINED)
TEST(escaped, value == NULL) /* strings are never marked as escaped */

static bool same(const struct jinja_value *left, const struct jinja_value *right)
{
        if (left->kind != right->kind)
                return false;
        switch (left->kind) {
        case JINJA_BOOLEAN: return left->boolean == right->boolean;
        case JINJA_INTEGER: return left->integer == right->integer;
        case JINJA_STRING:
                return left->string.bytes == right->string.bytes &&
                       left->string.length == right->string.length;
        case JINJA_LIST: return left->list == right->list;
        case JINJA_DICT: return left->dict == right->dict;
        case JINJA_NONE: return true;
        default: return false;
        }
}

TEST(sameas, same(value, &call->arguments[0]))

static int remainder_is(struct jinja_machine *machine, const struct jinja_value *value,
                const struct jinja_value *divisor, int64_t wanted, struct jinja_value *ret_value)
{
        struct jinja_value remainder, target = JINJA_VALUE_INTEGER(wanted);
        bool equal;
        int r = qvf_jinja_binary(machine, JINJA_MODULO, value, divisor, &remainder);

        if (r >= 0)
                r = qvf_jinja_equal(machine, &remainder, &target, &equal);
        if (r >= 0)
                *ret_value = JINJA_VALUE_BOOLEAN(equal);
        return r;
}

static int test_odd(struct jinja_machine *machine, struct jinja_call *call, struct jinja_value *ret_value)
{
        return remainder_is(machine, &call->self, &JINJA_VALUE_INTEGER(2), 1, ret_value);
}

static int test_even(struct jinja_machine *machine, struct jinja_call *call, struct jinja_value *ret_value)
{
        return remainder_is(machine, &call->self, &JINJA_VALUE_INTEGER(2), 0, ret_value);
}

static int test_divisibleby(
                struct jinja_machine *machine, struct jinja_call *call, struct jinja_value *ret_value)
{
        return remainder_is(machine, &call->self, &call->arguments[0], 0, ret_value);
}

static int compare(struct jinja_machine *machine, struct jinja_call *call, enum jinja_operator operation,
                struct jinja_value *ret_value)
{
        bool result;
        int r = qvf_jinja_compare(machine, operation, &call->self, &call->arguments[0], &result);

        if (r >= 0)
                *ret_value = JINJA_VALUE_BOOLEAN(result);
        return r;
}

#define COMPARISON(name, operation)                                                                         \
        static int test_##name(struct jinja_machine *machine, struct jinja_call *call,                      \
                        struct jinja_value *ret_value)                                                      \
        {                                                                                                   \
                return compare(machine, call, operation, ret_value);                                        \
        }

COMPARISON(eq, JINJA_EQUAL)
COMPARISON(ne, JINJA_NOT_EQUAL)
COMPARISON(lt, JINJA_LESS)
COMPARISON(le, JINJA_LESS_EQUAL)
COMPARISON(gt, JINJA_GREATER)
COMPARISON(ge, JINJA_GREATER_EQUAL)
COMPARISON(in, JINJA_IN)

/* str.isupper() and islower(): at least one letter has case, and none has the other. */
static int test_case(struct jinja_machine *machine, struct jinja_call *call, bool upper,
                struct jinja_value *ret_value)
{
        struct jinja_string text;
        uint32_t codepoint;
        bool found = false, other = false;
        int r = qvf_jinja_to_string(machine, &call->self, &text);

        for (uint32_t at = 0; r >= 0 && at < text.length;) {
                at += qvf_jinja_string_step(&text, at, &codepoint);
                found |= (upper ? qvf_jinja_lower(codepoint) : qvf_jinja_upper(codepoint)) != codepoint;
                other |= (upper ? qvf_jinja_upper(codepoint) : qvf_jinja_lower(codepoint)) != codepoint;
        }
        *ret_value = JINJA_VALUE_BOOLEAN(found && !other);
        return r < 0 ? r : qvf_jinja_charge_characters(machine, text.length);
}

static int test_upper(struct jinja_machine *machine, struct jinja_call *call, struct jinja_value *ret_value)
{
        return test_case(machine, call, true, ret_value);
}

static int test_lower(struct jinja_machine *machine, struct jinja_call *call, struct jinja_value *ret_value)
{
        return test_case(machine, call, false, ret_value);
}

TEST(filter, value->kind == JINJA_STRING && qvf_jinja_find_filter(value->string.bytes, value->string.length))
TEST(test, value->kind == JINJA_STRING && qvf_jinja_find_test(value->string.bytes, value->string.length))

const struct jinja_builtin *qvf_jinja_find_test(const char *name, size_t length)
{
        static const struct jinja_builtin tests[] = {
                { "!=", test_ne, "other", 1 },
                { "<", test_lt, "other", 1 },
                { "<=", test_le, "other", 1 },
                { "==", test_eq, "other", 1 },
                { ">", test_gt, "other", 1 },
                { ">=", test_ge, "other", 1 },
                { "boolean", test_boolean, "", 0 },
                { "callable", test_callable, "", 0 },
                { "defined", test_defined, "", 0 },
                { "divisibleby", test_divisibleby, "num", 1 },
                { "eq", test_eq, "other", 1 },
                { "equalto", test_eq, "other", 1 },
                { "escaped", test_escaped, "", 0 },
                { "even", test_even, "", 0 },
                { "false", test_false, "", 0 },
                { "filter", test_filter, "", 0 },
                { "float", test_float, "", 0 },
                { "ge", test_ge, "other", 1 },
                { "greaterthan", test_gt, "other", 1 },
                { "gt", test_gt, "other", 1 },
                { "in", test_in, "seq", 1 },
                { "integer", test_integer, "", 0 },
                { "iterable", test_iterable, "", 0 },
                { "le", test_le, "other", 1 },
                { "lessthan", test_lt, "other", 1 },
                { "lower", test_lower, "", 0 },
                { "lt", test_lt, "other", 1 },
                { "mapping", test_mapping, "", 0 },
                { "ne", test_ne, "other", 1 },
                { "none", test_none, "", 0 },
                { "number", test_number, "", 0 },
                { "odd", test_odd, "", 0 },
                { "sameas", test_sameas, "other", 1 },
                { "sequence", test_sequence, "", 0 },
                { "string", test_string, "", 0 },
                { "test", test_test, "", 0 },
                { "true", test_true, "", 0 },
                { "undefined", test_undefined, "", 0 },
                { "upper", test_upper, "", 0 },
        };

        return qvf_jinja_find(tests, QVF_ARRAY_LENGTH(tests), name, length);
}
