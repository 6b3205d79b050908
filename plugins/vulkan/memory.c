/* SPDX-License-Identifier: Apache-2.0 */
/* Device memory. Drivers allow few allocations and round each up: small buffers share blocks, large ones have memory of
 * their own. */
#include "plugins/vulkan/memory.h"

#include <errno.h>
#include <string.h>

#include "plugins/vulkan/vulkan.h"

#define PAGE 4096u
#define PAGES 512u /* of a block */
#define LARGEST_SHARED (PAGE * PAGES / 4)

struct vk_block {
        struct vk_block *next;
        VkDeviceMemory memory;
        void *mapped;
        uint32_t type;
        bool taken[PAGES];
};

const VkMemoryAllocateFlagsInfo vk_memory_with_addresses = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
        .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT,
};

static int allocate(struct qvf_device *device, uint32_t type, uint64_t bytes, VkDeviceMemory *ret_memory,
                void **ret_mapped)
{
        const VkMemoryAllocateInfo info = {
                .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                .pNext = device->buffer_address ? &vk_memory_with_addresses : NULL,
                .allocationSize = bytes,
                .memoryTypeIndex = type,
        };
        int r = vk_errno(device, vkAllocateMemory(device->device, &info, NULL, ret_memory),
                        "taking device memory");

        if (r < 0 || !(device->memory.memoryTypes[type].propertyFlags &
                                     VK_MEMORY_PROPERTY_HOST_COHERENT_BIT))
                return r;
        r = vk_errno(device, vkMapMemory(device->device, *ret_memory, 0, VK_WHOLE_SIZE, 0, ret_mapped),
                        "mapping device memory");
        if (r < 0) {
                vkFreeMemory(device->device, *ret_memory, NULL);
                *ret_memory = VK_NULL_HANDLE;
        }
        return r;
}

/* The first run of free pages; PAGES where there is none. */
static uint32_t find_pages(const struct vk_block *block, uint32_t count, uint32_t step)
{
        for (uint32_t at = 0; at + count <= PAGES; at += step) {
                uint32_t free = 0;

                while (free < count && !block->taken[at + free])
                        free++;
                if (free == count)
                        return at;
        }
        return PAGES;
}

static int new_block(struct qvf_device *device, uint32_t type, struct vk_block **ret_block)
{
        struct vk_block *block = device->host.alloc(device->host.context, sizeof(*block), 64);
        int r;

        if (!block)
                return -ENOMEM;
        *block = (struct vk_block){ .type = type, .next = device->blocks };
        r = allocate(device, type, (uint64_t)PAGE * PAGES, &block->memory, &block->mapped);
        if (r < 0) {
                device->host.free(device->host.context, block, sizeof(*block));
                return r;
        }
        device->blocks = block;
        *ret_block = block;
        return 0;
}

static int take_shared(struct qvf_device *device, uint32_t type, const VkMemoryRequirements *wants,
                struct vk_memory *ret_memory)
{
        uint32_t count = (uint32_t)((wants->size + PAGE - 1) / PAGE);
        uint32_t step = wants->alignment > PAGE ? (uint32_t)(wants->alignment / PAGE) : 1;
        struct vk_block *block;
        uint32_t at = PAGES;
        int r;

        for (block = device->blocks; block; block = block->next) {
                if (block->type == type)
                        at = find_pages(block, count, step);
                if (at < PAGES)
                        break;
        }
        if (!block) {
                r = new_block(device, type, &block);
                if (r < 0)
                        return r;
                at = 0;
        }
        memset(block->taken + at, true, count);
        *ret_memory = (struct vk_memory){
                .memory = block->memory,
                .offset = (uint64_t)at * PAGE,
                .mapped = block->mapped ? (char *)block->mapped + (uint64_t)at * PAGE : NULL,
                .block = block,
                .pages = count,
        };
        return 0;
}

int vk_memory_take(struct qvf_device *device, uint32_t type, const VkMemoryRequirements *wants,
                struct vk_memory *ret_memory)
{
        int r;

        *ret_memory = (struct vk_memory){ 0 };
        if (wants->size <= LARGEST_SHARED)
                r = take_shared(device, type, wants, ret_memory);
        else
                r = allocate(device, type, wants->size, &ret_memory->memory, &ret_memory->mapped);
        ret_memory->cached = ret_memory->mapped && device->memory.memoryTypes[type].propertyFlags &
                                                                   VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
        return r;
}

void vk_memory_release(struct qvf_device *device, struct vk_memory *memory)
{
        if (memory->block)
                memset(memory->block->taken + memory->offset / PAGE, false, memory->pages);
        else if (memory->memory)
                vkFreeMemory(device->device, memory->memory, NULL);
        *memory = (struct vk_memory){ 0 };
}

void vk_memory_free_blocks(struct qvf_device *device)
{
        while (device->blocks) {
                struct vk_block *block = device->blocks;

                device->blocks = block->next;
                vkFreeMemory(device->device, block->memory, NULL);
                device->host.free(device->host.context, block, sizeof(*block));
        }
}
