/* SPDX-License-Identifier: Apache-2.0 */
/* SQUARE_SUM, ADAMW: over flat runs of numbers. */
#include "common/checked.h"
#include "plugins/vulkan/ops/ops.h"

#define INVOCATIONS 256u
#define NUMBERS_OF_GROUP 8192u
#define MOST_GROUPS 1024u

static uint64_t count_of(const struct vk_operand *flat)
{
        return (uint64_t)flat->rows * flat->columns;
}

/* Numbers that one binding can hold, whole blocks of the optimizer's state. */
static uint32_t piece_of(const struct vk_call *call)
{
        uint64_t most = (call->limits->range - call->limits->alignment) / sizeof(float);

        return (uint32_t)(qvf_min_u64(most, 1u << 30) / QVF_STATE_BLOCK * QVF_STATE_BLOCK);
}

void vk_op_square_sum(struct vk_build *build, const struct vk_call *call)
{
        uint64_t count = count_of(&call->operand[1]);
        uint32_t step = piece_of(call), n_groups = 0;
        const struct qvf_value *sums = NULL;
        struct vk_dispatch d;

        if (count > NUMBERS_OF_GROUP)
                sums = vk_scratch(build, 0, (count / step + 1) * MOST_GROUPS * sizeof(float));
        for (uint64_t at = 0; at < count; at += step) {
                uint32_t numbers = (uint32_t)qvf_min_u64(step, count - at);
                uint32_t groups = (uint32_t)qvf_min_u64(vk_div_up(numbers, NUMBERS_OF_GROUP), MOST_GROUPS);

                d = vk_dispatch(call, VK_SHADER_SQUARE_SUM);
                d.constant[0] = INVOCATIONS;
                d.n_constants = 1;
                d.bind[1].offset = at * sizeof(float);
                d.bind[1].bytes = numbers * sizeof(float);
                if (sums) {
                        d.bind[0] = (struct vk_binding){ sums, (uint64_t)n_groups * 4, groups * 4, true };
                        d.push.flags = 0;
                }
                d.push.n[0] = numbers;
                d.groups[0] = groups;
                d.cost = 4 * (uint64_t)numbers;
                vk_emit(build, &d);
                n_groups += groups;
        }
        if (!sums)
                return;
        d.bind[0] = (struct vk_binding){ call->operand[0].value, 0, 0, true };
        d.bind[1] = (struct vk_binding){ sums, 0, (uint64_t)n_groups * 4, false };
        d.push.flags = call->op->flags;
        d.push.n[0] = n_groups;
        d.push.n[1] = 1;
        d.groups[0] = 1;
        vk_emit(build, &d);
}

void vk_op_adamw(struct vk_build *build, const struct vk_call *call)
{
        uint64_t count = count_of(&call->operand[0]);
        uint32_t step = piece_of(call), state = call->operand[2].dtype == QVF_U8 ? 1 : 4;

        for (uint64_t at = 0; at < count; at += step) {
                struct vk_dispatch d = vk_dispatch(call, VK_SHADER_ADAMW);
                uint32_t numbers = (uint32_t)qvf_min_u64(step, count - at);

                d.constant[0] = 0; /* the workgroup's size is fixed */
                d.constant[1] = state == 1;
                d.n_constants = 2;
                for (uint32_t i = 0; i < 4; i++) {
                        uint32_t bytes = i < 2 ? 4 : state;

                        d.bind[i].offset = at * bytes;
                        d.bind[i].bytes = (uint64_t)numbers * bytes;
                }
                for (uint32_t i = 5; i < 7 && d.bind[i].value; i++) {
                        d.bind[i].offset = at / QVF_STATE_BLOCK * sizeof(float);
                        d.bind[i].bytes = (uint64_t)vk_div_up(numbers, QVF_STATE_BLOCK) * sizeof(float);
                }
                d.push.n[0] = numbers;
                d.groups[0] = (uint32_t)qvf_min_u64(vk_div_up(numbers, QVF_STATE_BLOCK), 32768);
                d.cost = 32 * (uint64_t)numbers;
                vk_emit(build, &d);
        }
}
