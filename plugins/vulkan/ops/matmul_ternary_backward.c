/* SPDX-License-Identifier: Apache-2.0 */
/* dx (+)= W.scale · (Wᵀ dy) in tiles, or by cooperative matrices. */
#include "common/checked.h"
#include "plugins/vulkan/ops/ops.h"
#include "plugins/vulkan/ops/ternary.h"

static void emit_tiles(struct vk_build *build, const struct vk_call *call, uint32_t row, uint32_t rows,
                uint32_t first, uint32_t count)
{
        const struct vk_operand *o = call->operand;
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_MATMUL_TERNARY_BACKWARD);

        d.constant[1] = vk_ternary_layout(o[2].value);
        d.constant[2] = o[2].value->block_scales;
        d.n_constants = 3;
        d.bind[0] = vk_ternary_operand(&o[0], row, rows, true);
        d.bind[1] = vk_ternary_operand(&o[1], row, rows, false);
        d.bind[2] = vk_ternary_rows(o[2].value, first, count);
        d.bind[3] = vk_ternary_scales(o[2].value, first, count);
        d.n_bind = 4;
        d.push.row0 = row;
        if (first > 0)
                d.push.flags |= QVF_ACCUMULATE;
        d.push.n[0] = o[2].columns;
        d.push.n[1] = count;
        d.push.n[2] = o[1].columns;
        d.push.n[3] = first;
        d.push.n[4] = o[0].columns;
        d.push.f[0] = o[2].value->scale;
        d.groups[0] = vk_div_up(o[0].columns, 64);
        d.groups[1] = vk_div_up(rows, 64);
        d.cost = (uint64_t)rows * count * o[2].columns * 2;
        vk_emit(build, &d);
}

void vk_op_matmul_ternary_backward(struct vk_build *build, const struct vk_call *call)
{
        const struct vk_operand *o = call->operand;
        uint32_t row_step =
                        (uint32_t)qvf_min_u64(vk_rows_in_range(call, &o[0]), vk_rows_in_range(call, &o[1]));
        uint32_t step = vk_ternary_rows_in_range(call, o[2].value);

        if (vk_ternary_matrix_backward(build, call, NULL))
                return;
        for (uint32_t row = 0; row < call->rows; row += row_step)
                for (uint32_t first = 0; first < o[2].rows; first += step)
                        emit_tiles(build, call, row, (uint32_t)qvf_min_u64(call->rows - row, row_step),
                                        first, (uint32_t)qvf_min_u64(o[2].rows - first, step));
}
