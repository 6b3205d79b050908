/* SPDX-License-Identifier: Apache-2.0 */
/* GATHER, SCATTER_ADD, EMBED: a table above the range of a binding is gone through piece by piece. */
#include "common/checked.h"
#include "plugins/vulkan/ops/elements.h"
#include "plugins/vulkan/ops/ops.h"
#include "plugins/vulkan/ops/ternary.h"

static uint32_t rows_of_table(const struct vk_call *call, uint32_t table)
{
        const struct vk_operand *o = &call->operand[table];
        uint32_t rows = vk_rows_in_range(call, o);

        if (o->value->packed)
                return vk_ternary_rows_in_range(call, o->value);
        if (call->op->kind != QVF_OP_EMBED)
                return vk_rows_of_piece(call, 1u << table, o->rows, 1, UINT32_MAX);
        /* embed.comp finds the table at any word; of two rows one begins at one. */
        return rows < o->rows && rows > 1 ? rows / 2 * 2 : rows;
}

static void emit(struct vk_build *build, const struct vk_call *call, struct vk_dispatch *d, uint32_t table,
                uint32_t by_rows)
{
        const struct vk_operand *o = &call->operand[table];
        uint32_t step = rows_of_table(call, table);

        for (uint32_t row = 0; row < o->rows; row += step) {
                uint32_t rows = (uint32_t)qvf_min_u64(step, o->rows - row);

                if (o->value->packed) {
                        d->bind[table] = vk_ternary_rows(o->value, row, rows);
                        d->bind[table + 1] = vk_ternary_scales(o->value, row, rows);
                        d->n_bind = table + 2;
                } else if (step < o->rows) {
                        d->bind[table].offset = row * vk_operand_row_bytes(o);
                        d->bind[table].bytes = rows * vk_operand_row_bytes(o);
                }
                d->push.n[1] = rows;
                d->push.n[2] = row;
                d->push.n[3] = row == 0;
                d->push.n[4] = o->rows;
                vk_emit_elements(build, call, d, by_rows);
        }
}

void vk_op_gather(struct vk_build *build, const struct vk_call *call)
{
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_GATHER);

        d.push.n[0] = call->operand[0].columns;
        emit(build, call, &d, 1, 1 << 0);
}

void vk_op_scatter_add(struct vk_build *build, const struct vk_call *call)
{
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_SCATTER_ADD);

        d.push.n[0] = call->operand[1].columns;
        emit(build, call, &d, 0, 1 << 1);
}

void vk_op_embed(struct vk_build *build, const struct vk_call *call)
{
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_EMBED);
        const struct vk_operand *table = &call->operand[2];

        d.constant[1] = table->dtype | (table->value->block_scales ? 4096u : 0) |
                        (table->value->packed ? 8192u : 0); /* as dense_weight.glsl counts */
        d.n_constants = 2;
        d.push.n[0] = call->operand[0].columns;
        d.push.n[5] = call->operand[2].columns;
        d.push.f[3] = call->operand[2].value->scale;
        emit(build, call, &d, 2, 1 << 0);
}
