/* SPDX-License-Identifier: Apache-2.0 */
/* Small files in the folder that the host named, one of each kind for each device and driver: a checksum, then what was
 * kept. A file that is not as it was written is not shown to anybody. */
#include "plugins/vulkan/kept.h"

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

#define NAME_MOST 64u

static void name_of(const struct qvf_device *device, const char *kind, char name[NAME_MOST])
{
        VkPhysicalDeviceProperties properties;
        int at;

        vkGetPhysicalDeviceProperties(device->physical, &properties);
        at = snprintf(name, NAME_MOST, "vulkan-");
        for (unsigned i = 0; i < VK_UUID_SIZE; i++)
                at += snprintf(name + at, NAME_MOST - (size_t)at, "%02x", properties.pipelineCacheUUID[i]);
        snprintf(name + at, NAME_MOST - (size_t)at, ".%s", kind);
}

void *vk_kept_read(const struct qvf_device *device, const char *kind, size_t bytes_most, size_t *ret_bytes)
{
        uint8_t stored[QVF_SHA256_BYTES], digest[QVF_SHA256_BYTES];
        _cleanup_free_ uint8_t *bytes = NULL;
        _cleanup_close_ int fd = -1;
        char name[NAME_MOST];
        struct stat status;
        size_t length;

        if (device->cache_folder <= 0)
                return NULL;
        name_of(device, kind, name);
        fd = openat(device->cache_folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) ||
                        status.st_size <= (off_t)sizeof(stored) ||
                        (uint64_t)status.st_size - sizeof(stored) > bytes_most)
                return NULL;
        length = (size_t)status.st_size - sizeof(stored);
        bytes = malloc(length + 1);
        if (!bytes || pread(fd, stored, sizeof(stored), 0) != (ssize_t)sizeof(stored) ||
                        pread(fd, bytes, length, sizeof(stored)) != (ssize_t)length)
                return NULL;
        qvf_sha256(bytes, length, digest);
        if (memcmp(digest, stored, sizeof(digest)) != 0) {
                vk_log(&device->host, 1, "vulkan: %s is damaged and is not used", name);
                return NULL;
        }
        bytes[length] = 0;
        *ret_bytes = length;
        return QVF_TAKE(bytes);
}

int vk_kept_write(const struct qvf_device *device, const char *kind, uint8_t *file, size_t length)
{
        struct qvf_error error = { 0 };
        char name[NAME_MOST];
        int r;

        if (device->cache_folder <= 0)
                return 0;
        qvf_sha256(file + QVF_SHA256_BYTES, length, file);
        name_of(device, kind, name);
        r = qvf_atomic_file_put(device->cache_folder, name, 0600, file, QVF_SHA256_BYTES + length, &error);
        if (r < 0)
                vk_log(&device->host, 2, "vulkan: %s is not kept: %s", name, error.text);
        return r;
}
