/* SPDX-License-Identifier: Apache-2.0 */
/* Operations that work element by element or row by row: cut into pieces of rows that the limits allow. */
#ifndef QVF_PLUGINS_VULKAN_ELEMENTS_H
#define QVF_PLUGINS_VULKAN_ELEMENTS_H

#include "plugins/vulkan/emit.h"

/* Emits the dispatch, whose operands in `by_rows` (bit i for binding i) have R rows, piece by piece. n[0] must be the
 * columns; n[7] becomes the rows of a piece. What has a number or two for each row may be bound whole: then its row is
 * push.row0 and more. */
void vk_emit_elements(struct vk_build *build, const struct vk_call *call, struct vk_dispatch *dispatch,
                uint32_t by_rows);
/* The same with one workgroup for each row, in a row of `constant[0]` invocations. */
void vk_emit_rows(struct vk_build *build, const struct vk_call *call, struct vk_dispatch *dispatch,
                uint32_t by_rows);
/* Groups in two dimensions. */
void vk_groups(struct vk_dispatch *dispatch, uint32_t groups);

#endif
