/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/vulkan/ops/elements.h"

#include "common/checked.h"

#define INVOCATIONS 256u
#define MOST_GROUPS 16384u
#define WIDEST 32768u

void vk_groups(struct vk_dispatch *dispatch, uint32_t groups)
{
        dispatch->groups[1] = vk_div_up(groups, WIDEST);
        dispatch->groups[0] = dispatch->groups[1] ? vk_div_up(groups, dispatch->groups[1]) : 1;
}

static void bind_piece(const struct vk_call *call, struct vk_dispatch *dispatch, uint32_t by_rows,
                uint32_t row, uint32_t rows)
{
        dispatch->push.row0 = row;
        dispatch->push.n[7] = rows;
        for (uint32_t i = 0; i < QVF_OP_OPERANDS; i++) {
                if (!(by_rows >> i & 1) || !call->operand[i].value)
                        continue;
                dispatch->bind[i].offset = row * vk_operand_row_bytes(&call->operand[i]);
                dispatch->bind[i].bytes = rows * vk_operand_row_bytes(&call->operand[i]);
        }
}

void vk_emit_elements(struct vk_build *build, const struct vk_call *call, struct vk_dispatch *dispatch,
                uint32_t by_rows)
{
        uint32_t step = vk_rows_of_piece(call, by_rows, call->rows, 1, UINT32_MAX);

        dispatch->constant[0] = INVOCATIONS;
        if (dispatch->n_constants == 0)
                dispatch->n_constants = 1;
        for (uint32_t row = 0; row < call->rows; row += step) {
                uint32_t rows = (uint32_t)qvf_min_u64(step, call->rows - row);
                uint64_t count = (uint64_t)rows * dispatch->push.n[0];

                bind_piece(call, dispatch, by_rows, row, rows);
                vk_groups(dispatch,
                                (uint32_t)qvf_min_u64((count + INVOCATIONS - 1) / INVOCATIONS, MOST_GROUPS));
                dispatch->cost = 8 * count;
                vk_emit(build, dispatch);
        }
}

void vk_emit_rows(struct vk_build *build, const struct vk_call *call, struct vk_dispatch *dispatch,
                uint32_t by_rows)
{
        uint32_t step = vk_rows_of_piece(call, by_rows, call->rows, 1, UINT32_MAX);

        dispatch->constant[0] = INVOCATIONS;
        if (dispatch->n_constants == 0)
                dispatch->n_constants = 1;
        for (uint32_t row = 0; row < call->rows; row += step) {
                uint32_t rows = (uint32_t)qvf_min_u64(step, call->rows - row);

                bind_piece(call, dispatch, by_rows, row, rows);
                vk_groups(dispatch, rows);
                dispatch->cost = 8 * (uint64_t)rows * dispatch->push.n[0];
                vk_emit(build, dispatch);
        }
}
