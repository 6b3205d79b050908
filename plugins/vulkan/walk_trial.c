/* SPDX-License-Identifier: Apache-2.0 */
/* Whether this device's workgroups go on side by side: tried once, when it is opened. A device where they don't loses a
 * few milliseconds, as nobody waits for long. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/vulkan/walk.h"

#define STEPS 64u
#define THREADS 256u
#define LOOKS (1u << 17) /* each takes the better part of a microsecond */
/* llvmpipe leaves all loops of an invocation after 65,535 rounds together and goes on with what is not there yet: good for
 * tests of a walk in vain, or of a single workgroup, and of no other walk. */
#define LOOKS_SOFTWARE 20000u
#define SHARED_LEAST 32768u /* bytes that walk.comp needs */
#define TRIAL_MS 5000u
/* Of VK_AMD_shader_core_properties. */
#define AMD_PROPERTIES VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_AMD

uint32_t vk_walk_looks(const struct qvf_device *device)
{
        return device->features.software ? LOOKS_SOFTWARE : LOOKS;
}

/* Cores, each of which certainly holds one workgroup; 0: the driver does not tell. */
static uint32_t find_cores(VkPhysicalDevice physical)
{
        VkPhysicalDeviceShaderSMBuiltinsPropertiesNV nvidia = {
                .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV,
        };
        VkPhysicalDeviceShaderCorePropertiesAMD amd = { .sType = AMD_PROPERTIES };
        VkPhysicalDeviceProperties2 properties = {
                .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
        };

        if (vk_has_extension(physical, VK_NV_SHADER_SM_BUILTINS_EXTENSION_NAME))
                properties.pNext = &nvidia;
        else if (vk_has_extension(physical, VK_AMD_SHADER_CORE_PROPERTIES_EXTENSION_NAME))
                properties.pNext = &amd;
        else
                return 0;
        vkGetPhysicalDeviceProperties2(physical, &properties);
        return nvidia.shaderSMCount ? nvidia.shaderSMCount
                                    : amd.shaderEngineCount * amd.shaderArraysPerEngineCount *
                                                      amd.computeUnitsPerShaderArray;
}

struct trial {
        struct qvf_device *device;
        struct qvf_buffer *exchange, *status;
        VkDescriptorPool pool;
        VkCommandBuffer commands;
        VkFence fence;
        uint32_t groups;
};

static int bind(const struct trial *trial)
{
        struct qvf_device *device = trial->device;
        VkDescriptorSetLayout layout = vk_pipelines_set_layout(device->pipelines);
        const VkDescriptorSetAllocateInfo allocate = {
                .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                .descriptorPool = trial->pool,
                .descriptorSetCount = 1,
                .pSetLayouts = &layout,
        };
        const struct qvf_buffer *buffers[3] = { trial->status, trial->exchange, trial->status };
        VkDescriptorBufferInfo infos[3];
        VkWriteDescriptorSet writes[3];
        VkDescriptorSet set;
        int r = vk_errno(device, vkAllocateDescriptorSets(device->device, &allocate, &set),
                        "making a descriptor set");

        if (r < 0)
                return r;
        for (uint32_t i = 0; i < 3; i++) {
                infos[i] = (VkDescriptorBufferInfo){ buffers[i]->buffer, 0, VK_WHOLE_SIZE };
                writes[i] = (VkWriteDescriptorSet){
                        .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                        .dstSet = set,
                        .dstBinding = i,
                        .descriptorCount = 1,
                        .descriptorType = i > 0 ? VK_DESCRIPTOR_TYPE_STORAGE_BUFFER
                                                : VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER,
                        .pBufferInfo = &infos[i],
                };
        }
        vkUpdateDescriptorSets(device->device, 3, writes, 0, NULL);
        vkCmdBindDescriptorSets(trial->commands, VK_PIPELINE_BIND_POINT_COMPUTE,
                        vk_pipelines_layout(device->pipelines), 0, 1, &set, 0, NULL);
        return 0;
}

static int record(const struct trial *trial)
{
        struct qvf_device *device = trial->device;
        const VkCommandBufferBeginInfo begin = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO };
        const VkMemoryBarrier filled = {
                .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT,
        };
        const VkMemoryBarrier written = {
                .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                .dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT,
        };
        const struct vk_push push = { .n = { STEPS, vk_walk_looks(device) } };
        const uint32_t threads = THREADS;
        VkPipeline pipeline;
        int r = vk_pipeline_get(device->pipelines, VK_SHADER_WALK_TRIAL, &threads, 1, &pipeline);

        r = r < 0 ? r : vk_errno(device, vkBeginCommandBuffer(trial->commands, &begin), "recording");
        r = r < 0 ? r : bind(trial);
        if (r < 0)
                return r;
        vkCmdFillBuffer(trial->commands, trial->exchange->buffer, 0, trial->exchange->bytes,
                        VK_WALK_NOT_YET);
        vkCmdPipelineBarrier(trial->commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
                        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &filled, 0, NULL, 0, NULL);
        vkCmdBindPipeline(trial->commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
        vkCmdPushConstants(trial->commands, vk_pipelines_layout(device->pipelines),
                        VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), &push);
        vkCmdDispatch(trial->commands, trial->groups, 1, 1);
        vkCmdPipelineBarrier(trial->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                        VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &written, 0, NULL,
                        0, NULL);
        return vk_errno(device, vkEndCommandBuffer(trial->commands), "recording");
}

