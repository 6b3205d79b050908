/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QVF_PLUGINS_VULKAN_OPS_ATTENTION_H
#define QVF_PLUGINS_VULKAN_OPS_ATTENTION_H

#include "plugins/vulkan/emit.h"

/* TILE_STEP of attention_tile.glsl: the more shared memory there is, the less often it is waited for. */
uint32_t vk_attention_step(const struct vk_call *call);
/* Invocations of attention.comp. */
uint32_t vk_attention_threads(const struct vk_limits *limits, uint32_t size);

#endif
