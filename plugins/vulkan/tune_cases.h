/* SPDX-License-Identifier: Apache-2.0 */
/* Small programs that show a way's speed: what models are made of, in shapes of small and middling models. */
#ifndef QVF_PLUGINS_VULKAN_TUNE_CASES_H
#define QVF_PLUGINS_VULKAN_TUNE_CASES_H

#include "plugins/vulkan/vulkan.h"

#define VK_SKETCH_VALUES 128u
#define VK_SKETCH_OPS 256u
#define VK_SKETCH_RESULTS 4u
#define VK_SKETCH_WEIGHT_BYTES                                                                              \
        (40ull << 20) /* of the arena: any codes and numbers; behind it small floats */
#define VK_SKETCH_FLOAT_BYTES (32ull << 20)

struct vk_sketch { /* a program in the making */
        struct qvf_buffer *arena, *indexes;
        struct qvf_value values[VK_SKETCH_VALUES];
        struct qvf_op ops[VK_SKETCH_OPS];
        uint32_t n_values, n_ops, rows;
        uint64_t weight_end, float_end; /* in the arena */
        uint16_t results[VK_SKETCH_RESULTS];
        uint32_t n_results;
        bool failed; /* there was no room */
};

enum vk_case_kind {
        VK_CASE_TOKEN,
        VK_CASE_FORWARD,
        VK_CASE_BACKWARD,
        VK_CASE_THIN,
        VK_CASE_THICK,
        VK_CASE_HEAD,
        VK_CASE_ATTENTION
};

struct vk_case {
        enum vk_case_kind kind;
        uint32_t rows, width, wide; /* wide: the other side of a matrix; positions of attention */
        uint32_t times;             /* one behind the other */
        bool adapter;
};

/* Each time `shift` is one more, all but rows and positions is half as large. The buffers are made by vk_sketch_buffers(). */
void vk_sketch(struct vk_sketch *sketch, const struct vk_case *wanted, uint32_t times, uint32_t shift);
/* Sizes halve so often at most. */
#define VK_SKETCH_SHIFT_MOST 3u

/* The arena, filled with numbers that are the same each time, and what attention looks up. */
int vk_sketch_buffers(
                struct qvf_device *device, struct qvf_buffer **ret_arena, struct qvf_buffer **ret_indexes);
/* Brings the floats that the program may have written over back to what they were. */
int vk_sketch_refill(const struct vk_sketch *sketch);

#endif
