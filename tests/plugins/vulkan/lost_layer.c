/* SPDX-License-Identifier: Apache-2.0 */
/* A Vulkan layer for tests: the device is lost at the QVF_TEST_LOST_AT-th submission, and VK_EXT_device_fault, which the
 * layer brings along, tells why. One instance, one device. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#define EXPORT __attribute__((visibility("default")))

static PFN_vkGetInstanceProcAddr next_instance_address;
static PFN_vkGetDeviceProcAddr next_device_address;
static PFN_vkGetPhysicalDeviceFeatures2 next_features;
static PFN_vkEnumerateDeviceExtensionProperties next_extensions;
static PFN_vkQueueSubmit next_submit;
static PFN_vkWaitForFences next_wait;
static long submissions;

static bool is_lost(void)
{
        const char *at = getenv("QVF_TEST_LOST_AT");

        return at && submissions >= atol(at);
}

static VKAPI_ATTR VkResult VKAPI_CALL lose_submit(
                VkQueue queue, uint32_t count, const VkSubmitInfo *infos, VkFence fence)
{
        submissions++;
        return is_lost() ? VK_ERROR_DEVICE_LOST : next_submit(queue, count, infos, fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL lose_wait(
                VkDevice device, uint32_t count, const VkFence *fences, VkBool32 all, uint64_t timeout)
{
        return is_lost() ? VK_ERROR_DEVICE_LOST : next_wait(device, count, fences, all, timeout);
}

static VKAPI_ATTR VkResult VKAPI_CALL tell_fault(
                VkDevice device, VkDeviceFaultCountsEXT *counts, VkDeviceFaultInfoEXT *info)
{
        (void)device;
        if (info) {
                strcpy(info->description, "lost by the test");
                info->pAddressInfos[0] = (VkDeviceFaultAddressInfoEXT){
                        .addressType = VK_DEVICE_FAULT_ADDRESS_TYPE_READ_INVALID_EXT,
                        .reportedAddress = 0xabc000,
                        .addressPrecision = 0x1000,
                };
        }
        counts->addressInfoCount = 1;
        counts->vendorInfoCount = 0;
        return VK_SUCCESS;
}

/* In a chain of features: the driver below does not know this one. */
static void set_fault_feature(const void *chain, VkBool32 is)
{
        for (VkBaseOutStructure *s = (void *)(uintptr_t)chain; s; s = s->pNext)
                if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FAULT_FEATURES_EXT)
                        ((VkPhysicalDeviceFaultFeaturesEXT *)(void *)s)->deviceFault = is;
}

static VKAPI_ATTR void VKAPI_CALL get_features(
                VkPhysicalDevice physical, VkPhysicalDeviceFeatures2 *features)
{
        next_features(physical, features);
        set_fault_feature(features->pNext, VK_TRUE);
}

static VKAPI_ATTR VkResult VKAPI_CALL list_extensions(
                VkPhysicalDevice physical, const char *layer, uint32_t *count, VkExtensionProperties *list)
{
        uint32_t room = list ? *count : 0;
        VkResult result = next_extensions(physical, layer, count, list);

        if (result != VK_SUCCESS)
                return result;
        if (list && *count == room)
                return VK_INCOMPLETE;
        if (list)
                list[*count] = (VkExtensionProperties){ VK_EXT_DEVICE_FAULT_EXTENSION_NAME, 1 };
        ++*count;
        return VK_SUCCESS;
}

