/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of neighbouring operations. Each function looks at the next operations and says how many it emitted: 0 where
 * they are not its pattern, or where they would overwrite what another workgroup still has to read. */
#ifndef QVF_PLUGINS_VULKAN_OPS_FUSE_H
#define QVF_PLUGINS_VULKAN_OPS_FUSE_H

#include "plugins/vulkan/emit.h"

uint32_t vk_fuse_adapter(struct vk_build *build, const struct vk_call *calls, uint32_t count);
uint32_t vk_fuse_copy(struct vk_build *build, const struct vk_call *calls, uint32_t count);
uint32_t vk_fuse_draw(struct vk_build *build, const struct vk_call *calls, uint32_t count);
uint32_t vk_fuse_decode(struct vk_build *build, const struct vk_call *calls, uint32_t count);
uint32_t vk_fuse_walk(struct vk_build *build, const struct vk_call *calls, uint32_t count);
uint32_t vk_fuse_row(struct vk_build *build, const struct vk_call *calls, uint32_t count);
uint32_t vk_fuse_row_backward(struct vk_build *build, const struct vk_call *calls, uint32_t count);
uint32_t vk_fuse_rope(struct vk_build *build, const struct vk_call *calls, uint32_t count);
uint32_t vk_fuse_weights(struct vk_build *build, const struct vk_call *calls, uint32_t count);

/* How many invocations share a row of so many fours, and how many of up to `widest` fours each keeps in registers; false:
 * the row is too long. */
bool vk_row_shape(const struct vk_call *call, uint32_t fours, uint32_t widest, uint32_t *ret_invocations,
                uint32_t *ret_pieces);

/* ROPE of queries and of keys, KV_STORE of keys and of values: four operations that belong together. */
bool vk_is_rope_and_store(const struct vk_call *calls);

/* The same value, at the same place. */
bool vk_is_value(const struct vk_operand *a, const struct vk_operand *b);
/* Some byte is in both. */
bool vk_overlap(const struct vk_operand *a, const struct vk_operand *b);

#endif
