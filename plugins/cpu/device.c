/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/checked.h"
#include "plugins/cpu/cpu.h"

#define MOST_THREADS 256u
#define HUGE_PAGE ((uintptr_t)2 << 20)
#define BUFFER_ALIGNMENT 256u /* a cache line, and as the planner aligns values */

int cpu_device_open(const struct qvf_host *host, uint32_t index, const struct qvf_device_options *options,
                struct qvf_device **ret_device)
{
        struct cpu_choice choice = cpu_choose();
        unsigned threads = options && options->threads ? options->threads : choice.threads;
        struct qvf_device *device;
        pthread_condattr_t attributes;

        if (index != 0)
                return -ENODEV;
        if (host->size < sizeof(*host) || threads > MOST_THREADS)
                return -EINVAL;
        device = host->alloc(host->context, sizeof(*device), 64);
        if (!device)
                return -ENOMEM;
        *device = (struct qvf_device){
                .host = *host,
                .n_threads = threads,
                .spare_cpus = threads<choice.cpus, .crowded = threads> choice.cpus,
                .levels = cpu_level_allowed(host),
                .event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        };
        if (device->event_fd < 0) {
                int r = -errno;

                host->free(host->context, device, sizeof(*device));
                return r;
        }
        pthread_mutex_init(&device->mutex, NULL);
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&device->changed, &attributes);
        pthread_condattr_destroy(&attributes);
        cpu_log(host, 3, "cpu: %u threads, kernels up to %s", threads, cpu_level_highest(device->levels));
        *ret_device = device;
        return 0;
}

void cpu_device_close(struct qvf_device *device)
{
        struct qvf_host host = device->host;

        while (device->pools)
                device->pools = cpu_pool_free(device->pools);
        pthread_cond_destroy(&device->changed);
        pthread_mutex_destroy(&device->mutex);
        close(device->event_fd);
        host.free(host.context, device, sizeof(*device));
}

int cpu_device_event_fd(struct qvf_device *device)
{
        return device->event_fd;
}

static int make_buffer(struct qvf_device *device, void *memory, uint64_t bytes, bool imported,
                struct qvf_buffer **ret_buffer)
{
        struct qvf_buffer *buffer = device->host.alloc(device->host.context, sizeof(*buffer), 64);

        if (!buffer)
                return -ENOMEM;
        *buffer = (struct qvf_buffer){ device, memory, bytes, imported };
        *ret_buffer = buffer;
        return 0;
}

/* Where the system allows it, the part that fills whole huge pages is made of them: no page of it stays untouched, so
 * that this takes no more memory. */
static void prefer_huge_pages(void *memory, uint64_t bytes)
{
        uintptr_t first = ((uintptr_t)memory + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
        uintptr_t end = ((uintptr_t)memory + bytes) / HUGE_PAGE * HUGE_PAGE;

        if (first < end)
                (void)madvise((void *)first, end - first, MADV_HUGEPAGE); /* advice: nothing hangs on it */
}

int cpu_buffer_new(struct qvf_device *device, uint64_t bytes, uint32_t use, struct qvf_buffer **ret_buffer)
{
        uint64_t padded;
        void *memory;
        int r;

        (void)use; /* it is all one memory */
        if (bytes == 0 || !qvf_align_u64(bytes, BUFFER_ALIGNMENT, &padded) || padded > PTRDIFF_MAX)
                return -EINVAL;
        memory = device->host.alloc(device->host.context, padded, BUFFER_ALIGNMENT);
        if (!memory)
                return -ENOMEM;
        prefer_huge_pages(memory, padded);
        memset(memory, 0, padded);
        r = make_buffer(device, memory, bytes, false, ret_buffer);
        if (r < 0)
                device->host.free(device->host.context, memory, padded);
        return r;
}

int cpu_buffer_import(struct qvf_device *device, const void *memory, uint64_t bytes,
                struct qvf_buffer **ret_buffer)
{
        if (!memory || bytes == 0 || (uintptr_t)memory % 4)
                return -EINVAL;
        return make_buffer(device, (void *)(uintptr_t)memory, bytes, true, ret_buffer);
}

void cpu_buffer_free(struct qvf_buffer *buffer)
{
        struct qvf_host *host;

        if (!buffer)
                return;
        host = &buffer->device->host;
        if (!buffer->imported) /* as it was padded when it was made */
                host->free(host->context, buffer->memory,
                                (buffer->bytes + BUFFER_ALIGNMENT - 1) / BUFFER_ALIGNMENT *
                                                BUFFER_ALIGNMENT);
        host->free(host->context, buffer, sizeof(*buffer));
}

static bool within(const struct qvf_buffer *buffer, uint64_t offset, uint64_t length)
{
        return offset <= buffer->bytes && length <= buffer->bytes - offset;
}

int cpu_buffer_upload(struct qvf_buffer *buffer, uint64_t offset, const void *bytes, uint64_t length)
{
        if (!within(buffer, offset, length) || buffer->imported)
                return -EINVAL;
        memcpy((char *)buffer->memory + offset, bytes, length);
        return 0;
}

int cpu_buffer_download(struct qvf_buffer *buffer, uint64_t offset, void *bytes, uint64_t length)
{
        if (!within(buffer, offset, length))
                return -EINVAL;
        memcpy(bytes, (char *)buffer->memory + offset, length);
        return 0;
}

void *cpu_buffer_map(struct qvf_buffer *buffer)
{
        return buffer->memory;
}
