/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions. */
#include <errno.h>
#include <string.h>

#include "engine/template/machine.h"

typedef int (*evaluator)(
                struct jinja_machine *machine, const struct jinja_node *node, struct jinja_value *ret_value);

static int evaluate_name(
                struct jinja_machine *machine, const struct jinja_node *node, struct jinja_value *ret_value)
{
        return qvf_jinja_scope_get(machine, node->text, node->length, ret_value);
}

static int evaluate_constant(
                struct jinja_machine *machine, const struct jinja_node *node, struct jinja_value *ret_value)
{
        switch (node->kind) {
        case JINJA_NODE_TRUE: *ret_value = JINJA_VALUE_BOOLEAN(true); break;
        case JINJA_NODE_FALSE: *ret_value = JINJA_VALUE_BOOLEAN(false); break;
        case JINJA_NODE_INTEGER: *ret_value = JINJA_VALUE_INTEGER(node->integer); break;
        case JINJA_NODE_REAL: *ret_value = JINJA_VALUE_FLOAT(node->real); break;
        case JINJA_NODE_STRING: *ret_value = qvf_jinja_string(node->text, node->length, 0); break;
        case JINJA_NODE_CAPTURED: *ret_value = machine->captured; break;
        default: *ret_value = JINJA_VALUE_NONE; break;
        }
        return 0;
}

static int evaluate_list(
                struct jinja_machine *machine, const struct jinja_node *node, struct jinja_value *ret_value)
{
        struct jinja_value list;
        size_t count = 0;
        int r;

        for (const struct jinja_node *item = node->a; item; item = item->next)
                count++;
        r = qvf_jinja_list_new(
                        machine, count, node->kind == JINJA_NODE_TUPLE ? JINJA_TUPLE : JINJA_PLAIN, &list);
        count = 0;
        for (const struct jinja_node *item = node->a; r >= 0 && item; item = item->next)
                r = qvf_jinja_evaluate(machine, item, &list.list->items[count++]);
        if (r >= 0)
                *ret_value = list;
        return r;
}

static int evaluate_dict(
                struct jinja_machine *machine, const struct jinja_node *node, struct jinja_value *ret_value)
{
        struct jinja_value dict, key, value;
        int r = qvf_jinja_dict_new(machine, &dict);

        for (const struct jinja_node *pair = node->a; r >= 0 && pair; pair = pair->next) {
                r = qvf_jinja_evaluate(machine, pair->a, &key);
                if (r >= 0)
                        r = qvf_jinja_evaluate(machine, pair->b, &value);
                machine->at = pair;
                if (r >= 0)
                        r = qvf_jinja_dict_set(machine, dict.dict, &key, &value);
        }
        if (r >= 0)
                *ret_value = dict;
        return r;
}

static int evaluate_unary(
                struct jinja_machine *machine, const struct jinja_node *node, struct jinja_value *ret_value)
{
        struct jinja_value value;
        int r = qvf_jinja_evaluate(machine, node->a, &value);

        machine->at = node;
        if (r < 0)
                return r;
        if (node->kind == JINJA_NODE_NEGATE)
                return qvf_jinja_negate(machine, &value, ret_value);
        if (node->kind == JINJA_NODE_NOT) {
                *ret_value = JINJA_VALUE_BOOLEAN(!qvf_jinja_truth(&value));
                return 0;
        }
        if (!qvf_jinja_is_number(&value))
                return qvf_jinja_fail(machine, -EINVAL, "expected a number behind '+' but found %s",
                                qvf_jinja_kind_name(&value));
        *ret_value = value;
        return 0;
}

static int evaluate_binary(
                struct jinja_machine *machine, const struct jinja_node *node, struct jinja_value *ret_value)
{
        struct jinja_value left, right;
        int r = qvf_jinja_evaluate(machine, node->a, &left);

        if (r >= 0)
                r = qvf_jinja_evaluate(machine, node->b, &right);
        machine->at = node;
        return r < 0 ? r
                     : qvf_jinja_binary(machine, (enum jinja_operator)node->operation, &left, &right,
                                       ret_value);
}

/* "and" and "or" give one of their operands, as in Python. */
static int evaluate_logic(
                struct jinja_machine *machine, const struct jinja_node *node, struct jinja_value *ret_value)
{
        struct jinja_value left;
        int r = qvf_jinja_evaluate(machine, node->a, &left);

        if (r < 0)
                return r;
        if (qvf_jinja_truth(&left) != (node->kind == JINJA_NODE_OR))
                return qvf_jinja_evaluate(machine, node->b, ret_value);
        *ret_value = left;
        return 0;
}

/* a < b < c compares each neighbours. */
static int evaluate_compare(
                struct jinja_machine *machine, const struct jinja_node *node, struct jinja_value *ret_value)
{
        struct jinja_value left, right;
        bool result = true;
        int r = qvf_jinja_evaluate(machine, node->a, &left);

