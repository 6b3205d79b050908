/* SPDX-License-Identifier: Apache-2.0 */
/* Neighbouring operations as one dispatch. Everything that the operations on their own would write is written too. */
#ifndef QVF_PLUGINS_VULKAN_FUSE_H
#define QVF_PLUGINS_VULKAN_FUSE_H

#include "plugins/vulkan/emit.h"

#define VK_FUSED_MOST 8u

/* How many of the next operations were emitted together; 0: the first is to be emitted by itself. */
uint32_t vk_fuse(struct vk_build *build, const struct vk_call *calls, uint32_t count);

#endif
