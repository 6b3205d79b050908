/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QVF_PLUGINS_VULKAN_OPS_ATTENTION_H
#define QVF_PLUGINS_VULKAN_OPS_ATTENTION_H

#include "plugins/vulkan/emit.h"

/* TILE_STEP of attention_tile.glsl: the more shared memory there is, the less often it is waited for. */
uint32_t vk_attention_step(const struct vk_call *call);
/* Whether the caches and all else fit into bindings; if not, vk_attention_cut() does it. */
bool vk_attention_in_range(const struct vk_call *call, uint64_t parts_bytes);
void vk_attention_cut(struct vk_build *build, const struct vk_call *call);
/* The spans' results become y, of `rows` rows from `row` on. */
void vk_attention_combine(struct vk_build *build, const struct vk_call *call, const struct qvf_value *parts,
                uint32_t n_parts, uint32_t row, uint32_t rows);
/* Invocations of attention.comp. */
uint32_t vk_attention_threads(const struct vk_limits *limits, uint32_t size);

#endif