        for (const struct jinja_node *part = node->b; r >= 0 && result && part; part = part->next) {
                r = qvf_jinja_evaluate(machine, part->a, &right);
                machine->at = part;
                if (r >= 0)
                        r = qvf_jinja_compare(machine, (enum jinja_operator)part->operation, &left, &right,
                                        &result);
                left = right;
        }
        if (r >= 0)
                *ret_value = JINJA_VALUE_BOOLEAN(result);
        return r;
}

static int evaluate_conditional(
                struct jinja_machine *machine, const struct jinja_node *node, struct jinja_value *ret_value)
{
        struct jinja_value condition;
        int r = qvf_jinja_evaluate(machine, node->b, &condition);

        if (r < 0)
                return r;
        if (qvf_jinja_truth(&condition))
                return qvf_jinja_evaluate(machine, node->a, ret_value);
        if (node->c)
                return qvf_jinja_evaluate(machine, node->c, ret_value);
        *ret_value = qvf_jinja_undefined("if without else", 15);
        return 0;
}

static int evaluate_attribute(
                struct jinja_machine *machine, const struct jinja_node *node, struct jinja_value *ret_value)
{
        struct jinja_value value;
        int r = qvf_jinja_evaluate(machine, node->a, &value);

        machine->at = node;
        return r < 0 ? r : qvf_jinja_attribute(machine, &value, node->text, node->length, ret_value);
}

static int evaluate_slice(struct jinja_machine *machine, const struct jinja_node *slice,
                const struct jinja_value *value, struct jinja_value *ret_value)
{
        const struct jinja_node *parts[3] = { slice->a, slice->b, slice->c };
        struct jinja_value bounds[3];
        int r;

        for (size_t i = 0; i < 3; i++) {
                bounds[i] = JINJA_VALUE_NONE;
                if (!parts[i])
                        continue;
                r = qvf_jinja_evaluate(machine, parts[i], &bounds[i]);
                if (r < 0)
                        return r;
        }
        machine->at = slice;
        return qvf_jinja_slice(machine, value, bounds, ret_value);
}

static int evaluate_subscript(
                struct jinja_machine *machine, const struct jinja_node *node, struct jinja_value *ret_value)
{
        struct jinja_value value, index;
        int r = qvf_jinja_evaluate(machine, node->a, &value);

        if (r < 0)
                return r;
        if (node->b->kind == JINJA_NODE_SLICE)
                return evaluate_slice(machine, node->b, &value, ret_value);
        r = qvf_jinja_evaluate(machine, node->b, &index);
        machine->at = node;
        return r < 0 ? r : qvf_jinja_subscript(machine, &value, &index, ret_value);
}

/* The items of *list, or the members of **dict, are arguments. */
static int count_arguments(struct jinja_machine *machine, const struct jinja_node *node,
                const struct jinja_value *value, struct jinja_call *call, struct jinja_list **ret_items)
{
        *ret_items = NULL;
        if (node->kind == JINJA_NODE_STAR) {
                int r = qvf_jinja_iterate(machine, value, ret_items);

                if (r >= 0)
                        call->count += (*ret_items)->count;
                return r;
        }
        if (node->kind == JINJA_NODE_DOUBLE_STAR) {
                if (value->kind != JINJA_DICT)
                        return qvf_jinja_fail(machine, -EINVAL, "expected a dict behind '**' but found %s",
                                        qvf_jinja_kind_name(value));
                call->keyword_count += value->dict->count;
        } else if (node->kind == JINJA_NODE_KEYWORD) {
                call->keyword_count++;
        } else {
                call->count++;
        }
        return 0;
}

static int add_keywords(struct jinja_machine *machine, const struct jinja_node *node,
                const struct jinja_value *value, struct jinja_call *call, size_t *at)
{
        if (node->kind == JINJA_NODE_KEYWORD) {
                struct jinja_value name = qvf_jinja_string(node->text, node->length, 0);

                call->keywords[(*at)++] = (struct jinja_keyword){ name.string, *value };
                return 0;
        }
        for (uint32_t i = 0; i < value->dict->count; i++) {
                const struct jinja_entry *entry = &value->dict->entries[i];

                if (entry->key.kind != JINJA_STRING)
                        return qvf_jinja_fail(machine, -EINVAL, "expected names as keys behind '**'");
                call->keywords[(*at)++] = (struct jinja_keyword){ entry->key.string, entry->value };
        }
        return 0;
}

int qvf_jinja_evaluate_call(struct jinja_machine *machine, const struct jinja_node *arguments,
                struct jinja_call *ret_call)
{
        struct jinja_call call = { .self = { .kind = JINJA_ABSENT } };
        size_t n = 0, argument = 0, keyword = 0;
        struct jinja_value *values;
        struct jinja_list **items;
        int r = 0;

