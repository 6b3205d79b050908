/* SPDX-License-Identifier: Apache-2.0 */
/* Where the device's time goes, by shader: with QVF_VK_PROFILE set every dispatch is stamped, and the sums of all runs
 * are logged when the program ends. Stamps keep neighbours from overlapping: the sum is above the true time.
 * QVF_VK_PROFILE=wall stamps nothing, and tells what the host sees from submission to end. */
#include "plugins/vulkan/profile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/vulkan/vulkan.h"

struct vk_profile {
        VkQueryPool pool;
        uint32_t most, count, runs;
        uint64_t *stamps;
        uint16_t *shaders; /* of each dispatch */
        uint64_t ticks[VK_SHADER_COUNT];
        uint32_t calls[VK_SHADER_COUNT];
        double wall_ms;
};

int vk_profile_new(struct qvf_program *program, uint32_t n_dispatches)
{
        const VkQueryPoolCreateInfo info = {
                .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                .queryType = VK_QUERY_TYPE_TIMESTAMP,
                .queryCount = n_dispatches + 1,
        };
        const char *wanted = getenv("QVF_VK_PROFILE");
        struct vk_profile *self;
        int r;

        if (!wanted || n_dispatches == 0)
                return 0;
        self = calloc(1, sizeof(*self));
        if (!self)
                return -ENOMEM;
        self->most = n_dispatches;
        program->profile = self;
        if (strcmp(wanted, "wall") == 0)
                return 0;
        self->stamps = calloc(n_dispatches + 1, sizeof(*self->stamps));
        self->shaders = calloc(n_dispatches, sizeof(*self->shaders));
        if (!self->stamps || !self->shaders)
                return -ENOMEM;
        r = vk_errno(program->device, vkCreateQueryPool(program->device->device, &info, NULL, &self->pool),
                        "making a query pool");
        return r;
}

void vk_profile_begin(struct qvf_program *program, VkCommandBuffer commands)
{
        struct vk_profile *self = program->profile;

        if (!self || !self->pool || self->count > 0)
                return;
        vkCmdResetQueryPool(commands, self->pool, 0, self->most + 1);
        vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, self->pool, 0);
}

void vk_profile_stamp(struct qvf_program *program, VkCommandBuffer commands, enum vk_shader shader)
{
        struct vk_profile *self = program->profile;

        if (!self || !self->pool || self->count == self->most)
                return;
        self->shaders[self->count++] = (uint16_t)shader;
        vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, self->pool, self->count);
}

void vk_profile_collect(struct qvf_program *program, double wall_ms)
{
        struct vk_profile *self = program->profile;

        if (!self)
                return;
        self->wall_ms += wall_ms;
        if (!self->pool) {
                self->runs++;
                return;
        }
        if (vkGetQueryPoolResults(program->device->device, self->pool, 0, self->count + 1,
                            (self->count + 1) * sizeof(*self->stamps), self->stamps, sizeof(*self->stamps),
                            VK_QUERY_RESULT_64_BIT) != VK_SUCCESS)
                return;
        for (uint32_t i = 0; i < self->count; i++) {
                self->ticks[self->shaders[i]] += self->stamps[i + 1] - self->stamps[i];
                self->calls[self->shaders[i]]++;
        }
        self->runs++;
}

static void tell(const struct qvf_program *program)
{
        const struct vk_profile *self = program->profile;
        VkPhysicalDeviceProperties properties;
        uint64_t all = 0;

        if (self->runs > 0)
                vk_log(&program->device->host, 1, "vulkan: '%s', %u runs, %.3f ms each on the clock",
                                program->name, self->runs, self->wall_ms / self->runs);

        vkGetPhysicalDeviceProperties(program->device->physical, &properties);
        for (int i = 0; i < VK_SHADER_COUNT; i++)
                all += self->ticks[i];
        if (all == 0)
                return;
        vk_log(&program->device->host, 1, "vulkan: '%s', %u runs of %u dispatches, %.3f ms each",
                        program->name, self->runs, self->count,
                        (double)all * properties.limits.timestampPeriod * 1e-6 / self->runs);
        for (int i = 0; i < VK_SHADER_COUNT; i++)
                if (self->ticks[i])
                        vk_log(&program->device->host, 1, "vulkan: %5.1f %% %8.2f us x %6.1f %s",
                                        100.0 * (double)self->ticks[i] / (double)all,
                                        (double)self->ticks[i] * properties.limits.timestampPeriod * 1e-3 /
                                                        self->calls[i],
                                        (double)self->calls[i] / self->runs, vk_shader_codes[i].name);
}

void vk_profile_free(struct qvf_program *program)
{
        struct vk_profile *self = program->profile;

        if (!self)
                return;
        tell(program);
        if (self->pool && !vk_device_hangs(program->device))
                vkDestroyQueryPool(program->device->device, self->pool, NULL);
        free(self->stamps);
        free(self->shaders);
        free(self);
}
