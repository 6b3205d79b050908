/* SPDX-License-Identifier: Apache-2.0 */
/* A program in the making. */
#ifndef QVF_PLUGINS_VULKAN_BUILD_H
#define QVF_PLUGINS_VULKAN_BUILD_H

#include "plugins/vulkan/vulkan.h"

#define VK_TOUCHED_MOST 96u
#define VK_LATER_MOST 16u

struct vk_walk;        /* walk.h */
struct vk_walk_needs { /* of a whole program, counted */
        uint32_t steps;
        uint64_t words; /* of the exchange */
};

struct vk_scratch_slot {
        struct qvf_value value;
        struct qvf_buffer *buffer;
        uint64_t bytes, end; /* needed; of what was given last */
};

struct vk_touched {                      /* read or written since the last barrier */
        const struct qvf_buffer *buffer; /* NULL: whatever there is */
        uint64_t begin, end;
        bool written;
};

struct vk_build {
        struct qvf_device *device;
        struct qvf_program *program; /* NULL: counting only */
        VkCommandBuffer commands;
        int failure;
        struct vk_scratch_slot scratch[VK_SCRATCH_SLOTS];
        uint32_t *last_use; /* of each value: the operation */
        uint32_t n_dispatches, n_chunks, n_barriers;
        uint32_t in_chunk;
        uint64_t chunk_cost;
        struct vk_trace trace;
        struct vk_touched touched[VK_TOUCHED_MOST];
        uint32_t n_touched;
        struct vk_later { /* recorded behind the next barrier */
                struct vk_dispatch dispatch;
                struct qvf_value values[VK_BINDINGS]; /* its own: scratch memory goes to others meanwhile */
        } later[VK_LATER_MOST];
        uint32_t n_later;
        bool filled;          /* something, since the last barrier */
        struct vk_walk *walk; /* NULL: not on this device */
        struct vk_walk_needs walk_needs;
};

int vk_build_end_chunk(struct vk_build *build);

#endif
