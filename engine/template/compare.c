/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "engine/template/machine.h"

static double as_real(const struct jinja_value *value)
{
        return value->kind == JINJA_FLOAT     ? value->real
               : value->kind == JINJA_BOOLEAN ? (double)value->boolean
                                              : (double)value->integer;
}

static int64_t as_integer(const struct jinja_value *value)
{
        return value->kind == JINJA_BOOLEAN ? value->boolean : value->integer;
}

static bool numbers_equal(const struct jinja_value *left, const struct jinja_value *right)
{
        if (left->kind == JINJA_FLOAT || right->kind == JINJA_FLOAT)
                return as_real(left) == as_real(right);
        return as_integer(left) == as_integer(right);
}

static int lists_equal(struct jinja_machine *machine, const struct jinja_list *left,
                const struct jinja_list *right, bool *ret_equal)
{
        bool equal = left->count == right->count && left->flavour == right->flavour;
        int r = 0;

        for (size_t i = 0; r >= 0 && equal && i < left->count; i++)
                r = qvf_jinja_equal(machine, &left->items[i], &right->items[i], &equal);
        *ret_equal = equal;
        return r;
}

static int dicts_equal(struct jinja_machine *machine, const struct jinja_dict *left,
                const struct jinja_dict *right, bool *ret_equal)
{
        bool equal = left == right ||
                     (left->count == right->count && !left->is_namespace && !right->is_namespace);
        struct jinja_value *member;
        int r = 0;

        for (uint32_t i = 0; r >= 0 && left != right && equal && i < left->count; i++) {
                r = qvf_jinja_dict_get(machine, right, &left->entries[i].key, &member);
                if (r >= 0 && !member)
                        equal = false;
                else if (r >= 0)
                        r = qvf_jinja_equal(machine, &left->entries[i].value, member, &equal);
        }
        *ret_equal = equal;
        return r;
}

static int values_equal(struct jinja_machine *machine, const struct jinja_value *left,
                const struct jinja_value *right, bool *ret_equal)
{
        *ret_equal = false;
        if (qvf_jinja_is_number(left) && qvf_jinja_is_number(right)) {
                *ret_equal = numbers_equal(left, right);
                return 0;
        }
        if (left->kind != right->kind)
                return 0;
        switch (left->kind) {
        case JINJA_ABSENT:
        case JINJA_UNDEFINED:
        case JINJA_NONE: *ret_equal = true; return 0;
        case JINJA_STRING:
                *ret_equal = left->string.length == right->string.length &&
                             memcmp(left->string.bytes, right->string.bytes, left->string.length) == 0;
                return qvf_jinja_charge_bytes(machine, left->string.length);
        case JINJA_LIST: return lists_equal(machine, left->list, right->list, ret_equal);
        case JINJA_DICT: return dicts_equal(machine, left->dict, right->dict, ret_equal);
        case JINJA_LOOP: *ret_equal = left->loop == right->loop; return 0;
        case JINJA_MACRO: *ret_equal = left->macro == right->macro; return 0;
        default: *ret_equal = left->builtin->builtin == right->builtin->builtin; return 0;
        }
}

int qvf_jinja_equal(struct jinja_machine *machine, const struct jinja_value *left,
                const struct jinja_value *right, bool *ret_equal)
{
        int r = qvf_jinja_charge(machine, 1);

        *ret_equal = false;
        if (r >= 0)
                r = qvf_jinja_enter(machine);
        if (r < 0)
                return r;
        r = values_equal(machine, left, right, ret_equal);
        qvf_jinja_leave(machine);
        return r;
}

/* The first items that differ decide; else the shorter list is the smaller. */
static int order_lists(struct jinja_machine *machine, const char *operation, const struct jinja_list *left,
                const struct jinja_list *right, int *ret_order)
{
        for (size_t i = 0; i < left->count && i < right->count; i++) {
                bool equal;
                int r = qvf_jinja_equal(machine, &left->items[i], &right->items[i], &equal);

                if (r < 0)
                        return r;
                if (!equal)
                        return qvf_jinja_order(
                                        machine, operation, &left->items[i], &right->items[i], ret_order);
        }
        *ret_order = (left->count > right->count) - (left->count < right->count);
        return 0;
}

static int order_values(struct jinja_machine *machine, const char *operation, const struct jinja_value *left,
                const struct jinja_value *right, int *ret_order)
{
        const struct jinja_string *a = &left->string, *b = &right->string;

        if (qvf_jinja_is_number(left) && qvf_jinja_is_number(right)) {
                if (left->kind == JINJA_FLOAT || right->kind == JINJA_FLOAT)
                        *ret_order = (as_real(left) > as_real(right)) - (as_real(left) < as_real(right));
                else
                        *ret_order = (as_integer(left) > as_integer(right)) -
                                     (as_integer(left) < as_integer(right));
                return 0;
        }
        if (left->kind == JINJA_STRING && right->kind == JINJA_STRING) {
                *ret_order = memcmp(a->bytes, b->bytes, a->length < b->length ? a->length : b->length);
                if (*ret_order == 0)
                        *ret_order = (a->length > b->length) - (a->length < b->length);
                return qvf_jinja_charge_bytes(machine, a->length);
        }
        if (left->kind == JINJA_LIST && right->kind == JINJA_LIST && left->list->flavour <= JINJA_TUPLE &&
                        left->list->flavour == right->list->flavour)
                return order_lists(machine, operation, left->list, right->list, ret_order);
        return qvf_jinja_fail(machine, -EINVAL, "'%s' does not apply to %s and %s", operation,
                        qvf_jinja_kind_name(left), qvf_jinja_kind_name(right));
}