        for (const struct jinja_node *node = arguments; node; node = node->next)
                n++;
        values = qvf_jinja_allocate(machine, n, sizeof(*values));
        items = values ? qvf_jinja_allocate(machine, n, sizeof(struct jinja_list *)) : NULL;
        if (!items)
                return -E2BIG;
        n = 0;
        for (const struct jinja_node *node = arguments; r >= 0 && node; node = node->next, n++) {
                bool is_plain = node->kind != JINJA_NODE_KEYWORD && node->kind != JINJA_NODE_STAR &&
                                node->kind != JINJA_NODE_DOUBLE_STAR;

                r = qvf_jinja_evaluate(machine, is_plain ? node : node->a, &values[n]);
                if (r >= 0)
                        r = count_arguments(machine, node, &values[n], &call, &items[n]);
        }
        if (r < 0)
                return r;
        call.arguments = qvf_jinja_allocate(machine, call.count, sizeof(*call.arguments));
        call.keywords = call.arguments ? qvf_jinja_allocate(
                                                         machine, call.keyword_count, sizeof(*call.keywords))
                                       : NULL;
        if (!call.keywords)
                return -E2BIG;
        n = 0;
        for (const struct jinja_node *node = arguments; r >= 0 && node; node = node->next, n++) {
                if (node->kind == JINJA_NODE_KEYWORD || node->kind == JINJA_NODE_DOUBLE_STAR)
                        r = add_keywords(machine, node, &values[n], &call, &keyword);
                else if (node->kind != JINJA_NODE_STAR)
                        call.arguments[argument++] = values[n];
                for (size_t i = 0; items[n] && i < items[n]->count; i++)
                        call.arguments[argument++] = items[n]->items[i];
        }
        if (r >= 0)
                *ret_call = call;
        return r;
}

static int evaluate_call_node(
                struct jinja_machine *machine, const struct jinja_node *node, struct jinja_value *ret_value)
{
        struct jinja_value callee;
        struct jinja_call call;
        int r = qvf_jinja_evaluate(machine, node->a, &callee);

        if (r >= 0)
                r = qvf_jinja_evaluate_call(machine, node->b, &call);
        machine->at = node;
        return r < 0 ? r : qvf_jinja_call(machine, &callee, &call, ret_value);
}

/* x|filter(…) and x is test(…) */
static int evaluate_filter(
                struct jinja_machine *machine, const struct jinja_node *node, struct jinja_value *ret_value)
{
        bool is_filter = node->kind == JINJA_NODE_FILTER;
        const struct jinja_builtin *builtin = is_filter ? qvf_jinja_find_filter(node->text, node->length)
                                                        : qvf_jinja_find_test(node->text, node->length);
        struct jinja_value value;
        struct jinja_call call;
        int r;

        if (!builtin)
                return qvf_jinja_fail(machine, -EINVAL, "there is no %s named '%.*s'",
                                is_filter ? "filter" : "test", (int)(node->length < 64 ? node->length : 64),
                                node->text);
        r = qvf_jinja_evaluate(machine, node->a, &value);
        if (r >= 0)
                r = qvf_jinja_evaluate_call(machine, node->b, &call);
        machine->at = node;
        if (r < 0)
                return r;
        call.self = value;
        return qvf_jinja_call_builtin(machine, builtin, &call, ret_value);
}

int qvf_jinja_evaluate(
                struct jinja_machine *machine, const struct jinja_node *node, struct jinja_value *ret_value)
{
        static const evaluator evaluators[JINJA_NODE_KINDS] = {
                [JINJA_NODE_NAME] = evaluate_name,
                [JINJA_NODE_TRUE] = evaluate_constant,
                [JINJA_NODE_FALSE] = evaluate_constant,
                [JINJA_NODE_NULL] = evaluate_constant,
                [JINJA_NODE_INTEGER] = evaluate_constant,
                [JINJA_NODE_REAL] = evaluate_constant,
                [JINJA_NODE_STRING] = evaluate_constant,
                [JINJA_NODE_CAPTURED] = evaluate_constant,
                [JINJA_NODE_LIST] = evaluate_list,
                [JINJA_NODE_TUPLE] = evaluate_list,
                [JINJA_NODE_DICT] = evaluate_dict,
                [JINJA_NODE_NOT] = evaluate_unary,
                [JINJA_NODE_NEGATE] = evaluate_unary,
                [JINJA_NODE_PLUS] = evaluate_unary,
                [JINJA_NODE_BINARY] = evaluate_binary,
                [JINJA_NODE_AND] = evaluate_logic,
                [JINJA_NODE_OR] = evaluate_logic,
                [JINJA_NODE_COMPARE] = evaluate_compare,
                [JINJA_NODE_CONDITIONAL] = evaluate_conditional,
                [JINJA_NODE_ATTRIBUTE] = evaluate_attribute,
                [JINJA_NODE_SUBSCRIPT] = evaluate_subscript,
                [JINJA_NODE_CALL] = evaluate_call_node,
                [JINJA_NODE_FILTER] = evaluate_filter,
                [JINJA_NODE_TEST] = evaluate_filter,
        };
        struct jinja_value value = JINJA_VALUE_UNDEFINED;
        int r;

        machine->at = node;
        r = qvf_jinja_charge(machine, 1);
        if (r >= 0)
                r = qvf_jinja_enter(machine);
        if (r < 0)
                return r;
        if (!evaluators[node->kind])
                r = qvf_jinja_fail(machine, -EINVAL, "expected an expression");
        else
                r = evaluators[node->kind](machine, node, &value);
        qvf_jinja_leave(machine);
        if (r >= 0)
                *ret_value = value;
        return r;
}
