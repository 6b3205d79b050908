/* SPDX-License-Identifier: Apache-2.0 */
/* The limits that matter, and those of other devices for tests. */
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "plugins/vulkan/vulkan.h"

#define ALIGNMENT_MOST 256u /* of minStorageBufferOffsetAlignment */
#define ALIGNMENT_USUAL 64u
#define RANGE_LEAST 4096u

void vk_limits_read(VkPhysicalDevice physical, struct vk_limits *ret_limits)
{
        VkPhysicalDeviceMaintenance3Properties most = {
                .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES,
        };
        VkPhysicalDeviceProperties2 properties = {
                .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                .pNext = &most,
        };
        const VkPhysicalDeviceLimits *limits = &properties.properties.limits;
        VkPhysicalDeviceSubgroupSizeControlProperties control = {
                .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES,
        };
        VkPhysicalDeviceSubgroupProperties subgroup = {
                .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES,
        };

        if (vk_has_extension(physical, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) {
                most.pNext = &subgroup;
                subgroup.pNext = &control;
        }
        vkGetPhysicalDeviceProperties2(physical, &properties);
        *ret_limits = (struct vk_limits){
                .range = qvf_min_u64(limits->maxStorageBufferRange, most.maxMemoryAllocationSize),
                .uniform = limits->maxUniformBufferRange,
                .shared = limits->maxComputeSharedMemorySize,
                .invocations = (uint32_t)qvf_min_u64(
                                limits->maxComputeWorkGroupInvocations, limits->maxComputeWorkGroupSize[0]),
                .groups = { limits->maxComputeWorkGroupCount[0], limits->maxComputeWorkGroupCount[1],
                                limits->maxComputeWorkGroupCount[2] },
                .alignment = (uint32_t)limits->minStorageBufferOffsetAlignment,
        };
        /* A pipeline that asks for a size of subgroups may have only so many of them. */
        if (control.maxComputeWorkgroupSubgroups > 0)
                ret_limits->invocations = (uint32_t)qvf_min_u64(ret_limits->invocations,
                                (uint64_t)control.maxComputeWorkgroupSubgroups * subgroup.subgroupSize);
        if (ret_limits->alignment < 4)
                ret_limits->alignment = 4;
}

/* QVF_VK_RANGE, for tests: no binding is of more bytes, so that nearly everything is cut. */
static void cut_range(const struct qvf_host *host, struct vk_limits *limits)
{
        const char *wanted = getenv("QVF_VK_RANGE");
        uint64_t bytes = wanted ? strtoull(wanted, NULL, 10) : 0;

        if (!wanted || !*wanted)
                return;
        if (bytes < RANGE_LEAST) {
                vk_log(host, 1, "vulkan: QVF_VK_RANGE=%s is less than %u, and is not heeded", wanted,
                                RANGE_LEAST);
                return;
        }
        limits->range = qvf_min_u64(limits->range, bytes);
        if (limits->alignment < ALIGNMENT_USUAL)
                limits->alignment = ALIGNMENT_USUAL;
}

void vk_limits_cut(const struct qvf_host *host, struct vk_limits *limits, struct vk_features *features)
{
        static const struct {
                const char *name;
                uint64_t range;
                uint32_t shared, invocations, subgroup;
        } others[] = {
                { "adreno", 128u << 20, 32768, 1024, 64 },
                { "mali", 128u << 20, 32768, 512, 16 },
                { "v3d", 128u << 20, 16384, 256, 16 },
        };
        const char *wanted = getenv("QVF_VK_LIMITS");

        cut_range(host, limits);
        if (!wanted || !*wanted)
                return;
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(others); i++) {
                if (strcmp(others[i].name, wanted) != 0)
                        continue;
                limits->range = qvf_min_u64(limits->range, others[i].range);
                limits->shared = (uint32_t)qvf_min_u64(limits->shared, others[i].shared);
                limits->invocations = (uint32_t)qvf_min_u64(limits->invocations, others[i].invocations);
                limits->alignment = ALIGNMENT_MOST;
                for (int axis = 0; axis < 3; axis++)
                        limits->groups[axis] = (uint32_t)qvf_min_u64(limits->groups[axis], 65535);
                /* Subgroups of another size cannot be had: their shaders are left out unless it is this one. */
                *features = (struct vk_features){
                        .software = features->software,
                        .subgroup_size = features->subgroup_size,
                        .subgroup = features->subgroup && features->subgroup_size == others[i].subgroup,
                };
                return;
        }
        vk_log(host, 1, "vulkan: QVF_VK_LIMITS=%s is none of adreno, mali, v3d, and is not heeded", wanted);
}