/* The link of the chain that belongs to this layer. */
static void *find_link(const void *chain, VkStructureType type, VkLayerFunction function)
{
        const VkLayerInstanceCreateInfo *info = chain;

        while (info && (info->sType != type || info->function != function))
                info = info->pNext;
        return (void *)(uintptr_t)info;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo *info,
                const VkAllocationCallbacks *allocator, VkInstance *ret_instance)
{
        VkLayerInstanceCreateInfo *link = find_link(
                        info->pNext, VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO, VK_LAYER_LINK_INFO);
        PFN_vkCreateInstance next;
        VkResult result;

        if (!link)
                return VK_ERROR_INITIALIZATION_FAILED;
        next_instance_address = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
        link->u.pLayerInfo = link->u.pLayerInfo->pNext;
        next = (PFN_vkCreateInstance)next_instance_address(NULL, "vkCreateInstance");
        result = next(info, allocator, ret_instance);
        if (result != VK_SUCCESS)
                return result;
        next_features = (PFN_vkGetPhysicalDeviceFeatures2)next_instance_address(
                        *ret_instance, "vkGetPhysicalDeviceFeatures2");
        next_extensions = (PFN_vkEnumerateDeviceExtensionProperties)next_instance_address(
                        *ret_instance, "vkEnumerateDeviceExtensionProperties");
        return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical,
                const VkDeviceCreateInfo *info, const VkAllocationCallbacks *allocator, VkDevice *ret_device)
{
        VkLayerDeviceCreateInfo *link = find_link(
                        info->pNext, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO, VK_LAYER_LINK_INFO);
        PFN_vkCreateDevice next;
        VkResult result;

        if (!link)
                return VK_ERROR_INITIALIZATION_FAILED;
        next = (PFN_vkCreateDevice)link->u.pLayerInfo->pfnNextGetInstanceProcAddr(NULL, "vkCreateDevice");
        next_device_address = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
        link->u.pLayerInfo = link->u.pLayerInfo->pNext;
        set_fault_feature(info->pNext, VK_FALSE);
        result = next(physical, info, allocator, ret_device);
        set_fault_feature(info->pNext, VK_TRUE);
        if (result == VK_SUCCESS) {
                next_submit = (PFN_vkQueueSubmit)next_device_address(*ret_device, "vkQueueSubmit");
                next_wait = (PFN_vkWaitForFences)next_device_address(*ret_device, "vkWaitForFences");
        }
        return result;
}

static PFN_vkVoidFunction ours(const char *name);

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL device_address(VkDevice device, const char *name)
{
        PFN_vkVoidFunction function = ours(name);

        return function ? function : next_device_address(device, name);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL instance_address(VkInstance instance, const char *name)
{
        PFN_vkVoidFunction function = ours(name);

        return function ? function : next_instance_address ? next_instance_address(instance, name) : NULL;
}

static PFN_vkVoidFunction ours(const char *name)
{
        static const struct {
                const char *name;
                PFN_vkVoidFunction function;
        } all[] = {
                { "vkCreateInstance", (PFN_vkVoidFunction)create_instance },
                { "vkCreateDevice", (PFN_vkVoidFunction)create_device },
                { "vkGetDeviceFaultInfoEXT", (PFN_vkVoidFunction)tell_fault },
                { "vkEnumerateDeviceExtensionProperties", (PFN_vkVoidFunction)list_extensions },
                { "vkGetPhysicalDeviceFeatures2", (PFN_vkVoidFunction)get_features },
                { "vkQueueSubmit", (PFN_vkVoidFunction)lose_submit },
                { "vkWaitForFences", (PFN_vkVoidFunction)lose_wait },
                { "vkGetDeviceProcAddr", (PFN_vkVoidFunction)device_address },
                { "vkGetInstanceProcAddr", (PFN_vkVoidFunction)instance_address },
        };

        for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
                if (strcmp(all[i].name, name) == 0)
                        return all[i].function;
        return NULL;
}

EXPORT VKAPI_ATTR VkResult VKAPI_CALL vkNegotiateLoaderLayerInterfaceVersion(
                VkNegotiateLayerInterface *version);

EXPORT VKAPI_ATTR VkResult VKAPI_CALL vkNegotiateLoaderLayerInterfaceVersion(
                VkNegotiateLayerInterface *version)
{
        if (version->loaderLayerInterfaceVersion > 2)
                version->loaderLayerInterfaceVersion = 2;
        version->pfnGetInstanceProcAddr = instance_address;
        version->pfnGetDeviceProcAddr = device_address;
        version->pfnGetPhysicalDeviceProcAddr = NULL;
        return VK_SUCCESS;
}
