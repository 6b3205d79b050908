/* SPDX-License-Identifier: Apache-2.0 */
/* Drivers trust what they are given: only what kept.c finds as it was written is shown to them. */
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/sha256.h"
#include "plugins/vulkan/kept.h"
#include "plugins/vulkan/vulkan.h"

#define KIND "shaders"
#define CACHE_BYTES_MOST (256u << 20)

int vk_pipeline_cache_load(struct qvf_device *device, VkPipelineCache *ret_cache)
{
        VkPipelineCacheCreateInfo info = { .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO };
        _cleanup_free_ void *bytes = vk_kept_read(device, KIND, CACHE_BYTES_MOST, &info.initialDataSize);
        int r;

        info.pInitialData = bytes;
        r = vk_errno(device, vkCreatePipelineCache(device->device, &info, NULL, ret_cache),
                        "opening the pipeline cache");
        if (r == 0 || !bytes)
                return r;
        info.initialDataSize = 0;
        return vk_errno(device, vkCreatePipelineCache(device->device, &info, NULL, ret_cache),
                        "making a pipeline cache");
}

void vk_pipeline_cache_store(struct qvf_device *device, VkPipelineCache cache)
{
        _cleanup_free_ uint8_t *file = NULL;
        size_t length = 0;

        if (device->cache_folder <= 0 || atomic_load(&device->lost) ||
                        vkGetPipelineCacheData(device->device, cache, &length, NULL) != VK_SUCCESS ||
                        length == 0 || length > CACHE_BYTES_MOST)
                return;
        file = malloc(QVF_SHA256_BYTES + length);
        if (file && vkGetPipelineCacheData(device->device, cache, &length, file + QVF_SHA256_BYTES) ==
                                        VK_SUCCESS)
                vk_kept_write(device, KIND, file, length);
}