static int prepare(struct trial *trial)
{
        struct qvf_device *device = trial->device;
        const VkCommandBufferAllocateInfo allocate = {
                .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                .commandPool = device->commands,
                .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                .commandBufferCount = 1,
        };
        const VkFenceCreateInfo fence = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };
        int r = vk_buffer_new(
                        device, (uint64_t)STEPS * trial->groups * 16, QVF_BUFFER_DEVICE, &trial->exchange);

        r = r < 0 ? r : vk_buffer_new(device, 256, QVF_BUFFER_DEVICE, &trial->status);
        r = r < 0 ? r : vk_descriptor_pool_new(device, 1, &trial->pool);
        r = r < 0 ? r
                  : vk_errno(device, vkAllocateCommandBuffers(device->device, &allocate, &trial->commands),
                                    "making a command buffer");
        r = r < 0 ? r
                  : vk_errno(device, vkCreateFence(device->device, &fence, NULL, &trial->fence),
                                    "making a fence");
        return r < 0 ? r : record(trial);
}

/* As walk_trial.comp does it. */
static bool is_right(const uint32_t *found, uint32_t groups)
{
        uint32_t columns = groups * 4, sum = 0;

        for (uint32_t s = 0; s < STEPS; s++) {
                uint32_t next = 0;

                for (uint32_t i = 0; i < columns; i++) {
                        uint32_t wanted = (s + i % 4 + sum) & 0xffffffu;

                        if (found[s * columns + i] != wanted)
                                return false;
                        next += wanted * (2 * (i % 4) + 1);
                }
                sum = next;
        }
        return true;
}

static int await(const struct trial *trial)
{
        struct qvf_device *device = trial->device;
        VkResult result = vkWaitForFences(device->device, 1, &trial->fence, VK_TRUE, TRIAL_MS * 1000000ull);

        if (result == VK_TIMEOUT) {
                vk_log(&device->host, 0,
                                "vulkan: the device does not come back from a trial of %u workgroups",
                                trial->groups);
                atomic_store(&device->lost, QVF_RUN_HUNG);
                return -ETIME;
        }
        return vk_errno(device, result, "trying how workgroups go on");
}

static int run(struct trial *trial, bool *ret_good)
{
        struct qvf_device *device = trial->device;
        uint64_t bytes = (uint64_t)STEPS * trial->groups * 16;
        uint32_t *found = malloc(bytes), gave_up = 1;
        int r = found ? vk_queue_submit(device, &trial->commands, 1, trial->fence) : -ENOMEM;

        r = r < 0 ? r : await(trial);
        r = r < 0 ? r : vk_buffer_download(trial->exchange, 0, found, bytes);
        r = r < 0 ? r : vk_buffer_download(trial->status, 0, &gave_up, sizeof(gave_up));
        *ret_good = r == 0 && gave_up == 0 && is_right(found, trial->groups);
        free(found);
        return r;
}

static void release(struct trial *trial)
{
        struct qvf_device *device = trial->device;

        if (vk_device_hangs(device))
                return;
        if (trial->fence)
                vkDestroyFence(device->device, trial->fence, NULL);
        if (trial->commands)
                vkFreeCommandBuffers(device->device, device->commands, 1, &trial->commands);
        if (trial->pool)
                vkDestroyDescriptorPool(device->device, trial->pool, NULL);
        vk_buffer_free(trial->status);
        vk_buffer_free(trial->exchange);
}

int vk_walk_try(struct qvf_device *device)
{
        const char *wanted = getenv("QVF_VK_WALK"); /* for tests: so many workgroups; 0: none */
        struct trial trial = { .device = device };
        bool good = false;
        int r;

        /* Where fma() rounds twice, other shaders do not compute what walk.comp does. */
        if (!device->buffer_address || !device->features.subgroup || (!device->features.fused && !wanted) ||
                        device->limits.shared < SHARED_LEAST ||
                        device->limits.uniform < VK_WALK_STEPS_MOST * sizeof(struct vk_walk_step) ||
                        device->limits.invocations < THREADS)
                return 0;
        trial.groups = wanted ? (uint32_t)strtoul(wanted, NULL, 10) : find_cores(device->physical);
        if (trial.groups == 0 || trial.groups > 1024)
                return 0;
        if (getenv("QVF_VK_WALK_UNTRIED")) { /* for tests: so that they wait for each other in vain */
                device->walk_held = device->walk_groups = trial.groups;
                return 0;
        }
        r = prepare(&trial);
        r = r < 0 ? r : run(&trial, &good);
        release(&trial);
        if (good)
                device->walk_held = device->walk_groups = trial.groups;
        vk_log(&device->host, 3, "vulkan: %u workgroups %s side by side", trial.groups,
                        good ? "go on" : "do not go on");
        return r;
}
