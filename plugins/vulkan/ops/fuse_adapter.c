/* SPDX-License-Identifier: Apache-2.0 */
/* A ternary product and what an adapter adds to its result: y = W q, y += B t; on the way back dx = Wᵀ dy, dx += Aᵀ dt. */
#include "plugins/vulkan/ops/fuse.h"
#include "plugins/vulkan/ops/ternary.h"

#define RANK_MOST 16u /* numbers of the thick half that an invocation keeps, four times */

static bool adds_to(const struct vk_call *product, const struct vk_call *adapter, bool backward)
{
        const struct vk_operand *y = &adapter->operand[0], *t = &adapter->operand[1],
                                *w = &adapter->operand[2];
        uint32_t wide = backward ? w->columns : w->rows, rank = backward ? w->rows : w->columns;

        return adapter->op->flags & QVF_ACCUMULATE && adapter->op->rows == product->op->rows &&
               vk_is_value(y, &product->operand[0]) && (backward || !adapter->operand[3].value) &&
               w->dtype == QVF_F32 && !w->value->packed && wide == y->columns && wide % 4 == 0 &&
               rank == t->columns && rank % 4 == 0 && rank <= RANK_MOST && w->value->offset % 16 == 0 &&
               t->value->offset % 16 == 0 && !vk_overlap(y, t) && !vk_overlap(y, w) &&
               vk_in_range(adapter, w);
}

uint32_t vk_fuse_adapter(struct vk_build *build, const struct vk_call *calls, uint32_t count)
{
        bool backward = calls->op->kind == QVF_OP_MATMUL_TERNARY_BACKWARD;

        if (count < 2 || (!backward && calls->op->kind != QVF_OP_MATMUL_TERNARY) ||
                        calls[1].op->kind != (backward ? QVF_OP_MATMUL_BACKWARD : QVF_OP_MATMUL) ||
                        !adds_to(calls, &calls[1], backward))
                return 0;
        if (backward)
                return vk_ternary_matrix_backward(build, calls, &calls[1]) ? 2 : 0;
        return vk_ternary_matrix(build, calls, &calls[1]) ? 2 : 0;
}
