/* SPDX-License-Identifier: Apache-2.0 */
#include "common/checked.h"
#include "plugins/vulkan/ops/ops.h"

#define INVOCATIONS 64u
#define MANY_ROWS                                                                                           \
        64u /* fill a device with fewer invocations, which need sine and cosine once for several heads */
#define HEADS_MOST 8u
#define ROWS_OF_DISPATCH 32768u

void vk_op_rope(struct vk_build *build, const struct vk_call *call)
{
        uint32_t head_size = (uint32_t)call->op->i[0], columns = call->operand[0].columns;
        uint32_t step = vk_rows_of_piece(call, 1 << 0 | 1 << 1, call->rows, 1, ROWS_OF_DISPATCH);
        uint32_t heads_each = call->rows < MANY_ROWS ? 1 : HEADS_MOST;

        for (uint32_t row = 0; row < call->rows; row += step) {
                struct vk_dispatch d = vk_dispatch(call, VK_SHADER_ROPE);
                uint32_t rows = (uint32_t)qvf_min_u64(step, call->rows - row);

                for (uint32_t i = 0; i < 2; i++) {
                        d.bind[i].offset = row * vk_operand_row_bytes(&call->operand[i]);
                        d.bind[i].bytes = rows * vk_operand_row_bytes(&call->operand[i]);
                }
                d.constant[0] = INVOCATIONS;
                d.constant[1] = heads_each;
                d.n_constants = 2;
                d.push.row0 = row;
                d.push.n[0] = columns;
                d.push.n[1] = head_size;
                d.push.n[2] = call->operand[3].columns;
                d.push.n[3] = (uint32_t)call->op->i[1];
                d.groups[0] = vk_div_up(
                                vk_div_up(columns / head_size, heads_each) * (head_size / 2), INVOCATIONS);
                d.groups[1] = rows;
                d.cost = 8 * (uint64_t)rows * columns;
                vk_emit(build, &d);
        }
}
