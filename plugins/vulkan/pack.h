/* SPDX-License-Identifier: Apache-2.0 */
/* Ternary weights in the layouts that the shaders read fast. */
#ifndef QVF_PLUGINS_VULKAN_PACK_H
#define QVF_PLUGINS_VULKAN_PACK_H

#include "qvf/backend.h"

int vk_pack_size(struct qvf_device *device, const struct qvf_weight *weight, uint64_t *ret_bytes);
int vk_pack(struct qvf_device *device, const struct qvf_weight *weight, void *packed);
/* Of a value with packed = 1; 0: there is no such layout. */
uint64_t vk_packed_bytes(const struct qvf_value *value);

#endif
