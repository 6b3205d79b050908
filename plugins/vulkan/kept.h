/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QVF_PLUGINS_VULKAN_KEPT_H
#define QVF_PLUGINS_VULKAN_KEPT_H

#include <stddef.h>
#include <stdint.h>

struct qvf_device;

#define VK_KEPT_TUNING "tuning"

/* The bytes behind a good checksum, and a NUL behind them, to be freed; NULL: none. */
void *vk_kept_read(const struct qvf_device *device, const char *kind, size_t bytes_most, size_t *ret_bytes);
/* `file`: room for the checksum (QVF_SHA256_BYTES), then what is kept. Does nothing without a folder. */
int vk_kept_write(const struct qvf_device *device, const char *kind, uint8_t *file, size_t length);

#endif
