/* SPDX-License-Identifier: Apache-2.0 */
/* COPYs between F32 and F16 that follow each other, all one way, in one dispatch, 8 numbers at a time. */
#include "common/checked.h"
#include "plugins/vulkan/ops/fuse.h"

#define COPIES_MOST 5u
#define INVOCATIONS 256u
#define GROUPS_MOST 16384u

static bool is_wide(const struct vk_call *call)
{
        const struct vk_operand *y = &call->operand[0], *x = &call->operand[1];

        return call->op->kind == QVF_OP_COPY && x->columns % 8 == 0 &&
               x->value->offset % call->limits->alignment == 0 &&
               y->value->offset % call->limits->alignment == 0 && vk_in_range(call, x) &&
               vk_in_range(call, y) &&
               ((y->dtype == QVF_F16 && x->dtype == QVF_F32) ||
                               (y->dtype == QVF_F32 && x->dtype == QVF_F16));
}

static bool goes_along(const struct vk_call *calls, uint32_t at)
{
        if (!is_wide(&calls[at]) || calls[at].op->rows != calls[0].op->rows ||
                        calls[at].rows != calls[0].rows ||
                        calls[at].operand[0].dtype != calls[0].operand[0].dtype)
                return false;
        for (uint32_t i = 0; i < at; i++)
                if (vk_overlap(&calls[i].operand[0], &calls[at].operand[1]) ||
                                vk_overlap(&calls[i].operand[1], &calls[at].operand[0]) ||
                                vk_overlap(&calls[i].operand[0], &calls[at].operand[0]))
                        return false;
        return true;
}

uint32_t vk_fuse_copy(struct vk_build *build, const struct vk_call *calls, uint32_t count)
{
        struct vk_dispatch d;
        uint32_t done = 0;
        uint64_t most = 0;

        if (!is_wide(calls) || vk_overlap(&calls->operand[0], &calls->operand[1]))
                return 0;
        d = vk_dispatch(calls, VK_SHADER_COPY_WIDE);
        for (; done < count && done < COPIES_MOST && (done == 0 || goes_along(calls, done)); done++) {
                const struct vk_operand *y = &calls[done].operand[0], *x = &calls[done].operand[1];

                d.bind[2 * done] = (struct vk_binding){ .value = y->value, .written = true };
                d.bind[2 * done + 1] = (struct vk_binding){ .value = x->value };
                d.push.n[done] = x->columns / 8;
                d.cost += 8 * (uint64_t)calls->rows * x->columns;
                most = qvf_max_u64(most, (uint64_t)calls->rows * d.push.n[done]);
        }
        d.n_bind = 2 * done;
        d.constant[0] = INVOCATIONS;
        d.constant[1] = calls->operand[0].dtype == QVF_F16;
        d.n_constants = 2;
        d.groups[0] = (uint32_t)qvf_min_u64((most + INVOCATIONS - 1) / INVOCATIONS, GROUPS_MOST);
        d.groups[1] = done;
        vk_emit(build, &d);
        return done;
}
