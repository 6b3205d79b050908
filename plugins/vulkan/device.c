/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a device: queue, memory types, limits and features. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/vulkan/walk.h"

#define SUBMISSION_MS 100u
/* Work of a millisecond until the device has been measured: low, so that first submissions are short. */
#define FIRST_COST_PER_MS 1e7
#define FIRST_COST_PER_MS_SOFTWARE 2e5

static int find_queue(struct qvf_device *device)
{
        VkQueueFamilyProperties families[16];
        uint32_t count = 16;
        int best = -1;

        vkGetPhysicalDeviceQueueFamilyProperties(device->physical, &count, families);
        for (uint32_t i = 0; i < count; i++) {
                if (!(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT))
                        continue;
                /* One without graphics is not in the compositor's way. */
                if (best < 0 || !(families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT))
                        best = (int)i;
        }
        if (best < 0)
                return -ENODEV;
        device->queue_family = (uint32_t)best;
        return 0;
}

static int make_device(struct qvf_device *device)
{
        struct vk_features_wanted *wanted;
        const float priority = 0;
        VkDeviceQueueCreateInfo queue = {
                .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                .queueFamilyIndex = device->queue_family,
                .queueCount = 1,
                .pQueuePriorities = &priority,
        };
        VkDeviceCreateInfo info = {
                .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                .queueCreateInfoCount = 1,
                .pQueueCreateInfos = &queue,
        };
        int r;

        wanted = calloc(1, sizeof(*wanted));
        if (!wanted)
                return -ENOMEM;
        vk_features_probe(device->instance, device->physical, wanted);
        info.pNext = &wanted->chain;
        info.ppEnabledExtensionNames = wanted->extensions;
        info.enabledExtensionCount = wanted->n_extensions;
        device->features = wanted->features;
        device->sets_subgroup_size = wanted->sets_subgroup_size;
        if (wanted->host_import)
                device->import_alignment = 4096;
        r = vk_errno(device, vkCreateDevice(device->physical, &info, NULL, &device->device),
                        "opening the device");
        if (r == 0 && wanted->fault.deviceFault)
                device->fault_info = (PFN_vkGetDeviceFaultInfoEXT)vkGetDeviceProcAddr(
                                device->device, "vkGetDeviceFaultInfoEXT");
        if (r == 0 && wanted->address.bufferDeviceAddress)
                device->buffer_address = (PFN_vkGetBufferDeviceAddressKHR)vkGetDeviceProcAddr(
                                device->device, "vkGetBufferDeviceAddressKHR");
        free(wanted);
        return r;
}

static int make_queue(struct qvf_device *device)
{
        VkCommandPoolCreateInfo pool = {
                .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                .queueFamilyIndex = device->queue_family,
        };

        vkGetDeviceQueue(device->device, device->queue_family, 0, &device->queue);
        device->host_pointer_properties = (PFN_vkGetMemoryHostPointerPropertiesEXT)vkGetDeviceProcAddr(
                        device->device, "vkGetMemoryHostPointerPropertiesEXT");
        return vk_errno(device, vkCreateCommandPool(device->device, &pool, NULL, &device->commands),
                        "making a command pool");
}

static int open_device(struct qvf_device *device, uint32_t index)
{
        VkPhysicalDevice devices[VK_DEVICES_MOST];
        int r = vk_instance_new(&device->host, &device->instance);

        if (r < 0)
                return r;
        if (index >= vk_devices(device->instance, devices))
                return -ENODEV;
        device->physical = devices[index];
        vkGetPhysicalDeviceMemoryProperties(device->physical, &device->memory);
        r = find_queue(device);
        r = r < 0 ? r : make_device(device);
        if (r < 0)
                return r;
        vk_limits_read(device->physical, &device->limits);
        vk_limits_cut(&device->host, &device->limits, &device->features);
        device->cost_per_ms = device->features.software ? FIRST_COST_PER_MS_SOFTWARE : FIRST_COST_PER_MS;
        device->chunk_cost = (uint64_t)(device->cost_per_ms * device->submission_ms / 2);
        r = make_queue(device);
        r = r < 0 ? r : vk_pipelines_new(device, &device->pipelines);
        r = r < 0 ? r : vk_staging_new(device, &device->staging);
        r = r < 0 ? r : vk_fma_probe(device);
        r = r < 0 ? r : vk_runner_new(device, &device->runner);
        return r < 0 ? r : vk_walk_try(device);
}

