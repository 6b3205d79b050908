/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "plugins/vulkan/vulkan.h"

#define FUSED_CONSTANT 31u /* that all shaders have (exact.glsl) */
#define TABLE 1024u        /* pipelines of one device at most, less one */

struct pipeline {
        enum vk_shader shader;
        uint32_t n_constants;
        uint32_t constants[VK_CONSTANTS];
        VkPipeline pipeline;
};

struct vk_pipelines {
        struct qvf_device *device;
        VkDescriptorSetLayout set_layout;
        VkPipelineLayout layout;
        VkPipelineCache cache;
        VkShaderModule modules[VK_SHADER_COUNT];
        uint32_t count;
        struct pipeline table[TABLE];
};

static int make_layouts(struct vk_pipelines *self)
{
        VkDescriptorSetLayoutBinding bindings[VK_BINDINGS + VK_UNIFORMS];
        const VkDescriptorSetLayoutCreateInfo sets = {
                .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                .bindingCount = VK_BINDINGS + VK_UNIFORMS,
                .pBindings = bindings,
        };
        const VkPushConstantRange push = { VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(struct vk_push) };
        VkPipelineLayoutCreateInfo layout = {
                .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                .setLayoutCount = 1,
                .pSetLayouts = &self->set_layout,
                .pushConstantRangeCount = 1,
                .pPushConstantRanges = &push,
        };
        struct qvf_device *device = self->device;
        int r;

        for (uint32_t i = 0; i < VK_BINDINGS + VK_UNIFORMS; i++)
                bindings[i] = (VkDescriptorSetLayoutBinding){
                        .binding = i,
                        .descriptorType = i > 0 && i < VK_BINDINGS ? VK_DESCRIPTOR_TYPE_STORAGE_BUFFER
                                                                   : VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER,
                        .descriptorCount = 1,
                        .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
                };
        r = vk_errno(device, vkCreateDescriptorSetLayout(device->device, &sets, NULL, &self->set_layout),
                        "making a layout");
        r = r < 0 ? r
                  : vk_errno(device, vkCreatePipelineLayout(device->device, &layout, NULL, &self->layout),
                                    "making a layout");
        return r < 0 ? r : vk_pipeline_cache_load(device, &self->cache);
}

int vk_descriptor_pool_new(struct qvf_device *device, uint32_t sets, VkDescriptorPool *ret_pool)
{
        const VkDescriptorPoolSize sizes[] = {
                { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, sets * (VK_BINDINGS - 1) },
                { VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, (1 + VK_UNIFORMS) * sets },
        };
        const VkDescriptorPoolCreateInfo pool = {
                .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                .maxSets = sets,
                .poolSizeCount = QVF_ARRAY_LENGTH(sizes),
                .pPoolSizes = sizes,
        };

        return vk_errno(device, vkCreateDescriptorPool(device->device, &pool, NULL, ret_pool),
                        "making a descriptor pool");
}

int vk_pipelines_new(struct qvf_device *device, struct vk_pipelines **ret_pipelines)
{
        struct vk_pipelines *self = device->host.alloc(device->host.context, sizeof(*self), 64);

        if (!self)
                return -ENOMEM;
        memset(self, 0, sizeof(*self));
        self->device = device;
        *ret_pipelines = self; /* the device frees it, also half made */
        return make_layouts(self);
}

void vk_pipelines_free(struct vk_pipelines *self)
{
        VkDevice device;

        if (!self)
                return;
        device = self->device->device;
        for (uint32_t i = 0; i < TABLE; i++)
                if (self->table[i].pipeline)
                        vkDestroyPipeline(device, self->table[i].pipeline, NULL);
        for (uint32_t i = 0; i < VK_SHADER_COUNT; i++)
                if (self->modules[i])
                        vkDestroyShaderModule(device, self->modules[i], NULL);
        if (self->cache && self->count > 0)
                vk_pipeline_cache_store(self->device, self->cache);
        if (self->cache)
                vkDestroyPipelineCache(device, self->cache, NULL);
        if (self->layout)
                vkDestroyPipelineLayout(device, self->layout, NULL);
        if (self->set_layout)
                vkDestroyDescriptorSetLayout(device, self->set_layout, NULL);
        self->device->host.free(self->device->host.context, self, sizeof(*self));
}

