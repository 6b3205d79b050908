/* SPDX-License-Identifier: Apache-2.0 */
/* Ternary matrices as emitters see them: packed (pack.h) or as files have them, cut by rows. */
#ifndef QVF_PLUGINS_VULKAN_TERNARY_H
#define QVF_PLUGINS_VULKAN_TERNARY_H

#include "plugins/vulkan/emit.h"

enum vk_ternary_layout { /* LAYOUT of ternary.glsl */
        VK_TERNARY_P2,
        VK_TERNARY_P1,
        VK_TERNARY_TQ2_0,
        VK_TERNARY_TQ1_0,
};

#define VK_TERNARY_FEW_ROWS 8u /* a vector's kernels do up to these */

enum vk_ternary_layout vk_ternary_layout(const struct qvf_value *weight);
/* Rows that a binding can hold. */
uint32_t vk_ternary_rows_in_range(const struct vk_call *call, const struct qvf_value *weight);
struct vk_binding vk_ternary_rows(const struct qvf_value *weight, uint32_t first, uint32_t count);
/* The scales of the blocks of these rows, of a packed matrix; else of no value. */
struct vk_binding vk_ternary_scales(const struct qvf_value *weight, uint32_t first, uint32_t count);
/* Rows of an operand from `first` on. */
struct vk_binding vk_ternary_operand(
                const struct vk_operand *operand, uint32_t first, uint32_t count, bool written);

/* How the vector kernels are cut: constants 0 to 4 of `dispatch` for so many outputs. Returns the workgroups. */
uint32_t vk_ternary_vector(const struct vk_call *call, const struct qvf_value *weight, uint32_t outputs,
                uint32_t rows, struct vk_dispatch *dispatch);
bool vk_ternary_has_dot(const struct vk_call *call);

/* Rows of q, or of dy, by cooperative matrices; false: they can't, nothing was emitted. `adapter`: the product that is
 * added to it, as fuse_adapter.c has looked at it; may be NULL. ternary_matrix.c */
bool vk_ternary_matrix(struct vk_build *build, const struct vk_call *call, const struct vk_call *adapter);
bool vk_ternary_matrix_backward(
                struct vk_build *build, const struct vk_call *call, const struct vk_call *adapter);

#endif
