/* SPDX-License-Identifier: Apache-2.0 */
/* One file for each device and driver: its checksum, then what the driver gave. Drivers trust what they are given, so
 * a file that is not as it was written is not shown to them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/atomic_file.h"
#include "common/cleanup.h"
#include "common/sha256.h"
#include "plugins/vulkan/vulkan.h"

#define CACHE_BYTES_MOST (256u << 20)

static void name_of(const struct qvf_device *device, char name[64])
{
        VkPhysicalDeviceProperties properties;
        int at;

        vkGetPhysicalDeviceProperties(device->physical, &properties);
        at = snprintf(name, 64, "vulkan-");
        for (unsigned i = 0; i < VK_UUID_SIZE; i++)
                at += snprintf(name + at, 64 - (size_t)at, "%02x", properties.pipelineCacheUUID[i]);
        snprintf(name + at, 64 - (size_t)at, ".shaders");
}

/* The bytes behind a good checksum, to be freed; NULL: none. */
static void *read_checked(int folder, const char *name, size_t *ret_bytes)
{
        _cleanup_close_ int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        uint8_t stored[QVF_SHA256_BYTES], digest[QVF_SHA256_BYTES];
        _cleanup_free_ uint8_t *bytes = NULL;
        struct stat status;
        size_t length;

        if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) ||
                        status.st_size <= (off_t)sizeof(stored) || status.st_size > CACHE_BYTES_MOST)
                return NULL;
        length = (size_t)status.st_size - sizeof(stored);
        bytes = malloc(length);
        if (!bytes || pread(fd, stored, sizeof(stored), 0) != (ssize_t)sizeof(stored) ||
                        pread(fd, bytes, length, sizeof(stored)) != (ssize_t)length)
                return NULL;
        qvf_sha256(bytes, length, digest);
        if (memcmp(digest, stored, sizeof(digest)) != 0)
                return NULL;
        *ret_bytes = length;
        return QVF_TAKE(bytes);
}

int vk_pipeline_cache_load(struct qvf_device *device, int folder, VkPipelineCache *ret_cache)
{
        VkPipelineCacheCreateInfo info = { .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO };
        _cleanup_free_ void *bytes = NULL;
        char name[64];
        int r;

        name_of(device, name);
        if (folder > 0)
                bytes = read_checked(folder, name, &info.initialDataSize);
        info.pInitialData = bytes;
        r = vk_errno(device, vkCreatePipelineCache(device->device, &info, NULL, ret_cache),
                        "opening the pipeline cache");
        if (r == 0 || !bytes)
                return r;
        info.initialDataSize = 0;
        return vk_errno(device, vkCreatePipelineCache(device->device, &info, NULL, ret_cache),
                        "making a pipeline cache");
}

void vk_pipeline_cache_store(struct qvf_device *device, int folder, VkPipelineCache cache)
{
        _cleanup_free_ uint8_t *file = NULL;
        struct qvf_error error = { 0 };
        size_t length = 0;
        char name[64];

        if (folder <= 0 || atomic_load(&device->lost) ||
                        vkGetPipelineCacheData(device->device, cache, &length, NULL) != VK_SUCCESS ||
                        length == 0 || length > CACHE_BYTES_MOST)
                return;
        file = malloc(QVF_SHA256_BYTES + length);
        if (!file || vkGetPipelineCacheData(device->device, cache, &length, file + QVF_SHA256_BYTES) !=
                                        VK_SUCCESS)
                return;
        qvf_sha256(file + QVF_SHA256_BYTES, length, file);
        name_of(device, name);
        if (qvf_atomic_file_put(folder, name, 0600, file, QVF_SHA256_BYTES + length, &error) < 0)
                vk_log(&device->host, 2, "vulkan: compiled shaders are not kept: %s", error.text);
}
