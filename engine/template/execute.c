/* SPDX-License-Identifier: Apache-2.0 */
/* Statements. An executor returns 0, a negative errno, or which jump is on its way to the loop around it. */
#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "engine/template/machine.h"

enum { JUMP_BREAK = 1, JUMP_CONTINUE = 2 };

/* How a turn was recognised (see chat_template.h); a stronger one replaces a weaker one. */
enum { TURN_NONE, TURN_STATEMENT, TURN_LOOP, TURN_MESSAGE };

typedef int (*executor)(struct jinja_machine *machine, const struct jinja_node *node);

/* What was allocated since, to be given back unless something may still point at it. */
struct mark {
        struct jinja_arena_mark objects, bytes, runs;
        uint32_t escapes;
};

static struct mark take_mark(const struct jinja_machine *machine)
{
        return (struct mark){ qvf_jinja_arena_mark(&machine->objects), qvf_jinja_arena_mark(&machine->bytes),
                qvf_jinja_arena_mark(&machine->runs), machine->escapes };
}

static void reset_to(struct jinja_machine *machine, const struct mark *mark)
{
        if (machine->escapes != mark->escapes)
                return;
        qvf_jinja_arena_reset(&machine->objects, mark->objects);
        qvf_jinja_arena_reset(&machine->bytes, mark->bytes);
        qvf_jinja_arena_reset(&machine->runs, mark->runs);
}

/* Scopes live in the arena, because a macro that escapes into a namespace keeps its own. */
static int push_scope(struct jinja_machine *machine)
{
        struct jinja_scope *scope = qvf_jinja_allocate(machine, 1, sizeof(*scope));

        if (!scope)
                return -E2BIG;
        scope->outer = machine->scope;
        machine->scope = scope;
        return 0;
}

static int assign_attribute(struct jinja_machine *machine, const struct jinja_node *target,
                const struct jinja_value *value)
{
        bool is_small = value->kind >= JINJA_NONE && value->kind <= JINJA_FLOAT;
        struct jinja_value owner, key = qvf_jinja_string(target->text, target->length, 0);
        uint32_t count;
        int r = qvf_jinja_evaluate(machine, target->a, &owner);

        machine->at = target;
        if (r < 0)
                return r;
        if (owner.kind != JINJA_DICT || !owner.dict->is_namespace)
                return qvf_jinja_fail(machine, -EINVAL,
                                "only a namespace can be assigned an attribute, but this is %s",
                                qvf_jinja_kind_name(&owner));
        count = owner.dict->count;
        r = qvf_jinja_dict_set(machine, owner.dict, &key, value);
        if (!is_small || owner.dict->count != count)
                machine->escapes++;
        return r;
}

static int assign_tuple(struct jinja_machine *machine, const struct jinja_node *target,
                const struct jinja_value *value)
{
        struct jinja_list *list;
        size_t count = 0;
        int r = qvf_jinja_iterate(machine, value, &list);

        if (r < 0)
                return r;
        for (const struct jinja_node *part = target->a; part; part = part->next)
                count++;
        if (list->count != count)
                return qvf_jinja_fail(machine, -EINVAL, "expected %zu values to unpack but found %zu", count,
                                list->count);
        count = 0;
        for (const struct jinja_node *part = target->a; r >= 0 && part; part = part->next)
                r = qvf_jinja_assign(machine, part, &list->items[count++]);
        return r;
}

int qvf_jinja_assign(struct jinja_machine *machine, const struct jinja_node *target,
                const struct jinja_value *value)
{
        machine->at = target;
        if (target->kind == JINJA_NODE_ATTRIBUTE)
                return assign_attribute(machine, target, value);
        if (target->kind == JINJA_NODE_TUPLE)
                return assign_tuple(machine, target, value);
        return qvf_jinja_scope_set(machine, target->text, target->length, value);
}

static int execute_data(struct jinja_machine *machine, const struct jinja_node *node)
{
        return qvf_jinja_build(machine->output, node->text, node->length, 0);
}

static int execute_output(struct jinja_machine *machine, const struct jinja_node *node)
{
        struct mark mark = take_mark(machine);
        bool starts_turn = machine->turn_kind == TURN_NONE;
        struct jinja_value value;
        int r;

        if (starts_turn) {
                machine->turn_kind = TURN_STATEMENT;
                machine->turn = ++machine->last_turn;
        }
        r = qvf_jinja_evaluate(machine, node->a, &value);
        machine->at = node;
        if (r >= 0)
                r = qvf_jinja_write(machine->output, &value);
        if (starts_turn)
                machine->turn = machine->turn_kind = TURN_NONE;
        reset_to(machine, &mark);
        return r;
}

