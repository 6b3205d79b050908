/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers: on a device that shares its memory with the host they are mapped; elsewhere they stand in the device's own
 * memory, mapped too where the host can reach all of it. */
#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "plugins/vulkan/vulkan.h"

static bool unified(const struct qvf_device *device)
{
        for (uint32_t i = 0; i < device->memory.memoryHeapCount; i++)
                if (!(device->memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT))
                        return false;
        return true;
}

/* The type among `allowed` with all of `needed` and the most of what is listed first in `liked`. */
static int find_type(const struct qvf_device *device, uint32_t allowed, VkMemoryPropertyFlags needed,
                const VkMemoryPropertyFlags liked[2])
{
        int best = -1, best_score = -1;

        for (uint32_t i = 0; i < device->memory.memoryTypeCount; i++) {
                VkMemoryPropertyFlags flags = device->memory.memoryTypes[i].propertyFlags;
                int score = 0;

                if (!(allowed & (1u << i)) || (flags & needed) != needed ||
                                flags & VK_MEMORY_PROPERTY_PROTECTED_BIT)
                        continue;
                for (int l = 0; l < 2; l++)
                        if (liked[l] && (flags & liked[l]) == liked[l])
                                score += 2 - l;
                if (score > best_score) {
                        best = (int)i;
                        best_score = score;
                }
        }
        return best;
}

static int make(struct qvf_device *device, uint64_t bytes, const void *chain, struct qvf_buffer **ret_buffer)
{
        const VkBufferCreateInfo info = {
                .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                .pNext = chain,
                .size = bytes,
                .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT |
                         VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
                         (device->buffer_address ? VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT : 0),
        };
        struct qvf_buffer *buffer;
        int r;

        if (bytes == 0 || bytes > PTRDIFF_MAX)
                return -EINVAL;
        buffer = device->host.alloc(device->host.context, sizeof(*buffer), 64);
        if (!buffer)
                return -ENOMEM;
        *buffer = (struct qvf_buffer){ .device = device, .bytes = bytes, .whole = bytes };
        r = vk_errno(device, vkCreateBuffer(device->device, &info, NULL, &buffer->buffer),
                        "making a buffer");
        if (r < 0) {
                device->host.free(device->host.context, buffer, sizeof(*buffer));
                return r;
        }
        *ret_buffer = buffer;
        return 0;
}

static int place(struct qvf_buffer *buffer, int type, const VkMemoryRequirements *wants)
{
        struct qvf_device *device = buffer->device;
        int r;

        if (type < 0)
                return -ENOTSUP;
        r = vk_memory_take(device, (uint32_t)type, wants, &buffer->memory);
        return r < 0 ? r
                     : vk_errno(device,
                                       vkBindBufferMemory(device->device, buffer->buffer,
                                                       buffer->memory.memory, buffer->memory.offset),
                                       "placing a buffer");
}

/* Memory of the host that the device uses as it stands. */
static int place_import(struct qvf_buffer *buffer, int type, uint64_t bytes, const void *memory)
{
        struct qvf_device *device = buffer->device;
        const VkImportMemoryHostPointerInfoEXT import = {
                .sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
                .handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT,
                .pNext = device->buffer_address ? &vk_memory_with_addresses : NULL,
                .pHostPointer = (void *)(uintptr_t)memory,
        };
        const VkMemoryAllocateInfo info = {
                .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                .pNext = &import,
                .allocationSize = bytes,
                .memoryTypeIndex = (uint32_t)type,
        };

        if (type < 0 || vkAllocateMemory(device->device, &info, NULL, &buffer->memory.memory) != VK_SUCCESS)
                return -ENOTSUP;
        return vk_errno(device, vkBindBufferMemory(device->device, buffer->buffer, buffer->memory.memory, 0),
                        "placing a buffer");
}

static int make_and_place(struct qvf_device *device, uint64_t bytes, VkMemoryPropertyFlags needed,
                const VkMemoryPropertyFlags liked[2], struct qvf_buffer **ret_buffer)
{
        VkMemoryRequirements wants;
        struct qvf_buffer *buffer;
        int r = make(device, bytes, NULL, &buffer);

        if (r < 0)
                return r;
        vkGetBufferMemoryRequirements(device->device, buffer->buffer, &wants);
        r = place(buffer, find_type(device, wants.memoryTypeBits, needed, liked), &wants);
        if (r < 0) {
                vk_buffer_free(buffer);
                return r;
        }
        *ret_buffer = buffer;
        return 0;
}

