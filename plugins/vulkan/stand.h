/* SPDX-License-Identifier: Apache-2.0 */
/* What a program was made from, source where something walks: if it does so in vain, the program is made again. */
#ifndef QVF_PLUGINS_VULKAN_STAND_H
#define QVF_PLUGINS_VULKAN_STAND_H

#include <stdbool.h>

#include "qvf/backend.h"

struct vk_source;

int vk_source_new(const struct qvf_program_desc *desc, struct vk_source **ret_source);
struct vk_source *vk_source_free(struct vk_source *source);
const struct qvf_program_desc *vk_source_desc(const struct vk_source *source);
/* Whether a run that was broken off may begin anew: it gives what it would have given. */
bool vk_source_may_repeat(const struct vk_source *source);

#endif
