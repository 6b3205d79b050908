/* SPDX-License-Identifier: Apache-2.0 */
/* Compute pipelines: one for each (shader, specialisation constants), made when first asked for. */
#ifndef QVF_PLUGINS_VULKAN_PIPELINE_H
#define QVF_PLUGINS_VULKAN_PIPELINE_H

#include <vulkan/vulkan.h>

#include "plugins/vulkan/emit.h"

struct vk_shader_code {
        const char *name;
        const uint32_t *words;
        size_t bytes;
};

extern const struct vk_shader_code vk_shader_codes[VK_SHADER_COUNT];

struct vk_pipelines; /* of one device */

int vk_pipelines_new(struct qvf_device *device, struct vk_pipelines **ret_pipelines);
void vk_pipelines_free(struct vk_pipelines *pipelines);
VkPipelineLayout vk_pipelines_layout(const struct vk_pipelines *pipelines);
VkDescriptorSetLayout vk_pipelines_set_layout(const struct vk_pipelines *pipelines);
/* For so many sets of that layout. */
int vk_descriptor_pool_new(struct qvf_device *device, uint32_t sets, VkDescriptorPool *ret_pool);
int vk_pipeline_get(struct vk_pipelines *pipelines, enum vk_shader shader, const uint32_t *constants,
                uint32_t n_constants, VkPipeline *ret_pipeline);

#endif
