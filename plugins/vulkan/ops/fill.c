/* SPDX-License-Identifier: Apache-2.0 */
#include "common/checked.h"
#include "plugins/vulkan/ops/elements.h"
#include "plugins/vulkan/ops/ops.h"

#define INVOCATIONS 256u
#define NUMBERS_EACH 4u
#define NUMBERS_MOST (1u << 30) /* of a dispatch */

/* As one flat run of numbers: a row may be larger than a binding. */
void vk_op_fill(struct vk_build *build, const struct vk_call *call)
{
        uint64_t count = (uint64_t)call->operand[0].rows * call->operand[0].columns;
        uint64_t most = (call->limits->range - call->limits->alignment) / sizeof(float);
        uint32_t step = (uint32_t)qvf_min_u64(most, NUMBERS_MOST);

        for (uint64_t at = 0; at < count; at += step) {
                struct vk_dispatch d = vk_dispatch(call, VK_SHADER_FILL);

                d.constant[0] = INVOCATIONS;
                d.n_constants = 1;
                d.push.n[0] = (uint32_t)qvf_min_u64(step, count - at);
                d.bind[0].offset = at * sizeof(float);
                d.bind[0].bytes = d.push.n[0] * sizeof(float);
                vk_groups(&d, vk_div_up(d.push.n[0], INVOCATIONS * NUMBERS_EACH));
                d.cost = d.push.n[0];
                vk_emit(build, &d);
        }
}
