/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/vulkan/fuse.h"

#include "common/checked.h"
#include "plugins/vulkan/ops/fuse.h"

bool vk_is_value(const struct vk_operand *a, const struct vk_operand *b)
{
        return a->value && b->value && a->value->buffer == b->value->buffer &&
               a->value->offset == b->value->offset && a->rows == b->rows && a->columns == b->columns &&
               a->dtype == b->dtype;
}

bool vk_overlap(const struct vk_operand *a, const struct vk_operand *b)
{
        uint64_t bytes_a = a->rows * vk_operand_row_bytes(a), bytes_b = b->rows * vk_operand_row_bytes(b);

        return a->value && b->value && a->value->buffer == b->value->buffer &&
               a->value->offset < b->value->offset + bytes_b &&
               b->value->offset < a->value->offset + bytes_a;
}

uint32_t vk_fuse(struct vk_build *build, const struct vk_call *calls, uint32_t count)
{
        static uint32_t (*const patterns[])(struct vk_build *, const struct vk_call *,
                        uint32_t) = { vk_fuse_adapter, vk_fuse_copy, vk_fuse_walk, vk_fuse_decode,
                vk_fuse_row, vk_fuse_row_backward, vk_fuse_rope, vk_fuse_weights, vk_fuse_draw };

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(patterns); i++) {
                uint32_t done = patterns[i](build, calls, count);

                if (done > 0)
                        return done;
        }
        return 0;
}
