/* SPDX-License-Identifier: Apache-2.0 */
/* What a test that opens the Vulkan plugin by itself gives to it, all but its log. */
#ifndef QVF_TESTS_PLUGINS_VULKAN_HOST_H
#define QVF_TESTS_PLUGINS_VULKAN_HOST_H

#include <stdlib.h>

#ifdef __SANITIZE_ADDRESS__
/* The drivers leak, and are not what is looked for here. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void)
{
        return 1;
}
#endif

static void *host_alloc(void *context, size_t bytes, size_t alignment)
{
        (void)context;
        return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void host_free(void *context, void *memory, size_t bytes)
{
        (void)context;
        (void)bytes;
        free(memory);
}

#endif
