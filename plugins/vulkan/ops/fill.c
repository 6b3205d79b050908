/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/vulkan/ops/ops.h"

#define INVOCATIONS 256u
#define NUMBERS_EACH 4u

void vk_op_fill(struct vk_build *build, const struct vk_call *call)
{
        uint32_t columns = call->operand[0].columns, step = vk_rows_in_range(call, &call->operand[0]);

        for (uint32_t row = 0; row < call->operand[0].rows; row += step) {
                uint32_t rows = call->operand[0].rows - row < step ? call->operand[0].rows - row : step;
                struct vk_dispatch d = vk_dispatch(call, VK_SHADER_FILL);

                d.constant[0] = INVOCATIONS;
                d.n_constants = 1;
                d.bind[0].offset = row * vk_operand_row_bytes(&call->operand[0]);
                d.bind[0].bytes = rows * vk_operand_row_bytes(&call->operand[0]);
                d.push.n[0] = rows * columns;
                d.groups[0] = vk_div_up(rows * columns, INVOCATIONS * NUMBERS_EACH);
                d.groups[1] = vk_div_up(d.groups[0], 32768);
                d.groups[0] = vk_div_up(d.groups[0], d.groups[1]);
                d.cost = d.push.n[0];
                vk_emit(build, &d);
        }
}
