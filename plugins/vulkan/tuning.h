/* SPDX-License-Identifier: Apache-2.0 */
/* Where rules of thumb choose how work is cut, numbers that a device may have measured for itself (tune.c). None of them
 * changes a result: tune.c takes no way whose bits are others than the rule's. A record of them is a text that names what
 * it was measured for; what is not as it should be is refused as a whole, and the rules stand. */
#ifndef QVF_PLUGINS_VULKAN_TUNING_H
#define QVF_PLUGINS_VULKAN_TUNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vk_knob {
        VK_TUNE_DECODE_GROUPS,   /* workgroups of a single row's products, about */
        VK_TUNE_WALK_PERCENT,    /* of the cores, that have a workgroup of a walk; 0: dispatches instead */
        VK_TUNE_PROMPT_ROWS,     /* from so many on attention is done in tiles */
        VK_TUNE_PROMPT_STEP,     /* columns of its tiles in shared memory, at most */
        VK_TUNE_ATTENTION_LANES, /* invocations of attention of few rows, at most */
        VK_TUNE_VECTOR_GROUPS,   /* workgroups of few rows' ternary products, about */
        VK_TUNE_VECTOR_LANES,    /* their invocations, at most */
        VK_TUNE_VECTOR_ROWS,     /* up to so many are done so, where there are matrices */
        VK_TUNE_FORWARD_PERCENT, /* of the tiles of a ternary product that are enough for a device */
        VK_TUNE_FORWARD_LARGEST, /* the first of the tilings in ops/ternary_matrix.c that is looked at */
        VK_TUNE_BACKWARD_TILES,  /* of TQ2_0: 0, or another tiling with the same sums, by its place there */
        VK_TUNE_THIN_ROWS,       /* of a narrow product, for each row that a subgroup does at once */
        VK_TUNE_OUTER_PERCENT,   /* of the rows of a thick product that a workgroup does */
        VK_TUNE_HEAD_NUMBERS,    /* of the output head's that a subgroup does */
        VK_KNOBS
};

#define VK_WAYS_MOST 5u

struct vk_tuning {
        uint16_t value[VK_KNOBS];
};

extern const struct vk_tuning vk_tuning_rules; /* what holds where nothing was measured */

const char *vk_knob_name(enum vk_knob knob);
/* The values that it may have, the rule's first; ends before the first that is repeated or after VK_WAYS_MOST. */
uint32_t vk_knob_ways(enum vk_knob knob, uint16_t ret_values[VK_WAYS_MOST]);

struct vk_tuning_key { /* what a record holds for */
        const char *version, *device, *driver;
};

/* Writes a record of the knobs whose bit is set in `measured`. -ENOSPC: `size` is too small. */
int vk_tuning_write(const struct vk_tuning *tuning, uint32_t measured, const struct vk_tuning_key *key,
                char *text, size_t size);
/* -EINVAL: damaged; -ESTALE: of another driver, device or version. Why, in words, is in `ret_words`; the tuning is
 * untouched then. */
int vk_tuning_read(const char *text, const struct vk_tuning_key *key, struct vk_tuning *ret_tuning,
                char ret_words[160]);
/* "NAME=VALUE NAME=VALUE…", for tests; likewise. */
int vk_tuning_force(const char *wishes, struct vk_tuning *tuning, char ret_words[160]);
/* Those that are not the rules', "NAME VALUE, …". */
void vk_tuning_tell(const struct vk_tuning *tuning, char *text, size_t size);

#endif
