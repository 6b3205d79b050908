/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QVF_PLUGINS_VULKAN_MEMORY_H
#define QVF_PLUGINS_VULKAN_MEMORY_H

#include <stdbool.h>
#include <vulkan/vulkan.h>

#include "qvf/backend.h"

struct vk_block; /* memory that small buffers share */

struct vk_memory { /* where a buffer stands */
        VkDeviceMemory memory;
        uint64_t offset;
        void *mapped; /* NULL: the host can't reach it */
        bool cached;  /* reading it through `mapped` is fast */
        struct vk_block *block;
        uint32_t pages;
};

/* For allocations, where buffers have addresses. */
extern const VkMemoryAllocateFlagsInfo vk_memory_with_addresses;

int vk_memory_take(struct qvf_device *device, uint32_t type, const VkMemoryRequirements *wants,
                struct vk_memory *ret_memory);
void vk_memory_release(struct qvf_device *device, struct vk_memory *memory);
void vk_memory_free_blocks(struct qvf_device *device);

#endif
