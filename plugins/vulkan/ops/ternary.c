/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/vulkan/ops/ternary.h"

#include "common/checked.h"
#include "plugins/vulkan/pack.h"

#define OUTPUTS_MOST 4u /* of one workgroup: each word of q is read once for all of them */
#define SUMS_MOST 16u   /* of an invocation: registers */

enum vk_ternary_layout vk_ternary_layout(const struct qvf_value *weight)
{
        if (weight->packed)
                return weight->dtype == QVF_TQ2_0 ? VK_TERNARY_P2 : VK_TERNARY_P1;
        return weight->dtype == QVF_TQ2_0 ? VK_TERNARY_TQ2_0 : VK_TERNARY_TQ1_0;
}

static uint64_t row_bytes(const struct qvf_value *weight)
{
        return weight->packed ? (uint64_t)vk_packed_row_words(weight->dtype, weight->columns) * 4
                              : qvf_program_row_bytes(weight->dtype, weight->columns);
}

static uint64_t scale_bytes(const struct qvf_value *weight)
{
        return weight->columns / QVF_TERNARY_BLOCK * sizeof(float);
}

uint32_t vk_ternary_rows_in_range(const struct vk_call *call, const struct qvf_value *weight)
{
        uint64_t rows = (call->limits->range - call->limits->alignment) / row_bytes(weight);

        /* In a file two rows are whole words, one may not be. */
        return (uint32_t)qvf_min_u64(qvf_max_u64(rows / 2 * 2, 2), weight->rows);
}

struct vk_binding vk_ternary_rows(const struct qvf_value *weight, uint32_t first, uint32_t count)
{
        return (struct vk_binding){
                .value = weight, .offset = first * row_bytes(weight), .bytes = count * row_bytes(weight)
        };
}

struct vk_binding vk_ternary_scales(const struct qvf_value *weight, uint32_t first, uint32_t count)
{
        if (!weight->packed || !weight->block_scales)
                return (struct vk_binding){ 0 };
        return (struct vk_binding){
                .value = weight,
                .offset = vk_packed_scales(weight->dtype, weight->rows, weight->columns) +
                          first * scale_bytes(weight),
                .bytes = count * scale_bytes(weight),
        };
}

struct vk_binding vk_ternary_operand(
                const struct vk_operand *operand, uint32_t first, uint32_t count, bool written)
{
        return (struct vk_binding){
                .value = operand->value,
                .offset = first * vk_operand_row_bytes(operand),
                .bytes = count * vk_operand_row_bytes(operand),
                .written = written,
        };
}

bool vk_ternary_has_dot(const struct vk_call *call)
{
        return call->features->dot_product && call->features->subgroup;
}

/* Words of a row, shared out evenly over as few rounds as can be. */
static uint32_t vector_invocations(const struct vk_call *call, const struct qvf_value *weight)
{
        uint32_t most = (uint32_t)qvf_min_u64(
                        call->limits->invocations, call->tuning->value[VK_TUNE_VECTOR_LANES]);
        uint32_t step = call->features->subgroup_size;
        uint32_t words = weight->packed ? vk_packed_row_words(weight->dtype, weight->columns)
                                        : weight->columns / 4;
        uint32_t rounds = vk_div_up(words, most);

        if (!vk_ternary_has_dot(call))
                return 64; /* each has a sum of its own in shared memory */
        return vk_div_up(vk_div_up(words, rounds), step) * step;
}

uint32_t vk_ternary_vector(const struct vk_call *call, const struct qvf_value *weight, uint32_t outputs,
                uint32_t rows, struct vk_dispatch *dispatch)
{
        uint32_t each = OUTPUTS_MOST, together = 1, wanted = call->tuning->value[VK_TUNE_VECTOR_GROUPS];

        while (together < rows)
                together *= 2;
        while (each > 1 && (outputs / each < wanted || each * together > SUMS_MOST))
                each /= 2;
        dispatch->constant[0] = vector_invocations(call, weight);
        dispatch->constant[1] = vk_ternary_layout(weight);
        dispatch->constant[2] = together;
        dispatch->constant[3] = each;
        dispatch->constant[4] = dispatch->constant[0] /
                                (vk_ternary_has_dot(call) ? call->features->subgroup_size : 1);
        dispatch->n_constants = 5;
        return vk_div_up(outputs, each);
}
