/* SPDX-License-Identifier: Apache-2.0 */
/* A program becomes command buffers: every operation's emitter is called once to count and once to record. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "plugins/vulkan/build.h"
#include "plugins/vulkan/fuse.h"
#include "plugins/vulkan/pack.h"
#include "plugins/vulkan/profile.h"
#include "plugins/vulkan/schedule.h"
#include "plugins/vulkan/stand.h"
#include "plugins/vulkan/walk.h"

#define ARGS_BYTES 256u

static uint64_t buffer_bytes(const struct qvf_buffer *buffer)
{
        return buffer->bytes;
}

static int check(struct qvf_device *device, const struct qvf_program_desc *desc, bool with_memory,
                struct qvf_program_limits *ret_limits)
{
        const struct qvf_program_checks checks = {
                .buffer_bytes = with_memory ? buffer_bytes : NULL,
                .packed_bytes = vk_packed_bytes,
        };
        struct qvf_error error = { 0 };
        int r = qvf_program_check(desc, &checks, ret_limits, &error);

        if (r < 0)
                vk_log(&device->host, 0, "vulkan: program '%s': %s", desc->name ? desc->name : "",
                                error.text);
        return r;
}

static struct vk_call make_call(const struct vk_build *build, const struct qvf_program_desc *desc,
                const struct qvf_program_limits *limits, uint32_t at)
{
        const struct qvf_device *device = build->device;
        const struct qvf_op *op = &desc->ops[at];
        struct vk_call call = { .op = op,
                .at = at,
                .features = &device->features,
                .limits = &device->limits,
                .tuning = &device->tuning };
        int row_operand = qvf_program_row_operand(op->kind);

        for (uint32_t i = 0; i < qvf_program_operand_count(op->kind); i++) {
                const struct qvf_value *value;

                if (op->operand[i] == QVF_NONE)
                        continue;
                value = &desc->values[op->operand[i]];
                call.operand[i] = (struct vk_operand){ value, value->rows, value->columns, value->dtype,
                        value->temporary && build->last_use[op->operand[i]] == at };
        }
        call.rows = row_operand >= 0 ? call.operand[row_operand].rows : 1;
        if (op->rows == QVF_ROWS_INPUT)
                call.rows = (uint32_t)qvf_min_u64(call.rows, limits->rows);
        if (op->rows == QVF_ROWS_OUTPUT)
                call.rows = (uint32_t)qvf_min_u64(call.rows, limits->output_rows);
        return call;
}

static int find_last_uses(struct vk_build *build, const struct qvf_program_desc *desc)
{
        build->last_use = calloc(desc->n_values ? desc->n_values : 1, sizeof(*build->last_use));
        if (!build->last_use)
                return -ENOMEM;
        for (uint32_t i = 0; i < desc->n_ops; i++)
                for (uint32_t j = 0; j < qvf_program_operand_count(desc->ops[i].kind); j++)
                        if (desc->ops[i].operand[j] != QVF_NONE)
                                build->last_use[desc->ops[i].operand[j]] = i;
        return 0;
}

static int emit_operations(struct vk_build *build, const struct qvf_program_desc *desc,
                const struct qvf_program_limits *limits)
{
        struct vk_call calls[VK_FUSED_MOST];
        int r;

        for (uint32_t i = 0; i < desc->n_ops && build->failure == 0;) {
                uint32_t count = (uint32_t)qvf_min_u64(desc->n_ops - i, VK_FUSED_MOST), done;

                for (uint32_t j = 0; j < count; j++)
                        calls[j] = make_call(build, desc, limits, i + j);
                done = vk_fuse(build, calls, count);
                if (done == 0 && !vk_emitters[desc->ops[i].kind])
                        return -ENOSYS;
                if (done == 0) {
                        vk_emitters[desc->ops[i].kind](build, calls);
                        done = 1;
                }
                i += done;
        }
        vk_walk_end(build);
        r = vk_build_end_chunk(build);
        return build->failure < 0 ? build->failure : r;
}

static int emit_all(struct vk_build *build, const struct qvf_program_desc *desc,
                const struct qvf_program_limits *limits)
{
        _cleanup_free_ struct qvf_op *ops = calloc(desc->n_ops ? desc->n_ops : 1, sizeof(*ops));
        struct qvf_program_desc ordered = *desc;
        const struct vk_features *features = &build->device->features;
        int r = ops ? vk_schedule(desc, features->matrix_int8 && features->matrix_float16, ops) : -ENOMEM;

        ordered.ops = ops;
        r = r < 0 ? r : find_last_uses(build, &ordered);
        r = r < 0 ? r : vk_walk_new(build, &ordered);
        r = r < 0 ? r : emit_operations(build, &ordered, limits);
        build->walk = vk_walk_free(build->walk);
        free(build->last_use);
        build->last_use = NULL;
        return r;
}

static uint64_t memory_of(const struct vk_build *counted)
{
        uint64_t bytes = ARGS_BYTES + counted->n_dispatches * (uint64_t)(VK_BINDINGS * 32);

        for (unsigned i = 0; i < VK_SCRATCH_SLOTS; i++)
                bytes += counted->scratch[i].bytes;
        return bytes + vk_walk_bytes(&counted->walk_needs);
}

int vk_program_size(struct qvf_device *device, const struct qvf_program_desc *desc, uint64_t *ret_bytes)
{
        struct vk_build build = { .device = device };
        struct qvf_program_limits limits;
        int r = check(device, desc, false, &limits);

        r = r < 0 ? r : emit_all(&build, desc, &limits);
        if (r == 0)
                *ret_bytes = memory_of(&build);
        return r;
}

int vk_program_trace(
                struct qvf_device *device, const struct qvf_program_desc *desc, struct vk_trace *ret_trace)
{
        struct vk_build build = { .device = device };
        struct qvf_program_limits limits;
        int r = check(device, desc, true, &limits);

        r = r < 0 ? r : emit_all(&build, desc, &limits);
        if (r == 0)
                *ret_trace = build.trace;
        return r;
}

static int make_commands(struct qvf_program *program, uint32_t n_chunks)
{
        struct qvf_device *device = program->device;
        VkCommandBufferAllocateInfo allocate = {
                .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                .commandPool = device->commands,
                .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                .commandBufferCount = 1,
        };

        if (n_chunks == 0)
                return 0;
        program->chunks = device->host.alloc(device->host.context, n_chunks * sizeof(*program->chunks), 64);
        if (!program->chunks)
                return -ENOMEM;
        memset(program->chunks, 0, n_chunks * sizeof(*program->chunks));
        program->chunks_made = n_chunks;
        for (uint32_t i = 0; i < n_chunks; i++) {
                int r = vk_errno(device,
                                vkAllocateCommandBuffers(
                                                device->device, &allocate, &program->chunks[i].commands),
                                "making a command buffer");

                if (r < 0)
                        return r;
        }
        return 0;
}

static int make_sets(struct qvf_program *program, uint32_t n_dispatches)
{
        struct qvf_device *device = program->device;
        const VkFenceCreateInfo fence = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };
        int r = 0;

        for (int i = 0; i < 2 && r == 0 && !program->flight[i].fence; i++)
                r = vk_errno(device, vkCreateFence(device->device, &fence, NULL, &program->flight[i].fence),
                                "making a fence");
        if (r < 0 || n_dispatches == 0)
                return r;
        return vk_descriptor_pool_new(device, n_dispatches, &program->sets);
}

static int make(struct qvf_program *program, const struct qvf_program_desc *desc)
{
        struct qvf_device *device = program->device;
        struct vk_build counted = { .device = device }, build = { .device = device, .program = program };
        int r = emit_all(&counted, desc, &program->limits);

        if (r == 0 && !program->args)
                r = vk_buffer_new_shared(device, ARGS_BYTES, false, &program->args);
        if (r == 0 && counted.walk_needs.steps > 0)
                r = vk_source_new(desc, &program->source);
        r = r < 0 ? r : make_commands(program, counted.n_chunks);
        r = r < 0 ? r : make_sets(program, counted.n_dispatches);
        r = r < 0 ? r : vk_profile_new(program, counted.n_dispatches);
        for (unsigned i = 0; i < VK_SCRATCH_SLOTS && r == 0; i++) {
                if (counted.scratch[i].bytes == 0)
                        continue;
                r = vk_buffer_new(device, counted.scratch[i].bytes, QVF_BUFFER_DEVICE, &program->scratch[i]);
                build.scratch[i].buffer = program->scratch[i];
        }
        r = r < 0 ? r : vk_walk_prepare(program, &counted.walk_needs);
        r = r < 0 ? r : emit_all(&build, desc, &program->limits);
        vk_log(&device->host, 3,
                        "vulkan: program '%s': %u operations, %u dispatches, %u barriers, %u chunks",
                        program->name, desc->n_ops, build.n_dispatches, build.n_barriers, program->n_chunks);
        return r;
}

int vk_program_new(struct qvf_device *device, const struct qvf_program_desc *desc,
                struct qvf_program **ret_program)
{
        struct qvf_program_limits limits;
        struct qvf_program *program;
        int r;

        if (atomic_load(&device->lost))
                return -ENODEV;
        r = check(device, desc, true, &limits);
        if (r < 0)
                return r;
        program = device->host.alloc(device->host.context, sizeof(*program), 64);
        if (!program)
                return -ENOMEM;
        *program = (struct qvf_program){ .device = device, .limits = limits, .state = VK_NEVER_RAN };
        snprintf(program->name, sizeof(program->name), "%s", desc->name ? desc->name : "");
        r = make(program, desc);
        if (r < 0) {
                vk_program_free(program);
                return r;
        }
        *ret_program = program;
        return 0;
}

/* All that is recorded, and what it needs. */
static void release(struct qvf_program *program)
{
        struct qvf_device *device = program->device;
        bool hangs = vk_device_hangs(device);

        for (uint32_t i = 0; i < program->chunks_made && !hangs; i++)
                if (program->chunks[i].commands)
                        vkFreeCommandBuffers(
                                        device->device, device->commands, 1, &program->chunks[i].commands);
        if (program->chunks)
                device->host.free(device->host.context, program->chunks,
                                program->chunks_made * sizeof(*program->chunks));
        program->chunks = NULL;
        program->n_chunks = program->chunks_made = 0;
        vk_profile_free(program);
        program->profile = NULL;
        if (program->sets && !hangs)
                vkDestroyDescriptorPool(device->device, program->sets, NULL);
        program->sets = VK_NULL_HANDLE;
        for (unsigned i = 0; i < VK_SCRATCH_SLOTS; i++) {
                vk_buffer_free(program->scratch[i]);
                program->scratch[i] = NULL;
        }
        vk_walk_release(program);
}

int vk_program_stand(struct qvf_program *program)
{
        struct vk_source *source = program->source;
        int r;

        program->source = NULL;
        program->device->walk_held = program->device->walk_groups = 0;
        release(program);
        r = make(program, vk_source_desc(source));
        if (r < 0)
                program->source = source; /* the next run tries again */
        else
                vk_source_free(source);
        return r;
}

void vk_program_free(struct qvf_program *program)
{
        struct qvf_device *device;

        if (!program)
                return;
        device = program->device;
        vk_device_settle(device);
        vk_abandon(program);
        for (int i = 0; i < 2; i++)
                if (program->flight[i].fence && !vk_device_hangs(device))
                        vkDestroyFence(device->device, program->flight[i].fence, NULL);
        release(program);
        vk_source_free(program->source);
        vk_buffer_free(program->args);
        device->host.free(device->host.context, program, sizeof(*program));
}
