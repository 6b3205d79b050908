/* SPDX-License-Identifier: Apache-2.0 */
/* Copies between the host and memory that only the device reaches: through one staging buffer, waited for. */
#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "plugins/vulkan/vulkan.h"

#define STAGING_BYTES (4u << 20)
#define TIMEOUT_NS (60ull * 1000 * 1000 * 1000)

struct vk_staging {
        struct qvf_buffer *buffer;
        VkCommandBuffer commands;
        VkFence fence;
};

int vk_staging_new(struct qvf_device *device, struct vk_staging **ret_staging)
{
        const VkCommandBufferAllocateInfo allocate = {
                .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                .commandPool = device->commands,
                .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                .commandBufferCount = 1,
        };
        const VkFenceCreateInfo fence = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };
        struct vk_staging *staging = device->host.alloc(device->host.context, sizeof(*staging), 64);
        int r;

        if (!staging)
                return -ENOMEM;
        *staging = (struct vk_staging){ 0 };
        *ret_staging = staging; /* the device frees it, also half made */
        r = vk_buffer_new_shared(device, STAGING_BYTES, true, &staging->buffer);
        r = r < 0 ? r
                  : vk_errno(device, vkAllocateCommandBuffers(device->device, &allocate, &staging->commands),
                                    "making a command buffer");
        return r < 0 ? r
                     : vk_errno(device, vkCreateFence(device->device, &fence, NULL, &staging->fence),
                                       "making a fence");
}

void vk_staging_free(struct vk_staging *staging)
{
        struct qvf_device *device;

        if (!staging)
                return;
        device = staging->buffer ? staging->buffer->device : NULL;
        if (!device)
                return;
        if (staging->fence)
                vkDestroyFence(device->device, staging->fence, NULL);
        vk_buffer_free(staging->buffer);
        device->host.free(device->host.context, staging, sizeof(*staging));
}

int vk_staging_begin(struct qvf_device *device, VkCommandBuffer *ret_commands)
{
        const VkCommandBufferBeginInfo info = {
                .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
        };
        const VkMemoryBarrier all = {
                .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                .dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        };
        int r;

        if (atomic_load(&device->lost))
                return -ENODEV;
        r = vk_errno(device, vkBeginCommandBuffer(device->staging->commands, &info), "recording a copy");
        if (r < 0)
                return r;
        vkCmdPipelineBarrier(device->staging->commands,
                        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                        VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &all, 0, NULL, 0, NULL);
        *ret_commands = device->staging->commands;
        return 0;
}

int vk_staging_end(struct qvf_device *device)
{
        struct vk_staging *staging = device->staging;
        const VkMemoryBarrier all = {
                .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT | VK_ACCESS_SHADER_WRITE_BIT,
                .dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_SHADER_READ_BIT |
                                 VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_UNIFORM_READ_BIT,
        };
        VkResult result;
        int r;

        vkCmdPipelineBarrier(staging->commands,
                        VK_PIPELINE_STAGE_TRANSFER_BIT | VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                        VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &all, 0,
                        NULL, 0, NULL);
        r = vk_errno(device, vkEndCommandBuffer(staging->commands), "recording a copy");
        r = r < 0 ? r : vk_queue_submit(device, &staging->commands, 1, staging->fence);
        if (r < 0)
                return r;
        result = vkWaitForFences(device->device, 1, &staging->fence, VK_TRUE, TIMEOUT_NS);
        if (result == VK_TIMEOUT) {
                atomic_store(&device->lost, QVF_RUN_HUNG);
                return -ETIMEDOUT;
        }
        r = vk_errno(device, result, "waiting for a copy");
        return r < 0 ? r : vk_errno(device, vkResetFences(device->device, 1, &staging->fence), "resetting");
}

const struct qvf_buffer *vk_staging_buffer(const struct vk_staging *staging)
{
        return staging->buffer;
}

int vk_transfer_fill(struct qvf_buffer *buffer)
{
        VkCommandBuffer commands;
        int r = vk_staging_begin(buffer->device, &commands);

        if (r < 0)
                return r;
        vkCmdFillBuffer(commands, buffer->buffer, 0, VK_WHOLE_SIZE, 0);
        return vk_staging_end(buffer->device);
}

static int copy(struct qvf_buffer *buffer, uint64_t offset, uint64_t length, bool to_device)
{
        struct vk_staging *staging = buffer->device->staging;
        const VkBufferCopy region = {
                .srcOffset = to_device ? 0 : offset,
                .dstOffset = to_device ? offset : 0,
                .size = length,
        };
        VkCommandBuffer commands;
        int r = vk_staging_begin(buffer->device, &commands);

        if (r < 0)
                return r;
        vkCmdCopyBuffer(commands, to_device ? staging->buffer->buffer : buffer->buffer,
                        to_device ? buffer->buffer : staging->buffer->buffer, 1, &region);
        return vk_staging_end(buffer->device);
}

int vk_transfer_to(struct qvf_buffer *buffer, uint64_t offset, const void *bytes, uint64_t length)
{
        for (uint64_t done = 0; done < length;) {
                uint64_t piece = qvf_min_u64(length - done, STAGING_BYTES);
                int r;

                memcpy(buffer->device->staging->buffer->memory.mapped, (const char *)bytes + done, piece);
                r = copy(buffer, offset + done, piece, true);
                if (r < 0)
                        return r;
                done += piece;
        }
        return 0;
}

int vk_transfer_from(struct qvf_buffer *buffer, uint64_t offset, void *bytes, uint64_t length)
{
        for (uint64_t done = 0; done < length;) {
                uint64_t piece = qvf_min_u64(length - done, STAGING_BYTES);
                int r = copy(buffer, offset + done, piece, false);

                if (r < 0)
                        return r;
                memcpy((char *)bytes + done, buffer->device->staging->buffer->memory.mapped, piece);
                done += piece;
        }
        return 0;
}