static int execute_if(struct jinja_machine *machine, const struct jinja_node *node)
{
        struct jinja_value condition;
        int r;

        for (;;) {
                r = qvf_jinja_evaluate(machine, node->a, &condition);
                if (r < 0)
                        return r;
                if (qvf_jinja_truth(&condition))
                        return qvf_jinja_execute(machine, node->b);
                if (!node->operation)
                        return qvf_jinja_execute(machine, node->c);
                node = node->c;
        }
}

/* Keeps those items for which the loop's condition holds. */
static int filter_items(
                struct jinja_machine *machine, const struct jinja_node *node, struct jinja_list **list)
{
        struct jinja_scope *outer = machine->scope;
        struct jinja_value kept, condition;
        size_t count = 0;
        int r = qvf_jinja_list_new(machine, (*list)->count, JINJA_PLAIN, &kept);

        if (r >= 0)
                r = push_scope(machine);
        for (size_t i = 0; r >= 0 && i < (*list)->count; i++) {
                r = qvf_jinja_assign(machine, node->a, &(*list)->items[i]);
                if (r >= 0)
                        r = qvf_jinja_evaluate(machine, node->c->a, &condition);
                if (r >= 0 && qvf_jinja_truth(&condition))
                        kept.list->items[count++] = (*list)->items[i];
        }
        machine->scope = outer;
        if (r < 0)
                return r;
        kept.list->count = count;
        *list = kept.list;
        return 0;
}

static int execute_pass(
                struct jinja_machine *machine, const struct jinja_node *node, struct jinja_loop *loop)
{
        const struct jinja_value *item = &loop->items->items[loop->index];
        struct jinja_value loop_value = { .kind = JINJA_LOOP, .loop = loop };
        uint32_t turn = machine->turn, turn_kind = machine->turn_kind;
        uint32_t kind = item->kind == JINJA_DICT && item->dict->message ? TURN_MESSAGE : TURN_LOOP;
        struct jinja_scope *outer = machine->scope;
        int r = push_scope(machine);

        if (r < 0)
                return r;
        if (kind == TURN_MESSAGE || turn_kind < kind) {
                machine->turn_kind = kind;
                machine->turn = ++machine->last_turn;
        }
        r = qvf_jinja_scope_set(machine, "loop", 4, &loop_value);
        if (r >= 0)
                r = qvf_jinja_assign(machine, node->a, item);
        if (r >= 0)
                r = qvf_jinja_execute(machine, node->c->b);
        machine->turn = turn;
        machine->turn_kind = turn_kind;
        machine->scope = outer;
        return r;
}

static int execute_for(struct jinja_machine *machine, const struct jinja_node *node)
{
        struct jinja_value iterable;
        struct jinja_loop *loop;
        struct jinja_list *list;
        int r = qvf_jinja_evaluate(machine, node->b, &iterable);

        machine->at = node;
        if (r >= 0)
                r = qvf_jinja_iterate(machine, &iterable, &list);
        if (r >= 0 && node->c->a)
                r = filter_items(machine, node, &list);
        if (r < 0)
                return r;
        if (list->count == 0)
                return qvf_jinja_execute(machine, node->c->c);
        loop = qvf_jinja_allocate(machine, 1, sizeof(*loop));
        if (!loop)
                return -E2BIG;
        loop->items = list;
        for (loop->index = 0; r >= 0 && r != JUMP_BREAK && loop->index < list->count; loop->index++) {
                struct mark mark = take_mark(machine);

                machine->at = node;
                r = qvf_jinja_charge(machine, 1);
                if (r >= 0)
                        r = execute_pass(machine, node, loop);
                reset_to(machine, &mark);
        }
        return r < 0 ? r : 0;
}

static int execute_set(struct jinja_machine *machine, const struct jinja_node *node)
{
        struct jinja_value value;
        int r = qvf_jinja_evaluate(machine, node->b, &value);

        return r < 0 ? r : qvf_jinja_assign(machine, node->a, &value);
}

/* Executes a body in a scope of its own, and takes what it writes. */
static int capture(
                struct jinja_machine *machine, const struct jinja_node *body, struct jinja_value *ret_value)
{
        _cleanup_builder_ struct jinja_builder builder = { .machine = machine, .is_output = true };
        struct jinja_builder *output = machine->output;
        struct jinja_scope *outer = machine->scope;
        int jump, r = push_scope(machine);

        if (r < 0)
                return r;
        machine->output = &builder;
        jump = qvf_jinja_execute(machine, body);
        machine->output = output;
        machine->scope = outer;
        if (jump < 0)
                return jump;
        r = qvf_jinja_build_finish(&builder, ret_value);
        return r < 0 ? r : jump;
}

/* Applies a block's filters to its text. */
static int filter_captured(
                struct jinja_machine *machine, const struct jinja_node *filters, struct jinja_value *value)
{
        struct jinja_value outer = machine->captured;
        int r;

        if (!filters)
                return 0;
        machine->captured = *value;
        r = qvf_jinja_evaluate(machine, filters, value);
        machine->captured = outer;
        return r;
}