int vk_buffer_new(struct qvf_device *device, uint64_t bytes, uint32_t use, struct qvf_buffer **ret_buffer)
{
        const VkMemoryPropertyFlags visible =
                        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
        const VkMemoryPropertyFlags shared[2] = { visible | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, visible };
        const VkMemoryPropertyFlags own[2] = { visible, 0 };
        struct qvf_buffer *buffer;
        int r;

        if (atomic_load(&device->lost))
                return -ENODEV;
        if (bytes == 0 || !qvf_align_u64(bytes, 256, &bytes))
                return -EINVAL;
        if (use == QVF_BUFFER_RESULTS) /* small, and written once: reading it must be fast for the host */
                r = vk_buffer_new_shared(device, bytes, true, &buffer);
        else
                r = make_and_place(device, bytes, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
                                unified(device) ? shared : own, &buffer);
        if (r < 0)
                return r;
        r = vk_transfer_fill(buffer);
        if (r < 0) {
                vk_buffer_free(buffer);
                return r;
        }
        *ret_buffer = buffer;
        return 0;
}

int vk_buffer_new_shared(
                struct qvf_device *device, uint64_t bytes, bool for_reading, struct qvf_buffer **ret_buffer)
{
        const VkMemoryPropertyFlags visible =
                        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
        const VkMemoryPropertyFlags liked[2] = {
                for_reading ? VK_MEMORY_PROPERTY_HOST_CACHED_BIT : VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0
        };

        return make_and_place(device, bytes, visible, liked, ret_buffer);
}

int vk_buffer_import(struct qvf_device *device, const void *memory, uint64_t bytes,
                struct qvf_buffer **ret_buffer)
{
        const VkExternalMemoryHandleTypeFlagBits handle =
                        VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
        const VkExternalMemoryBufferCreateInfo external = {
                .sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO,
                .handleTypes = handle,
        };
        VkMemoryHostPointerPropertiesEXT properties = {
                .sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT,
        };
        const VkMemoryPropertyFlags any[2] = { 0, 0 };
        VkMemoryRequirements wants;
        struct qvf_buffer *buffer;
        uint64_t padded;
        int r;

        if (!device->import_alignment || !device->host_pointer_properties || !unified(device))
                return -ENOTSUP;
        if (!memory || bytes == 0 || !qvf_align_u64(bytes, device->import_alignment, &padded))
                return -EINVAL;
        if ((uintptr_t)memory % device->import_alignment != 0 ||
                        device->host_pointer_properties(device->device, handle, memory, &properties) !=
                                        VK_SUCCESS)
                return -ENOTSUP;
        r = make(device, padded, &external, &buffer);
        if (r < 0)
                return r;
        vkGetBufferMemoryRequirements(device->device, buffer->buffer, &wants);
        r = wants.size > padded ? -ENOTSUP
                                : place_import(buffer,
                                                  find_type(device,
                                                                  wants.memoryTypeBits &
                                                                                  properties.memoryTypeBits,
                                                                  0, any),
                                                  padded, memory);
        if (r < 0) {
                vk_buffer_free(buffer);
                return atomic_load(&device->lost) ? r : -ENOTSUP;
        }
        buffer->bytes = bytes;
        buffer->imported = true;
        buffer->memory.mapped = (void *)(uintptr_t)memory;
        buffer->memory.cached = true;
        *ret_buffer = buffer;
        return 0;
}

void vk_buffer_free(struct qvf_buffer *buffer)
{
        struct qvf_device *device;

        if (!buffer)
                return;
        device = buffer->device;
        vk_device_settle(device);
        if (!vk_device_hangs(device)) {
                if (buffer->buffer)
                        vkDestroyBuffer(device->device, buffer->buffer, NULL);
                vk_memory_release(device, &buffer->memory);
        }
        device->host.free(device->host.context, buffer, sizeof(*buffer));
}

static bool within(const struct qvf_buffer *buffer, uint64_t offset, uint64_t length)
{
        return offset <= buffer->bytes && length <= buffer->bytes - offset;
}

int vk_buffer_upload(struct qvf_buffer *buffer, uint64_t offset, const void *bytes, uint64_t length)
{
        if (!within(buffer, offset, length) || buffer->imported)
                return -EINVAL;
        if (!buffer->memory.mapped)
                return vk_transfer_to(buffer, offset, bytes, length);
        memcpy((char *)buffer->memory.mapped + offset, bytes, length);
        return 0;
}

int vk_buffer_download(struct qvf_buffer *buffer, uint64_t offset, void *bytes, uint64_t length)
{
        if (!within(buffer, offset, length))
                return -EINVAL;
        if (!buffer->memory.mapped || !buffer->memory.cached)
                return vk_transfer_from(buffer, offset, bytes, length);
        memcpy(bytes, (char *)buffer->memory.mapped + offset, length);
        return 0;
}

void *vk_buffer_map(struct qvf_buffer *buffer)
{
        return buffer->memory.cached ? buffer->memory.mapped : NULL;
}
