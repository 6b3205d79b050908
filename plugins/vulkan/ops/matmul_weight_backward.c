/* SPDX-License-Identifier: Apache-2.0 */
/* dW = f0 · Σ_r dy[r] x[r]ᵀ. The rows are cut into parts where there are many, since dW alone has too few numbers to
 * fill a device with. */
#include "plugins/vulkan/ops/ops.h"

enum { COLUMNS = 32, SLICES = 8, NARROW = 8, ROWS_OF_A_PART = 512, PARTS_MOST = 16 };

/* Rows of a part of what is too large for a binding can't be told apart by slices of rows: LoRA's matrices are small. */
static uint32_t parts_of(const struct vk_call *call)
{
        uint64_t bytes = 4ull * call->operand[0].rows * call->operand[0].columns;
        uint32_t parts = vk_div_up(call->rows, ROWS_OF_A_PART);

        if (parts > PARTS_MOST)
                parts = PARTS_MOST;
        if (bytes > 4u << 20)
                return 1;
        return parts;
}

void vk_op_matmul_weight_backward(struct vk_build *build, const struct vk_call *call)
{
        const struct vk_operand *dw = &call->operand[0], *dy = &call->operand[1], *x = &call->operand[2];
        bool x_wide = x->columns >= dy->columns;
        uint32_t wide = x_wide ? x->columns : dy->columns, narrow = x_wide ? dy->columns : x->columns;
        uint32_t parts = parts_of(call);
        const struct qvf_value *scratch = NULL;
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_MATMUL_WEIGHT_BACKWARD);
        const uint32_t n[] = { wide, narrow, x_wide ? 1 : dw->columns, x_wide ? dw->columns : 1, 0, parts };

        for (unsigned i = 0; i < 6; i++)
                d.push.n[i] = n[i];
        d.bind[1].value = x_wide ? x->value : dy->value;
        d.bind[2].value = x_wide ? dy->value : x->value;
        if (parts > 1) {
                scratch = vk_scratch(build, 0, 4ull * parts * wide * narrow);
                d.bind[0] = (struct vk_binding){ .value = scratch, .written = true };
        }
        d.constant[0] = COLUMNS;
        d.constant[1] = SLICES;
        d.constant[2] = COLUMNS * SLICES;
        d.constant[3] = NARROW;
        d.n_constants = 4;
        d.groups[0] = vk_div_up(wide, COLUMNS);
        d.groups[1] = vk_div_up(narrow, NARROW);
        d.groups[2] = parts;
        d.cost = (uint64_t)call->rows * wide * narrow;
        vk_emit(build, &d);
        if (parts == 1)
                return;
        d = vk_dispatch(call, VK_SHADER_MATMUL_WEIGHT_COMBINE);
        d.bind[1] = (struct vk_binding){ .value = scratch };
        d.n_bind = 2;
        d.push.n[0] = wide * narrow;
        d.push.n[1] = parts;
        d.groups[0] = vk_div_up(wide * narrow, 64);
        d.cost = (uint64_t)wide * narrow * parts;
        vk_emit(build, &d);
}
