/* SPDX-License-Identifier: Apache-2.0 */
/* What a program was made from, kept where something walks: if it does so in vain, the program is made again. */
#ifndef QVF_PLUGINS_VULKAN_STAND_H
#define QVF_PLUGINS_VULKAN_STAND_H

#include <stdbool.h>

#include "qvf/backend.h"

struct vk_kept;

int vk_kept_new(const struct qvf_program_desc *desc, struct vk_kept **ret_kept);
struct vk_kept *vk_kept_free(struct vk_kept *kept);
const struct qvf_program_desc *vk_kept_desc(const struct vk_kept *kept);
/* Whether a run that was broken off may begin anew: it gives what it would have given. */
bool vk_kept_may_repeat(const struct vk_kept *kept);

#endif
