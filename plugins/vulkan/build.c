/* SPDX-License-Identifier: Apache-2.0 */
/* Emitters call in here. A program is emitted twice: once to count what it will take, once to record it. */
#include "plugins/vulkan/build.h"

#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "plugins/common/op_rules.h"
#include "plugins/vulkan/pack.h"
#include "plugins/vulkan/profile.h"

#define DISPATCHES_OF_A_CHUNK 512u
/* Operations side by side get scratch memory side by side, so that none waits for another's; then from the start again. */
#define SCRATCH_ROUND ((uint64_t)4 << 20)

static uint64_t value_bytes(const struct qvf_value *value)
{
        return value->packed ? vk_packed_bytes(value)
                             : value->rows * qvf_program_row_bytes(value->dtype, value->columns);
}

uint64_t vk_operand_row_bytes(const struct vk_operand *operand)
{
        return qvf_program_row_bytes(operand->dtype, operand->columns);
}

uint32_t vk_rows_in_range(const struct vk_call *call, const struct vk_operand *operand)
{
        uint64_t row = vk_operand_row_bytes(operand);
        uint64_t range = call->limits->range - call->limits->alignment;
        uint64_t rows = row ? range / row : operand->rows;

        return (uint32_t)(rows == 0 ? 1 : qvf_min_u64(rows, operand->rows ? operand->rows : 1));
}

struct vk_dispatch vk_dispatch(const struct vk_call *call, enum vk_shader shader)
{
        const struct qvf_op_rule *rule = &qvf_op_rules[call->op->kind];
        struct vk_dispatch dispatch = {
                .shader = shader,
                .push = { .rows_from = call->op->rows, .rows = call->rows, .flags = call->op->flags },
        };

        memcpy(dispatch.push.f, call->op->f, sizeof(dispatch.push.f));
        for (uint32_t i = 0; i < qvf_program_operand_count(call->op->kind); i++) {
                dispatch.bind[i] = (struct vk_binding){
                        .value = call->operand[i].value,
                        .written = rule->operand[i].flags & QVF_OPERAND_WRITTEN,
                };
                dispatch.n_bind = i + 1;
        }
        return dispatch;
}

static void fail(struct vk_build *self, int code)
{
        if (self->failure == 0)
                self->failure = code;
}

const struct qvf_value *vk_scratch(struct vk_build *self, unsigned slot, uint64_t bytes)
{
        struct vk_scratch_slot *place;

        if (slot >= VK_SCRATCH_SLOTS || !qvf_align_u64(bytes, 256, &bytes)) {
                fail(self, -EINVAL);
                slot = 0;
        }
        place = &self->scratch[slot];
        if (place->end + bytes > SCRATCH_ROUND)
                place->end = 0;
        place->value = (struct qvf_value){ .buffer = place->buffer,
                .offset = place->end,
                .rows = 1,
                .columns = (uint32_t)qvf_min_u64(bytes, UINT32_MAX),
                .dtype = QVF_U8 };
        place->end += bytes;
        place->bytes = qvf_max_u64(place->bytes, place->end);
        return &place->value;
}

static bool meets(const struct vk_touched *a, const struct vk_touched *b)
{
        return a->buffer == b->buffer && a->begin < b->end && b->begin < a->end &&
               (a->written || b->written);
}

static void barrier(struct vk_build *self)
{
        const VkMemoryBarrier all = {
                .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT,
        };

        vkCmdPipelineBarrier(self->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &all, 0, NULL, 0, NULL);
        self->n_touched = 0;
        self->n_barriers++;
}

/* A barrier where something that this dispatch touches was touched since the last one. */
static void order(struct vk_build *self, const struct vk_touched *places, uint32_t count)
{
        bool needed = self->n_touched + count > VK_TOUCHED_MOST;

        for (uint32_t i = 0; i < count && !needed; i++)
                for (uint32_t j = 0; j < self->n_touched && !needed; j++)
                        needed = meets(&places[i], &self->touched[j]);
        if (needed)
                barrier(self);
        memcpy(&self->touched[self->n_touched], places, count * sizeof(*places));
        self->n_touched += count;
}

static int out_of_range(struct vk_build *self, uint64_t bytes)
{
        vk_log(&self->device->host, 0,
                        "vulkan: %llu MiB are wanted side by side and this device takes %llu: a smaller "
                        "context "
                        "or batch may do",
                        (unsigned long long)(bytes >> 20),
                        (unsigned long long)(self->device->limits.range >> 20));
        return -E2BIG;
}

static int bind(struct vk_build *self, const struct vk_dispatch *dispatch, struct vk_push *push,
                struct vk_touched *places, uint32_t *ret_places)
{
        VkDescriptorBufferInfo infos[VK_BINDINGS];
        VkWriteDescriptorSet writes[VK_BINDINGS];
        const VkDescriptorSetLayout layout = vk_pipelines_set_layout(self->device->pipelines);
        const VkDescriptorSetAllocateInfo allocate = {
                .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                .descriptorPool = self->program->sets,
                .descriptorSetCount = 1,
                .pSetLayouts = &layout,
        };
        VkDescriptorSet set;
        uint32_t count = 0;
        int r = vk_errno(self->device, vkAllocateDescriptorSets(self->device->device, &allocate, &set),
                        "making a descriptor set");