VkPipelineLayout vk_pipelines_layout(const struct vk_pipelines *self)
{
        return self->layout;
}

VkDescriptorSetLayout vk_pipelines_set_layout(const struct vk_pipelines *self)
{
        return self->set_layout;
}

static int module_of(struct vk_pipelines *self, enum vk_shader shader, VkShaderModule *ret_module)
{
        const struct vk_shader_code *code = &vk_shader_codes[shader];
        const VkShaderModuleCreateInfo info = {
                .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                .codeSize = code->bytes,
                .pCode = code->words,
        };
        int r = 0;

        if (!self->modules[shader])
                r = vk_errno(self->device,
                                vkCreateShaderModule(
                                                self->device->device, &info, NULL, &self->modules[shader]),
                                code->name);
        *ret_module = self->modules[shader];
        return r;
}

static int make_pipeline(struct vk_pipelines *self, struct pipeline *pipeline)
{
        VkSpecializationMapEntry entries[VK_CONSTANTS + 1];
        uint32_t data[VK_CONSTANTS + 1];
        const VkSpecializationInfo special = {
                .mapEntryCount = pipeline->n_constants + 1,
                .pMapEntries = entries,
                .dataSize = sizeof(data),
                .pData = data,
        };
        const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup = {
                .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
                .requiredSubgroupSize = self->device->features.subgroup_size,
        };
        VkComputePipelineCreateInfo info = {
                .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
                .stage = {
                        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                        .pNext = self->device->sets_subgroup_size ? &subgroup : NULL,
                        .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                        .pName = "main",
                        .pSpecializationInfo = &special,
                },
                .layout = self->layout,
        };
        int r = module_of(self, pipeline->shader, &info.stage.module);

        for (uint32_t i = 0; i < pipeline->n_constants; i++)
                entries[i] = (VkSpecializationMapEntry){ i, i * 4, 4 };
        entries[pipeline->n_constants] = (VkSpecializationMapEntry){ FUSED_CONSTANT, VK_CONSTANTS * 4, 4 };
        memcpy(data, pipeline->constants, sizeof(pipeline->constants));
        data[VK_CONSTANTS] = self->device->features.fused;
        return r < 0 ? r
                     : vk_errno(self->device,
                                       vkCreateComputePipelines(self->device->device, self->cache, 1, &info,
                                                       NULL, &pipeline->pipeline),
                                       vk_shader_codes[pipeline->shader].name);
}

static uint32_t hash(const struct pipeline *wanted)
{
        uint32_t h = (uint32_t)wanted->shader * 0x9e3779b9u;

        for (uint32_t i = 0; i < wanted->n_constants; i++)
                h = (h ^ wanted->constants[i]) * 0x85ebca6bu + (h >> 15);
        return h;
}

int vk_pipeline_get(struct vk_pipelines *self, enum vk_shader shader, const uint32_t *constants,
                uint32_t n_constants, VkPipeline *ret_pipeline)
{
        struct pipeline wanted = { .shader = shader, .n_constants = n_constants };
        struct pipeline *place;
        uint32_t at;
        int r;

        if (shader >= VK_SHADER_COUNT || n_constants > VK_CONSTANTS)
                return -EINVAL;
        memcpy(wanted.constants, constants, n_constants * sizeof(*constants));
        for (at = hash(&wanted) % TABLE; self->table[at].pipeline; at = (at + 1) % TABLE) {
                place = &self->table[at];
                if (place->shader == shader && place->n_constants == n_constants &&
                                !memcmp(place->constants, wanted.constants, sizeof(wanted.constants))) {
                        *ret_pipeline = place->pipeline;
                        return 0;
                }
        }
        if (self->count + 1 >= TABLE)
                return -ENOSPC;
        r = make_pipeline(self, &wanted);
        if (r < 0)
                return r;
        self->table[at] = wanted;
        self->count++;
        *ret_pipeline = wanted.pipeline;
        return 0;
}
