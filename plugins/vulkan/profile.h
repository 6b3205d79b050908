/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QVF_PLUGINS_VULKAN_PROFILE_H
#define QVF_PLUGINS_VULKAN_PROFILE_H

#include <vulkan/vulkan.h>

#include "plugins/vulkan/emit.h"

/* Does nothing, and the others do nothing then, unless QVF_VK_PROFILE is set. */
int vk_profile_new(struct qvf_program *program, uint32_t n_dispatches);
void vk_profile_begin(struct qvf_program *program, VkCommandBuffer commands);
void vk_profile_stamp(struct qvf_program *program, VkCommandBuffer commands, enum vk_shader shader);
void vk_profile_collect(struct qvf_program *program, double wall_ms); /* after a run */
void vk_profile_free(struct qvf_program *program);

#endif