static void tell_features(const struct qvf_device *device)
{
        const struct vk_features *f = &device->features;

        vk_log(&device->host, 3,
                        "vulkan:%s%s%s%s%s%s, fma rounds %s, subgroup %u, bindings to %llu MiB, %u KiB "
                        "shared",
                        f->float16 ? " f16" : "", f->int8 ? " int8" : "", f->dot_product ? " dot" : "",
                        f->subgroup ? " subgroups" : "", f->matrix_int8 ? " int8-matrices" : "",
                        f->matrix_float16 ? " f16-matrices" : "", f->fused ? "once" : "twice",
                        f->subgroup_size, (unsigned long long)(device->limits.range >> 20),
                        device->limits.shared >> 10);
}

int vk_device_open(const struct qvf_host *host, uint32_t index, const struct qvf_device_options *options,
                struct qvf_device **ret_device)
{
        struct qvf_device *device;
        int r;

        if (host->size < sizeof(*host))
                return -EINVAL;
        device = host->alloc(host->context, sizeof(*device), 64);
        if (!device)
                return -ENOMEM;
        memset(device, 0, sizeof(*device));
        device->host = *host;
        pthread_mutex_init(&device->queue_mutex, NULL);
        device->submission_ms = options && options->submission_ms ? options->submission_ms : SUBMISSION_MS;
        if (options &&
                        options->size >= offsetof(struct qvf_device_options, cache_folder) +
                                                         sizeof(int32_t) &&
                        options->cache_folder > 0)
                device->cache_folder = fcntl(options->cache_folder, F_DUPFD_CLOEXEC, 3);
        r = open_device(device, index);
        if (r == 0)
                vk_tuned_load(device,
                                options && options->size >= offsetof(struct qvf_device_options,
                                                                            tuning) + sizeof(options->tuning)
                                                ? options->tuning
                                                : NULL);
        if (r < 0) {
                vk_device_close(device);
                return r;
        }
        tell_features(device);
        *ret_device = device;
        return 0;
}

bool vk_device_hangs(const struct qvf_device *device)
{
        return atomic_load(&device->lost) == QVF_RUN_HUNG;
}

/* A lost device may still be at work for a moment: nothing that it uses may go before. One that hangs would not let this
 * end. */
void vk_device_settle(struct qvf_device *device)
{
        if (atomic_load(&device->lost) == QVF_RUN_DEVICE_LOST && !device->settled) {
                vkDeviceWaitIdle(device->device);
                device->settled = true;
        }
}

void vk_device_close(struct qvf_device *device)
{
        struct qvf_host host = device->host;

        vk_runner_free(device->runner);
        if (device->device && !vk_device_hangs(device)) {
                vk_device_settle(device);
                if (!atomic_load(&device->lost))
                        vkDeviceWaitIdle(device->device);
                vk_staging_free(device->staging);
                vk_pipelines_free(device->pipelines);
                if (device->commands)
                        vkDestroyCommandPool(device->device, device->commands, NULL);
                vk_memory_free_blocks(device);
                vkDestroyDevice(device->device, NULL);
        }
        if (device->cache_folder > 0)
                close(device->cache_folder);
        if (device->instance && !vk_device_hangs(device))
                vkDestroyInstance(device->instance, NULL);
        pthread_mutex_destroy(&device->queue_mutex);
        host.free(host.context, device, sizeof(*device));
}

int vk_device_event_fd(struct qvf_device *device)
{
        return vk_runner_event_fd(device->runner);
}

int vk_queue_submit(
                struct qvf_device *device, const VkCommandBuffer *commands, uint32_t count, VkFence fence)
{
        const VkSubmitInfo info = {
                .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                .commandBufferCount = count,
                .pCommandBuffers = commands,
        };
        VkResult result;

        pthread_mutex_lock(&device->queue_mutex);
        result = vkQueueSubmit(device->queue, 1, &info, fence);
        pthread_mutex_unlock(&device->queue_mutex);
        return vk_errno(device, result, "submitting work");
}
