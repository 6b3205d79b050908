/* SPDX-License-Identifier: Apache-2.0 */
/* Whether fma() of shaders rounds once. Vulkan lets a driver make two operations of it, and no property tells. */
#include <string.h>

#include "plugins/vulkan/vulkan.h"

static int make_set(struct qvf_device *device, VkDescriptorPool *ret_pool, VkDescriptorSet *ret_set)
{
        VkDescriptorSetLayout layout = vk_pipelines_set_layout(device->pipelines);
        VkDescriptorSetAllocateInfo allocate = {
                .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                .descriptorSetCount = 1,
                .pSetLayouts = &layout,
        };
        const VkDescriptorBufferInfo place = { vk_staging_buffer(device->staging)->buffer, 0, 256 };
        VkDescriptorBufferInfo places[VK_BINDINGS];
        VkWriteDescriptorSet writes[] = {
                { .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                .descriptorCount = 1,
                                .descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER,
                                .pBufferInfo = places },
                { .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                .dstBinding = 1,
                                .descriptorCount = VK_BINDINGS - 1,
                                .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                .pBufferInfo = places },
        };
        int r = vk_descriptor_pool_new(device, 1, ret_pool);

        if (r < 0)
                return r;
        allocate.descriptorPool = *ret_pool;
        r = vk_errno(device, vkAllocateDescriptorSets(device->device, &allocate, ret_set),
                        "making a descriptor set");
        if (r < 0)
                return r;
        for (unsigned i = 0; i < VK_BINDINGS; i++)
                places[i] = place;
        writes[0].dstSet = writes[1].dstSet = *ret_set;
        vkUpdateDescriptorSets(device->device, 2, writes, 0, NULL);
        return 0;
}

/* f[0] · f[1] + f[2] as a shader has it. */
static int run_probe(
                struct qvf_device *device, VkDescriptorSet set, const struct vk_push *push, float *ret_sum)
{
        VkPipelineLayout layout = vk_pipelines_layout(device->pipelines);
        VkCommandBuffer commands;
        const uint32_t none[1] = { 0 };
        VkPipeline pipeline;
        int r = vk_pipeline_get(device->pipelines, VK_SHADER_FMA_PROBE, none, 0, &pipeline);

        r = r < 0 ? r : vk_staging_begin(device, &commands);
        if (r < 0)
                return r;
        vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
        vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set, 0, NULL);
        vkCmdPushConstants(commands, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(*push), push);
        vkCmdDispatch(commands, 1, 1, 1);
        r = vk_staging_end(device);
        if (r == 0)
                memcpy(ret_sum, vk_staging_buffer(device->staging)->memory.mapped, sizeof(*ret_sum));
        return r;
}

int vk_fma_probe(struct qvf_device *device)
{
        /* (1 + 2⁻²³)² − (1 + 2⁻²²) = 2⁻⁴⁶, and 0 when the product is rounded first. */
        const struct vk_push push = { .f = { 1 + 0x1p-23f, 1 + 0x1p-23f, -1 - 0x1p-22f } };
        VkDescriptorPool pool = VK_NULL_HANDLE;
        VkDescriptorSet set = VK_NULL_HANDLE;
        float sum = 0;
        int r = make_set(device, &pool, &set);

        r = r < 0 ? r : run_probe(device, set, &push, &sum);
        if (pool)
                vkDestroyDescriptorPool(device->device, pool, NULL);
        device->features.fused = r == 0 && sum == 0x1p-46f;
        return r;
}