static int execute_set_block(struct jinja_machine *machine, const struct jinja_node *node)
{
        struct jinja_value value;
        int jump = capture(machine, node->c, &value), r;

        if (jump != 0)
                return jump;
        r = filter_captured(machine, node->b, &value);
        return r < 0 ? r : qvf_jinja_assign(machine, node->a, &value);
}

static int execute_filter_block(struct jinja_machine *machine, const struct jinja_node *node)
{
        struct jinja_value value;
        int jump = capture(machine, node->b, &value), r;

        if (jump != 0)
                return jump;
        r = filter_captured(machine, node->a, &value);
        machine->at = node;
        return r < 0 ? r : qvf_jinja_write(machine->output, &value);
}

static int make_macro(
                struct jinja_machine *machine, const struct jinja_node *node, struct jinja_value *ret_value)
{
        struct jinja_macro *macro = qvf_jinja_allocate(machine, 1, sizeof(*macro));

        if (!macro)
                return -E2BIG;
        macro->node = node;
        macro->closure = machine->scope;
        *ret_value = (struct jinja_value){ .kind = JINJA_MACRO, .macro = macro };
        return 0;
}

static int execute_macro(struct jinja_machine *machine, const struct jinja_node *node)
{
        struct jinja_value macro;
        int r = make_macro(machine, node, &macro);

        return r < 0 ? r : qvf_jinja_scope_set(machine, node->text, node->length, &macro);
}

static int execute_call_block(struct jinja_machine *machine, const struct jinja_node *node)
{
        struct jinja_value callee, caller, value;
        struct jinja_call call;
        int r = make_macro(machine, node->b, &caller);

        if (r >= 0)
                r = qvf_jinja_evaluate(machine, node->a->a, &callee);
        if (r >= 0)
                r = qvf_jinja_evaluate_call(machine, node->a->b, &call);
        machine->at = node;
        if (r < 0)
                return r;
        if (callee.kind != JINJA_MACRO)
                return qvf_jinja_fail(machine, -EINVAL, "expected a macro to call but found %s",
                                qvf_jinja_kind_name(&callee));
        r = qvf_jinja_call_macro(machine, callee.macro, &call, &caller, &value);
        return r < 0 ? r : qvf_jinja_write(machine->output, &value);
}

static int execute_with(struct jinja_machine *machine, const struct jinja_node *node)
{
        struct jinja_scope *outer = machine->scope, *inner;
        struct jinja_value value;
        int r = push_scope(machine);

        inner = machine->scope;
        for (const struct jinja_node *set = node->a; r >= 0 && set; set = set->next) {
                machine->scope = outer; /* the values do not see the names beside them */
                r = qvf_jinja_evaluate(machine, set->b, &value);
                machine->scope = inner;
                if (r >= 0)
                        r = qvf_jinja_assign(machine, set->a, &value);
        }
        if (r >= 0)
                r = qvf_jinja_execute(machine, node->b);
        machine->scope = outer;
        return r;
}

static int execute_generation(struct jinja_machine *machine, const struct jinja_node *node)
{
        uint32_t outer = machine->generation;
        int r;

        machine->generation = ++machine->last_generation;
        r = qvf_jinja_execute(machine, node->b);
        machine->generation = outer;
        return r;
}

static int execute_jump(struct jinja_machine *machine, const struct jinja_node *node)
{
        (void)machine;
        return node->kind == JINJA_NODE_BREAK ? JUMP_BREAK : JUMP_CONTINUE;
}

int qvf_jinja_execute(struct jinja_machine *machine, const struct jinja_node *body)
{
        static const executor executors[JINJA_NODE_KINDS] = {
                [JINJA_NODE_DATA] = execute_data,
                [JINJA_NODE_OUTPUT] = execute_output,
                [JINJA_NODE_IF] = execute_if,
                [JINJA_NODE_FOR] = execute_for,
                [JINJA_NODE_SET] = execute_set,
                [JINJA_NODE_SET_BLOCK] = execute_set_block,
                [JINJA_NODE_MACRO] = execute_macro,
                [JINJA_NODE_CALL_BLOCK] = execute_call_block,
                [JINJA_NODE_FILTER_BLOCK] = execute_filter_block,
                [JINJA_NODE_WITH] = execute_with,
                [JINJA_NODE_GENERATION] = execute_generation,
                [JINJA_NODE_BREAK] = execute_jump,
                [JINJA_NODE_CONTINUE] = execute_jump,
        };
        int r = qvf_jinja_enter(machine);

        if (r < 0)
                return r;
        for (const struct jinja_node *node = body; r == 0 && node; node = node->next) {
                machine->at = node;
                r = qvf_jinja_charge(machine, 1);
                if (r >= 0)
                        r = executors[node->kind](machine, node);
        }
        qvf_jinja_leave(machine);
        return r;
}
