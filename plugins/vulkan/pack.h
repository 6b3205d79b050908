/* SPDX-License-Identifier: Apache-2.0 */
/* Ternary weights in the layouts that the shaders read fast: the four codes of a word of q or dx come out of a word
 * together. A code is a weight plus 1.
 * P2, from TQ2_0: a row is C / 16 words; the code of column 16j + 4i + b stands at bits 8b + 2i of word j.
 * P1, from TQ1_0: a row is C / 20 words, rounded up to whole uvec4; byte b of word j holds the five digits of columns
 * 20j + 4i + b, i = 0 first and most significant, as a fraction of 256 (TQ1_0's own way). Columns beyond C: code 1.
 * With block scales: behind all rows, at a multiple of 256 bytes, floats [rows][C / 256]. */
#ifndef QVF_PLUGINS_VULKAN_PACK_H
#define QVF_PLUGINS_VULKAN_PACK_H

#include "qvf/backend.h"

#define VK_P2_COLUMNS 16u /* of a word */
#define VK_P1_COLUMNS 20u

/* Words of a packed row; 0: there is no such layout. */
uint32_t vk_packed_row_words(uint32_t dtype, uint32_t columns);
/* Where the block scales stand, in bytes from the start. */
uint64_t vk_packed_scales(uint32_t dtype, uint32_t rows, uint32_t columns);

int vk_pack_size(struct qvf_device *device, const struct qvf_weight *weight, uint64_t *ret_bytes);
int vk_pack(struct qvf_device *device, const struct qvf_weight *weight, void *packed);
/* Of a value with packed = 1; 0: there is no such layout. */
uint64_t vk_packed_bytes(const struct qvf_value *value);

#endif
