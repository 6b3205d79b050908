/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/vulkan/schedule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "plugins/common/op_rules.h"
#include "plugins/common/program_check.h"
#include "plugins/vulkan/pack.h"

#define WINDOW 64u      /* units that are looked at together: about a layer and its way back */
#define PLACES_MOST 40u /* of a unit */

struct place {
        const struct qvf_buffer *buffer;
        uint64_t begin, end;
        bool written;
};

struct unit { /* operations that follow each other and are emitted together */
        uint32_t first, count, n_places;
        struct place places[PLACES_MOST];
};

/* What fuse.h makes one of: the second works on what the first leaves. */
static bool is_glued(const struct qvf_op *op, const struct qvf_op *next, bool adapters)
{
        switch (next->kind) {
        case QVF_OP_RMSNORM:
                return (op->kind == QVF_OP_ADD || op->kind == QVF_OP_GATE) &&
                       next->operand[1] == op->operand[0];
        case QVF_OP_QUANTIZE:
                return (op->kind == QVF_OP_ADD || op->kind == QVF_OP_GATE || op->kind == QVF_OP_RMSNORM) &&
                       next->operand[2] == op->operand[0];
        case QVF_OP_GATE_BACKWARD:
                return op->kind == QVF_OP_RMSNORM_BACKWARD && next->operand[4] == op->operand[0];
        case QVF_OP_MATMUL:
                return adapters && op->kind == QVF_OP_MATMUL_TERNARY && next->operand[0] == op->operand[0];
        case QVF_OP_MATMUL_BACKWARD:
                return adapters && op->kind == QVF_OP_MATMUL_TERNARY_BACKWARD &&
                       next->operand[0] == op->operand[0];
        default: return false;
        }
}

static void add_places(struct unit *unit, const struct qvf_program_desc *desc, const struct qvf_op *op)
{
        for (uint32_t i = 0; i < qvf_program_operand_count(op->kind); i++) {
                const struct qvf_value *value;
                uint64_t bytes;

                if (op->operand[i] == QVF_NONE)
                        continue;
                value = &desc->values[op->operand[i]];
                bytes = value->packed ? vk_packed_bytes(value)
                                      : value->rows * qvf_program_row_bytes(value->dtype, value->columns);
                unit->places[unit->n_places++] =
                                (struct place){ value->buffer, value->offset, value->offset + bytes,
                                        qvf_op_rules[op->kind].operand[i].flags & QVF_OPERAND_WRITTEN };
        }
}

/* The next unit from operation `first` on. */
static void find_unit(
                const struct qvf_program_desc *desc, uint32_t first, bool adapters, struct unit *ret_unit)
{
        ret_unit->first = first;
        ret_unit->count = ret_unit->n_places = 0;
        do
                add_places(ret_unit, desc, &desc->ops[first + ret_unit->count++]);
        while (first + ret_unit->count < desc->n_ops &&
                        ret_unit->n_places + QVF_OP_OPERANDS <= PLACES_MOST &&
                        is_glued(&desc->ops[first + ret_unit->count - 1],
                                        &desc->ops[first + ret_unit->count], adapters));
}

static bool meet(const struct unit *a, const struct unit *b)
{
        for (uint32_t i = 0; i < a->n_places; i++)
                for (uint32_t j = 0; j < b->n_places; j++) {
                        const struct place *x = &a->places[i], *y = &b->places[j];

                        if (x->buffer == y->buffer && x->begin < y->end && y->begin < x->end &&
                                        (x->written || y->written))
                                return true;
                }
        return false;
}

#define LAST 2

/* Side by side, what others wait for comes first; and those together that fuse.h makes one of. */
static int rank_of(const struct qvf_op *op)
{
        return op->kind == QVF_OP_MATMUL_WEIGHT_BACKWARD ? 1 : op->kind == QVF_OP_COPY ? LAST : 0;
}

/* Of the units that wait, in the program's order, those that meet none before them go out, and the others move up. */
static uint32_t take_level(
                struct unit **waiting, uint32_t count, const struct qvf_op *ops, struct qvf_op **to)
{
        bool leaves[WINDOW];
        uint32_t left = 0;

        for (uint32_t i = 0; i < count; i++) {
                leaves[i] = true;
                for (uint32_t j = 0; j < i && leaves[i]; j++)
                        leaves[i] = !meet(waiting[j], waiting[i]);
        }
        for (int rank = 0; rank <= LAST; rank++)
                for (uint32_t i = 0; i < count; i++) {
                        struct unit *unit = waiting[i];

                        if (!leaves[i] || rank_of(&ops[unit->first]) != rank)
                                continue;
                        memcpy(*to, &ops[unit->first], unit->count * sizeof(*ops));
                        *to += unit->count;
                }
        for (uint32_t i = 0; i < count;
                        i++) { /* those that left are kept behind the others, to be used again */
                struct unit *unit = waiting[i];

                if (leaves[i])
                        continue;
                waiting[i] = waiting[left];
                waiting[left++] = unit;
        }
        return left;
}

/* What generates stands as fuse.h wants it, and has little that is independent. */
static bool trains(const struct qvf_program_desc *desc)
{
        for (uint32_t i = 0; i < desc->n_ops; i++)
                if (desc->ops[i].kind == QVF_OP_ATTENTION_TRAIN)
                        return true;
        return false;
}

int vk_schedule(const struct qvf_program_desc *desc, bool adapters, struct qvf_op *ret_ops)
{
        _cleanup_free_ struct unit *units = calloc(WINDOW, sizeof(*units));
        struct unit *waiting[WINDOW];
        uint32_t at = 0, count = 0;

        if (!units)
                return -ENOMEM;
        if (!trains(desc)) {
                memcpy(ret_ops, desc->ops, desc->n_ops * sizeof(*ret_ops));
                return 0;
        }
        for (uint32_t i = 0; i < WINDOW; i++)
                waiting[i] = &units[i];
        while (at < desc->n_ops || count > 0) {
                for (; count < WINDOW && at < desc->n_ops; count++) {
                        find_unit(desc, at, adapters, waiting[count]);
                        at += waiting[count]->count;
                }
                count = take_level(waiting, count, desc->ops, &ret_ops);
        }
        return 0;
}
