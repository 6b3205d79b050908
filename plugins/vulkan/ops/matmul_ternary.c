/* SPDX-License-Identifier: Apache-2.0 */
/* y = W.scale · scale[r] · (W q): few rows by the vector kernel, more by tiles or cooperative matrices. */
#include "common/checked.h"
#include "plugins/vulkan/ops/ops.h"
#include "plugins/vulkan/ops/ternary.h"

struct piece {
        uint32_t row, rows, first, count; /* of q and y; of W */
};

static struct vk_dispatch piece_dispatch(
                const struct vk_call *call, enum vk_shader shader, const struct piece *p)
{
        const struct vk_operand *o = call->operand;
        struct vk_dispatch d = vk_dispatch(call, shader);

        d.bind[0] = vk_ternary_operand(&o[0], p->row, p->rows, true);
        d.bind[1] = vk_ternary_operand(&o[1], p->row, p->rows, false);
        d.bind[2] = vk_ternary_operand(&o[2], p->row, p->rows, false);
        d.bind[3] = vk_ternary_rows(o[3].value, p->first, p->count);
        d.bind[4] = vk_ternary_scales(o[3].value, p->first, p->count);
        d.n_bind = 5;
        d.push.row0 = p->row;
        d.push.n[0] = o[1].columns;
        d.push.n[1] = p->count;
        d.push.n[2] = o[0].columns;
        d.push.n[3] = p->first;
        d.push.f[0] = o[3].value->scale;
        d.cost = (uint64_t)p->rows * p->count * o[1].columns;
        return d;
}

static void emit_vector(struct vk_build *build, const struct vk_call *call, const struct piece *p)
{
        bool dot = vk_ternary_has_dot(call);
        struct vk_dispatch d = piece_dispatch(call,
                        dot ? VK_SHADER_MATMUL_TERNARY_VECTOR_DOT : VK_SHADER_MATMUL_TERNARY_VECTOR, p);
        uint32_t groups = vk_ternary_vector(call, call->operand[3].value, p->count, p->rows, &d);

        d.n_bind = 4;
        d.groups[1] = vk_div_up(groups, 32768);
        d.groups[0] = vk_div_up(groups, d.groups[1]);
        vk_emit(build, &d);
}

static void emit_tiles(struct vk_build *build, const struct vk_call *call, const struct piece *p)
{
        bool dot = call->features->dot_product;
        struct vk_dispatch d = piece_dispatch(
                        call, dot ? VK_SHADER_MATMUL_TERNARY_TILE_DOT : VK_SHADER_MATMUL_TERNARY_TILE, p);

        d.constant[1] = vk_ternary_layout(call->operand[3].value);
        d.n_constants = 2;
        d.n_bind = 4;
        d.groups[0] = vk_div_up(p->count, 64);
        d.groups[1] = vk_div_up(p->rows, 64);
        vk_emit(build, &d);
}

static void emit_scaled(struct vk_build *build, const struct vk_call *call, const struct piece *p)
{
        struct vk_dispatch d = piece_dispatch(call, VK_SHADER_MATMUL_TERNARY_SCALED, p);

        d.constant[1] = vk_ternary_layout(call->operand[3].value);
        d.n_constants = 2;
        d.groups[0] = vk_div_up(p->count, 4);
        d.groups[1] = p->rows;
        vk_emit(build, &d);
}

void vk_op_matmul_ternary(struct vk_build *build, const struct vk_call *call)
{
        const struct vk_operand *o = call->operand;
        const struct qvf_value *weight = o[3].value;
        uint32_t row_step = vk_rows_in_range(call, &o[0]), step = vk_ternary_rows_in_range(call, weight);

        row_step = (uint32_t)qvf_min_u64(qvf_min_u64(row_step, vk_rows_in_range(call, &o[1])), 32768);
        if (vk_ternary_matrix(build, call, NULL))
                return;
        for (uint32_t row = 0; row < call->rows; row += row_step)
                for (uint32_t first = 0; first < weight->rows; first += step) {
                        struct piece p = { row, (uint32_t)qvf_min_u64(call->rows - row, row_step), first,
                                (uint32_t)qvf_min_u64(weight->rows - first, step) };

                        if (weight->block_scales)
                                emit_scaled(build, call, &p);
                        else if (p.rows <= VK_TERNARY_FEW_ROWS)
                                emit_vector(build, call, &p);
                        else
                                emit_tiles(build, call, &p);
                }
}
