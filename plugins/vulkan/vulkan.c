/* SPDX-License-Identifier: Apache-2.0 */
/* The Vulkan backend: any GPU with a driver for Vulkan 1.1. */
#include "plugins/vulkan/vulkan.h"

#include "plugins/vulkan/pack.h"

extern const struct qvf_backend qvf_backend;

__attribute__((visibility("default"))) const struct qvf_backend qvf_backend = {
        .magic = QVF_BACKEND_MAGIC,
        .abi = QVF_BACKEND_ABI,
        .size = sizeof(qvf_backend),
        .name = "vulkan",
        .version = QVF_VERSION,
        .probe = vk_probe,
        .device_open = vk_device_open,
        .device_close = vk_device_close,
        .event_fd = vk_device_event_fd,
        .buffer_new = vk_buffer_new,
        .buffer_import = vk_buffer_import,
        .buffer_free = vk_buffer_free,
        .buffer_upload = vk_buffer_upload,
        .buffer_download = vk_buffer_download,
        .buffer_map = vk_buffer_map,
        .pack_size = vk_pack_size,
        .pack = vk_pack,
        .program_size = vk_program_size,
        .program_new = vk_program_new,
        .program_free = vk_program_free,
        .submit = vk_submit,
        .wait = vk_wait,
        .pause = vk_pause,
        .tune = vk_tune,
};
