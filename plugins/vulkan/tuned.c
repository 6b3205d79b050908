/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the ways that tuning.h names hold for a device: those of a record that was made for it, or the rules'. */
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "plugins/vulkan/kept.h"
#include "plugins/vulkan/vulkan.h"

void vk_tuned_apply(struct qvf_device *device)
{
        uint32_t percent = device->tuning.value[VK_TUNE_WALK_PERCENT];

        if (getenv("QVF_VK_WALK"))
                percent = 100; /* as many as it says */
        device->walk_groups = (device->walk_held * percent + 99) / 100;
}

void vk_tuned_load(struct qvf_device *device, const char *text)
{
        const char *wishes = getenv("QVF_VK_TUNING"); /* for tests */
        _cleanup_free_ char *kept = NULL;
        struct qvf_device_info info;
        struct vk_tuning_key key;
        char words[160], told[512];
        size_t length = 0;

        device->tuning = vk_tuning_rules;
        if (!text)
                text = kept = vk_kept_read(device, VK_KEPT_TUNING, QVF_TUNING_BYTES - 1, &length);
        if (kept && strlen(kept) != length)
                text = "";
        if (text) {
                vk_describe(device->physical, &info);
                key = (struct vk_tuning_key){ QVF_VERSION, info.id, info.driver };
                if (vk_tuning_read(text, &key, &device->tuning, words) < 0)
                        vk_log(&device->host, 1,
                                        "vulkan: what was tuned for this device is not used: %s; the rules "
                                        "hold",
                                        words);
        }
        if (wishes && vk_tuning_force(wishes, &device->tuning, words) < 0)
                vk_log(&device->host, 1, "vulkan: QVF_VK_TUNING: %s, and nothing of it is heeded", words);
        vk_tuned_apply(device);
        vk_tuning_tell(&device->tuning, told, sizeof(told));
        if (told[0])
                vk_log(&device->host, 2, "vulkan: tuned for this device: %s", told);
}
