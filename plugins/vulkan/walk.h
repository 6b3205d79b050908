/* SPDX-License-Identifier: Apache-2.0 */
/* A token's way through many layers in one dispatch. Each step needs all that the one before it made, and a dispatch for
 * each waits several microseconds for the device to drain and fill again, however small the step. Instead as many
 * workgroups as the device holds at once go through all steps together, and hand each other numbers as soon as they are
 * made (shaders/walk.glsl).
 *
 * Vulkan does not promise that workgroups go on side by side: a device walks only if it tells how many cores it has and a
 * trial at its opening went well (walk_trial.c). Every wait is bounded. A run whose workgroups gave up begins anew in
 * dispatches, and nothing walks on this device any more (stand.h); one that may not begin anew ends as hung. */
#ifndef QVF_PLUGINS_VULKAN_WALK_H
#define QVF_PLUGINS_VULKAN_WALK_H

#include "plugins/vulkan/build.h"

enum { VK_STEP_PRODUCTS, VK_STEP_ATTENTION }; /* as in walk.glsl */
enum { VK_STEP_SILU = 2, VK_STEP_NORMALISES = 4, VK_STEP_ADDS = 8, VK_STEP_PAIRED = 16 };

#define VK_WALK_STEPS_MOST 256u /* of one walk: 64 KiB, which a uniform buffer may have nearly everywhere */

struct vk_walk_step { /* 64 words; as in walk.glsl */
        uint32_t kind, columns, rows[3], flags, lanes, blocks;
        float scale[3], epsilon, kept, added;
        uint32_t input[3], made[3], spans;                               /* words of the exchange */
        uint32_t each[3];                                                /* rows of a workgroup */
        uint64_t row_at, addend_at, norm_at, matrix_at[3], result_at[3]; /* 0: nothing */
        uint64_t index_at, keys_at, values_at, paired_at;
        uint32_t groups[3]; /* workgroups of each part */
        uint32_t shift, of_row, turns, loads[3];
        float inverse;
        uint32_t rest[4];
};

/* What is the same in all steps of a walk. */
struct vk_walk_frame {
        uint32_t layout, head_size; /* 0: not known yet */
        bool of_outputs;            /* of rows that have outputs, as are all steps behind */
        const struct qvf_value *position, *sequence, *place, *table, *frequency;
        uint32_t interleaved, window;
        float turn, magnitude, score;
};

int vk_walk_new(struct vk_build *build, const struct qvf_program_desc *desc);
struct vk_walk *vk_walk_free(struct vk_walk *walk);
/* Emits what was gathered, if anything was. */
void vk_walk_end(struct vk_build *build);

/* Where a value stands that a step of the present walk made; false: nowhere. */
bool vk_walk_find(const struct vk_walk *walk, const struct vk_operand *operand, uint32_t *ret_word);
/* The walk's frame if it has one of this kind or can take it up; false: it must end first. */
bool vk_walk_agrees(const struct vk_walk *walk, const struct vk_walk_frame *frame);
/* Room for a step; its results are what `calls` make as operand 0 of each; `last` is the
 * place of its last operation. NULL: no. */
struct vk_walk_step *vk_walk_add(struct vk_build *build, const struct vk_walk_frame *frame,
                const struct vk_call *const calls[], uint32_t count, uint32_t last, uint32_t columns,
                uint64_t cost);
/* Words of the exchange for a step's own use, beginning at a multiple of four. */
uint32_t vk_walk_words(struct vk_build *build, uint64_t words);
/* `operand` is found where `source` stands. */
bool vk_walk_alias(struct vk_build *build, const struct vk_call *call, const struct vk_operand *source);
/* Workgroups, and invocations of each. */
uint32_t vk_walk_groups(const struct vk_build *build);
uint32_t vk_walk_threads(const struct vk_build *build);
/* 0 while the program is only counted. */
uint64_t vk_walk_address(const struct vk_build *build, const struct qvf_value *value);

/* The buffers of a program. */
uint64_t vk_walk_bytes(const struct vk_walk_needs *needs);
int vk_walk_prepare(struct qvf_program *program, const struct vk_walk_needs *needs);
void vk_walk_release(struct qvf_program *program);
/* Whether the last run's workgroups gave up. */
bool vk_walk_failed(const struct qvf_program *program);

/* walk_trial.c: sets device->walk_groups if the device can. */
int vk_walk_try(struct qvf_device *device);
#define VK_WALK_NOT_YET 0x7fd5a3c1u /* as in walk.glsl */
uint32_t vk_walk_looks(const struct qvf_device *device);

#endif