        if (r < 0)
                return r;
        infos[0] = (VkDescriptorBufferInfo){ self->program->args->buffer, 0, VK_WHOLE_SIZE };
        for (uint32_t i = 0; i <= dispatch->n_bind; i++) {
                const struct vk_binding *b = &dispatch->bind[i ? i - 1 : 0];

                writes[i] = (VkWriteDescriptorSet){
                        .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                        .dstSet = set,
                        .dstBinding = i,
                        .descriptorCount = 1,
                        .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                        .pBufferInfo = &infos[i],
                };
                if (i == 0)
                        continue;
                infos[i] = infos[0];
                if (b->value) {
                        uint64_t begin = b->value->offset + b->offset;
                        uint64_t bytes = b->bytes ? b->bytes : value_bytes(b->value) - b->offset;
                        uint64_t rest = begin % self->device->limits.alignment;

                        if (i <= QVF_ARRAY_LENGTH(push->rest))
                                push->rest[i - 1] = (uint32_t)(rest / 4);
                        else if (rest)
                                return -EINVAL;
                        /* Words are read whole: the last bytes of a value may be less than one. */
                        infos[i] = (VkDescriptorBufferInfo){ b->value->buffer->buffer, begin - rest,
                                rest + (bytes + 15) / 16 * 16 };
                        if (infos[i].offset + infos[i].range > b->value->buffer->whole)
                                infos[i].range = b->value->buffer->whole - infos[i].offset;
                        if (infos[i].range > self->device->limits.range)
                                return out_of_range(self, infos[i].range);
                        places[count++] = (struct vk_touched){ b->value->buffer, begin, begin + bytes,
                                b->written };
                }
        }
        vkUpdateDescriptorSets(self->device->device, dispatch->n_bind + 1, writes, 0, NULL);
        vkCmdBindDescriptorSets(self->commands, VK_PIPELINE_BIND_POINT_COMPUTE,
                        vk_pipelines_layout(self->device->pipelines), 0, 1, &set, 0, NULL);
        *ret_places = count;
        return 0;
}

static int begin_chunk(struct vk_build *self)
{
        const VkCommandBufferBeginInfo begin = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO };
        int r;

        self->commands = self->program->chunks[self->program->n_chunks].commands;
        r = vk_errno(self->device, vkBeginCommandBuffer(self->commands, &begin), "recording");
        if (r == 0) {
                barrier(self);
                vk_profile_begin(self->program, self->commands);
        }
        return r;
}

int vk_build_end_chunk(struct vk_build *self)
{
        struct qvf_program *program = self->program;
        int r;

        if (self->in_chunk == 0)
                return 0;
        self->in_chunk = 0;
        self->chunk_cost = 0;
        self->n_chunks++;
        if (!program)
                return 0;
        r = vk_errno(self->device, vkEndCommandBuffer(self->commands), "recording");
        program->n_chunks++;
        return r;
}

static int record(struct vk_build *self, const struct vk_dispatch *dispatch)
{
        struct vk_push push = dispatch->push;
        struct vk_touched places[VK_BINDINGS];
        uint32_t n_places;
        VkPipeline pipeline;
        int r = 0;

        if (self->in_chunk == 0)
                r = begin_chunk(self);
        r = r < 0 ? r
                  : vk_pipeline_get(self->device->pipelines, dispatch->shader, dispatch->constant,
                                    dispatch->n_constants, &pipeline);
        if (r < 0)
                return r;
        vkCmdBindPipeline(self->commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
        r = bind(self, dispatch, &push, places, &n_places);
        if (r < 0)
                return r;
        vkCmdPushConstants(self->commands, vk_pipelines_layout(self->device->pipelines),
                        VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), &push);
        /* Behind all state: a device that waits here has the dispatch ready. */
        order(self, places, n_places);
        vkCmdDispatch(self->commands, dispatch->groups[0] ? dispatch->groups[0] : 1,
                        dispatch->groups[1] ? dispatch->groups[1] : 1,
                        dispatch->groups[2] ? dispatch->groups[2] : 1);
        vk_profile_stamp(self->program, self->commands, dispatch->shader);
        self->program->chunks[self->program->n_chunks].cost += dispatch->cost;
        return 0;
}

void vk_emit(struct vk_build *self, const struct vk_dispatch *dispatch)
{
        int r = 0;

        if (self->failure < 0)
                return;
        for (int axis = 0; axis < 3; axis++)
                if (dispatch->groups[axis] > self->device->limits.groups[axis])
                        r = -E2BIG;
        if (dispatch->n_bind >= VK_BINDINGS || dispatch->n_constants > VK_CONSTANTS)
                r = -EINVAL;
        if (r == 0 && self->program)
                r = record(self, dispatch);
        if (r < 0)
                vk_log(&self->device->host, 0, "vulkan: %s can't be recorded: %s",
                                vk_shader_codes[dispatch->shader].name, strerror(-r));
        fail(self, r < 0 ? r : 0);
        self->n_dispatches++;
        self->in_chunk++;
        self->chunk_cost += dispatch->cost;
        if (self->in_chunk >= DISPATCHES_OF_A_CHUNK || self->chunk_cost >= self->device->chunk_cost)
                fail(self, vk_build_end_chunk(self));
}
