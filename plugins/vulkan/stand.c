/* SPDX-License-Identifier: Apache-2.0 */
/* A program whose workgroups waited for each other in vain (walk.h) is recorded again in dispatches that wait for nobody,
 * and its run begins anew, if it may: nothing that outlives the run has been read and then written. */
#include "plugins/vulkan/stand.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/common/op_rules.h"
#include "plugins/common/program_check.h"
#include "plugins/vulkan/pack.h"

struct vk_source {
        struct qvf_program_desc desc;
        struct qvf_value *values;
        struct qvf_op *ops;
};

int vk_source_new(const struct qvf_program_desc *desc, struct vk_source **ret_source)
{
        struct vk_source *source = calloc(1, sizeof(*source));

        if (!source)
                return -ENOMEM;
        source->desc = *desc;
        source->desc.name = NULL;
        source->values = calloc(desc->n_values + 1, sizeof(*source->values));
        source->ops = calloc(desc->n_ops + 1, sizeof(*source->ops));
        if (!source->values || !source->ops) {
                vk_source_free(source);
                return -ENOMEM;
        }
        memcpy(source->values, desc->values, desc->n_values * sizeof(*source->values));
        memcpy(source->ops, desc->ops, desc->n_ops * sizeof(*source->ops));
        source->desc.values = source->values;
        source->desc.ops = source->ops;
        *ret_source = source;
        return 0;
}

struct vk_source *vk_source_free(struct vk_source *source)
{
        if (source) {
                free(source->values);
                free(source->ops);
        }
        free(source);
        return NULL;
}

const struct qvf_program_desc *vk_source_desc(const struct vk_source *source)
{
        return &source->desc;
}

static uint64_t bytes_of(const struct qvf_value *value)
{
        return value->packed ? vk_packed_bytes(value)
                             : value->rows * qvf_program_row_bytes(value->dtype, value->columns);
}

static bool overlap(const struct qvf_value *a, const struct qvf_value *b)
{
        return a->buffer == b->buffer && a->offset < b->offset + bytes_of(b) &&
               b->offset < a->offset + bytes_of(a);
}

static const struct qvf_value *operand_of(
                const struct qvf_program_desc *desc, uint32_t op, uint32_t operand, bool written)
{
        uint16_t id = desc->ops[op].operand[operand];
        uint32_t flags = qvf_op_rules[desc->ops[op].kind].operand[operand].flags;

        return id == QVF_NONE || !(flags & QVF_OPERAND_WRITTEN) == written ? NULL : &desc->values[id];
}

/* Some operation up to `op`, which writes the value, reads some of it. Attention does not look at what is stored behind it:
 * that belongs to later positions than its own. */
static bool is_read_before(const struct qvf_program_desc *desc, uint32_t op, const struct qvf_value *value)
{
        bool stores = desc->ops[op].kind == QVF_OP_KV_STORE;

        for (uint32_t i = 0; i <= op; i++)
                for (uint32_t j = 0; j < qvf_program_operand_count(desc->ops[i].kind); j++) {
                        const struct qvf_value *read = operand_of(desc, i, j, false);

                        if (read && overlap(read, value) &&
                                        !(stores && desc->ops[i].kind == QVF_OP_ATTENTION))
                                return true;
                }
        return false;
}

/* The operation makes what it writes from what stood there. */
static bool changes(const struct qvf_op *op)
{
        return op->flags & QVF_ACCUMULATE || op->kind == QVF_OP_KV_COPY || op->kind == QVF_OP_KV_ROTATE ||
               op->kind == QVF_OP_SCATTER_ADD || op->kind == QVF_OP_ADAMW;
}

bool vk_source_may_repeat(const struct vk_source *source)
{
        const struct qvf_program_desc *desc = &source->desc;

        for (uint32_t i = 0; i < desc->n_ops; i++)
                for (uint32_t j = 0; j < qvf_program_operand_count(desc->ops[i].kind); j++) {
                        const struct qvf_value *written = operand_of(desc, i, j, true);

                        if (written && !written->temporary &&
                                        (changes(&desc->ops[i]) || is_read_before(desc, i, written)))
                                return false;
                }
        return true;
}
