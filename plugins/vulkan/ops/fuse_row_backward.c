/* SPDX-License-Identifier: Apache-2.0 */
/* RMSNORM_BACKWARD [GATE_BACKWARD] in one dispatch: a workgroup for each row. */
#include "plugins/vulkan/ops/elements.h"
#include "plugins/vulkan/ops/fuse.h"
#include "plugins/vulkan/ops/ops.h"

enum { DX, X, W, DY };
enum { DG, DU, G, U, D };

static bool is_gated(const struct vk_call *calls, uint32_t count)
{
        const struct vk_operand *gate = calls[1].operand;

        if (count < 2 || calls[1].op->kind != QVF_OP_GATE_BACKWARD ||
                        calls[1].op->rows != calls[0].op->rows ||
                        !vk_is_value(&calls[0].operand[DX], &gate[D]))
                return false;
        for (int result = DG; result <= DU; result++) {
                for (int i = DX; i <= DY; i++)
                        if (vk_overlap(&gate[result], &calls[0].operand[i]))
                                return false;
                for (int i = G; i <= U; i++)
                        if (vk_overlap(&calls[0].operand[DX], &gate[i]))
                                return false;
        }
        return true;
}

static bool fits(const struct vk_call *call, uint32_t *ret_invocations, uint32_t *ret_pieces)
{
        uint32_t columns = call->operand[DX].columns;

        return columns % 4 == 0 && call->operand[W].value->offset % 16 == 0 &&
               vk_row_shape(call, columns / 4, columns / 4, ret_invocations, ret_pieces) &&
               vk_in_range(call, &call->operand[DX]);
}

uint32_t vk_fuse_row_backward(struct vk_build *build, const struct vk_call *calls, uint32_t count)
{
        struct vk_dispatch d;
        bool gated;

        if (calls[0].op->kind != QVF_OP_RMSNORM_BACKWARD)
                return 0;
        d = vk_dispatch(calls, calls->features->subgroup ? VK_SHADER_FUSED_ROW_BACKWARD_SUBGROUP
                                                         : VK_SHADER_FUSED_ROW_BACKWARD);
        if (!fits(calls, &d.constant[0], &d.constant[2]))
                return 0;
        gated = is_gated(calls, count);
        for (uint32_t i = 0; i < 4 && gated; i++)
                d.bind[4 + i] = (struct vk_binding){ .value = calls[1].operand[i].value,
                        .written = i <= DU };
        d.n_bind = 8;
        d.push.n[0] = calls->operand[DX].columns;
        d.push.n[1] = gated ? (uint32_t)calls[1].op->i[0] : 0;
        d.constant[1] = gated;
        d.n_constants = 3;
        vk_groups(&d, calls->rows);
        d.cost = (gated ? 32 : 16) * (uint64_t)calls->rows * d.push.n[0];
        vk_emit(build, &d);
        return gated ? 2 : 1;
}