int qvf_jinja_order(struct jinja_machine *machine, const char *operation, const struct jinja_value *left,
                const struct jinja_value *right, int *ret_order)
{
        int r = qvf_jinja_charge(machine, 1);

        if (r >= 0)
                r = qvf_jinja_enter(machine);
        if (r < 0)
                return r;
        r = order_values(machine, operation, left, right, ret_order);
        qvf_jinja_leave(machine);
        return r;
}

static bool is_nan(const struct jinja_value *value)
{
        return value->kind == JINJA_FLOAT && isnan(value->real);
}

int qvf_jinja_compare(struct jinja_machine *machine, enum jinja_operator operation,
                const struct jinja_value *left, const struct jinja_value *right, bool *ret_result)
{
        static const char *const symbols[] = { [JINJA_LESS] = "<",
                [JINJA_LESS_EQUAL] = "<=",
                [JINJA_GREATER] = ">",
                [JINJA_GREATER_EQUAL] = ">=" };
        int order, r;

        *ret_result = false;
        switch (operation) {
        case JINJA_EQUAL:
        case JINJA_NOT_EQUAL:
                r = qvf_jinja_equal(machine, left, right, ret_result);
                *ret_result ^= operation == JINJA_NOT_EQUAL;
                return r;
        case JINJA_IN:
        case JINJA_NOT_IN:
                r = qvf_jinja_contains(machine, right, left, ret_result);
                *ret_result ^= operation == JINJA_NOT_IN;
                return r;
        default: break;
        }
        r = qvf_jinja_order(machine, symbols[operation], left, right, &order);
        if (r < 0)
                return r;
        *ret_result = operation == JINJA_LESS         ? order < 0
                      : operation == JINJA_LESS_EQUAL ? order <= 0
                      : operation == JINJA_GREATER    ? order > 0
                                                      : order >= 0;
        if (is_nan(left) || is_nan(right))
                *ret_result = false;
        return 0;
}

int qvf_jinja_contains(struct jinja_machine *machine, const struct jinja_value *container,
                const struct jinja_value *item, bool *ret_found)
{
        struct jinja_value *member;
        bool found = false;
        int r = 0;

        *ret_found = false;
        switch (container->kind) {
        case JINJA_UNDEFINED: return 0;
        case JINJA_STRING:
                if (item->kind != JINJA_STRING)
                        return qvf_jinja_fail(machine, -EINVAL, "only a string can be in a string, not %s",
                                        qvf_jinja_kind_name(item));
                *ret_found = qvf_jinja_string_find(&container->string, &item->string, 0) != UINT32_MAX;
                return qvf_jinja_charge_search(machine, container->string.length);
        case JINJA_LIST:
                for (size_t i = 0; r >= 0 && !found && i < container->list->count; i++)
                        r = qvf_jinja_equal(machine, &container->list->items[i], item, &found);
                *ret_found = found;
                return r;
        case JINJA_DICT:
                if (container->dict->is_namespace)
                        break;
                r = qvf_jinja_dict_get(machine, container->dict, item, &member);
                *ret_found = r >= 0 && member;
                return r;
        default: break;
        }
        return qvf_jinja_fail(machine, -EINVAL, "'in' does not apply to %s", qvf_jinja_kind_name(container));
}

/* FNV-1a */
static uint64_t mix(uint64_t hash, const void *bytes, size_t length)
{
        const unsigned char *in = bytes;

        for (size_t i = 0; i < length; i++)
                hash = (hash ^ in[i]) * 0x100000001b3u;
        return hash;
}

int qvf_jinja_hash(struct jinja_machine *machine, const struct jinja_value *value, uint64_t *ret_hash)
{
        uint64_t hash = 0xcbf29ce484222325u, part;
        double real;
        int r;

        switch (value->kind) {
        case JINJA_STRING:
                *ret_hash = mix(hash, value->string.bytes, value->string.length);
                return qvf_jinja_charge_characters(machine, value->string.length);
        case JINJA_BOOLEAN:
        case JINJA_INTEGER:
        case JINJA_FLOAT: /* 1, 1.0 and True are one key */
                real = as_real(value) + 0.0;
                *ret_hash = mix(hash, &real, sizeof(real));
                return 0;
        case JINJA_LIST:
                if (value->list->flavour != JINJA_TUPLE)
                        break;
                r = qvf_jinja_enter(machine);
                for (size_t i = 0; r >= 0 && i < value->list->count; i++) {
                        r = qvf_jinja_hash(machine, &value->list->items[i], &part);
                        if (r >= 0)
                                hash = mix(hash, &part, sizeof(part));
                        if (r >= 0)
                                r = qvf_jinja_charge(machine, 1);
                }
                if (r >= 0)
                        qvf_jinja_leave(machine);
                *ret_hash = hash;
                return r;
        case JINJA_DICT:
                if (!value->dict->is_namespace)
                        break;
                /* fall through */
        default: *ret_hash = hash + value->kind; return 0;
        }
        return qvf_jinja_fail(machine, -EINVAL, "%s cannot be a key", qvf_jinja_kind_name(value));
}
