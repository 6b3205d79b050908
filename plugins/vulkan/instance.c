/* SPDX-License-Identifier: Apache-2.0 */
/* The loader's instance and the devices that it knows. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "plugins/vulkan/vulkan.h"

void vk_log(const struct qvf_host *host, int level, const char *format, ...)
{
        char line[512];
        va_list list;

        if (!host->log)
                return;
        va_start(list, format);
        vsnprintf(line, sizeof(line), format, list);
        va_end(list);
        host->log(host->context, level, line);
}

int vk_errno(struct qvf_device *device, VkResult result, const char *what)
{
        if (result >= 0)
                return 0;
        vk_log(&device->host, 0, "vulkan: %s failed: VkResult %d", what, (int)result);
        if (result == VK_ERROR_DEVICE_LOST) {
                if (atomic_exchange(&device->lost, QVF_RUN_DEVICE_LOST) == 0)
                        vk_fault_log(device);
                return -ENODEV;
        }
        if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY)
                return -ENOMEM;
        return -EIO;
}

int vk_instance_new(const struct qvf_host *host, VkInstance *ret_instance)
{
        static const VkApplicationInfo application = {
                .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                .pApplicationName = "qvf",
                .apiVersion = VK_API_VERSION_1_3,
        };
        const VkInstanceCreateInfo info = {
                .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                .pApplicationInfo = &application,
        };
        VkResult result = vkCreateInstance(&info, NULL, ret_instance);

        if (result == VK_SUCCESS)
                return 0;
        vk_log(host, 2, "vulkan: no driver can be used (VkResult %d)", (int)result);
        return -ENODEV;
}

static int rank(VkPhysicalDevice physical)
{
        VkPhysicalDeviceProperties properties;

        vkGetPhysicalDeviceProperties(physical, &properties);
        switch (properties.deviceType) {
        case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return 4;
        case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return 3;
        case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return 2;
        default: return 1;
        }
}

static bool computes(VkPhysicalDevice physical)
{
        VkQueueFamilyProperties families[16];
        uint32_t count = 16;
        VkPhysicalDeviceProperties properties;

        vkGetPhysicalDeviceProperties(physical, &properties);
        if (properties.apiVersion < VK_API_VERSION_1_1)
                return false;
        vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
        for (uint32_t i = 0; i < count; i++)
                if (families[i].queueFlags & VK_QUEUE_COMPUTE_BIT)
                        return true;
        return false;
}

uint32_t vk_devices(VkInstance instance, VkPhysicalDevice devices[VK_DEVICES_MOST])
{
        VkPhysicalDevice all[VK_DEVICES_MOST];
        uint32_t n_all = VK_DEVICES_MOST, count = 0;
        VkResult result = vkEnumeratePhysicalDevices(instance, &n_all, all);

        if (result != VK_SUCCESS && result != VK_INCOMPLETE)
                return 0;
        for (int wanted = 4; wanted > 0; wanted--)
                for (uint32_t i = 0; i < n_all; i++)
                        if (rank(all[i]) == wanted && computes(all[i]))
                                devices[count++] = all[i];
        return count;
}

static uint32_t kind_of(VkPhysicalDeviceType type)
{
        switch (type) {
        case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return QVF_DEVICE_DISCRETE;
        case VK_PHYSICAL_DEVICE_TYPE_CPU: return QVF_DEVICE_SOFTWARE;
        default: return QVF_DEVICE_INTEGRATED;
        }
}

bool vk_has_extension(VkPhysicalDevice physical, const char *name)
{
        static VkExtensionProperties properties[512];
        uint32_t count = 512;

        if (vkEnumerateDeviceExtensionProperties(physical, NULL, &count, properties) < 0)
                return false;
        for (uint32_t i = 0; i < count; i++)
                if (!strcmp(properties[i].extensionName, name))
                        return true;
        return false;
}

static void tell_memory(VkPhysicalDevice physical, struct qvf_device_info *info)
{
        VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
                .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT,
        };
        VkPhysicalDeviceMemoryProperties2 memory = {
                .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
        };
        bool with_budget = vk_has_extension(physical, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);

        memory.pNext = with_budget ? &budget : NULL;
        vkGetPhysicalDeviceMemoryProperties2(physical, &memory);
        for (uint32_t i = 0; i < memory.memoryProperties.memoryHeapCount; i++) {
                if (!(memory.memoryProperties.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT))
                        continue;
                if (memory.memoryProperties.memoryHeaps[i].size <= info->memory_bytes)
                        continue;
                info->memory_bytes = memory.memoryProperties.memoryHeaps[i].size;
                if (with_budget && info->kind == QVF_DEVICE_DISCRETE)
                        info->memory_free_bytes =
                                        budget.heapBudget[i] > budget.heapUsage[i]
                                                        ? budget.heapBudget[i] - budget.heapUsage[i]
                                                        : 0;
        }
}

void vk_describe(VkPhysicalDevice physical, struct qvf_device_info *ret_info)
{
        VkPhysicalDeviceDriverProperties driver = {
                .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES,
        };
        VkPhysicalDeviceMaintenance3Properties most = {
                .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES,
        };
        VkPhysicalDeviceIDProperties id = {
                .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES,
                .pNext = &most,
        };
        VkPhysicalDeviceProperties2 properties = {
                .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                .pNext = &id,
        };
        struct qvf_device_info info = { .size = sizeof(info), .layout_version = 1 };
        int at;

        if (vk_has_extension(physical, VK_KHR_DRIVER_PROPERTIES_EXTENSION_NAME))
                most.pNext = &driver;
        vkGetPhysicalDeviceProperties2(physical, &properties);
        info.kind = kind_of(properties.properties.deviceType);
        at = snprintf(info.id, sizeof(info.id), "vulkan-");
        for (unsigned i = 0; i < VK_UUID_SIZE && at < (int)sizeof(info.id) - 2; i++)
                at += snprintf(info.id + at, sizeof(info.id) - (size_t)at, "%02x", id.deviceUUID[i]);
        snprintf(info.name, sizeof(info.name), "%.120s", properties.properties.deviceName);
        snprintf(info.driver, sizeof(info.driver), "%.60s %.40s (0x%x)", driver.driverName,
                        driver.driverInfo, properties.properties.driverVersion);
        info.largest_buffer_bytes = most.maxMemoryAllocationSize;
        info.unified_memory = info.kind != QVF_DEVICE_DISCRETE;
        if (info.unified_memory && vk_has_extension(physical, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME))
                info.import_alignment = 4096;
        tell_memory(physical, &info);
        *ret_info = info;
}

int vk_probe(const struct qvf_host *host, struct qvf_device_info *infos, uint32_t capacity,
                uint32_t *ret_count)
{
        VkPhysicalDevice devices[VK_DEVICES_MOST];
        VkInstance instance;
        uint32_t count;

        if (host->size < sizeof(*host))
                return -EINVAL;
        *ret_count = 0;
        if (vk_instance_new(host, &instance) < 0)
                return 0;
        count = vk_devices(instance, devices);
        for (uint32_t i = 0; i < count && i < capacity; i++)
                vk_describe(devices[i], &infos[i]);
        *ret_count = count < capacity ? count : capacity;
        vkDestroyInstance(instance, NULL);
        return 0;
}
