/* SPDX-License-Identifier: Apache-2.0 */
/* Emitters call in here. A program is emitted twice: once to count what it will take, once to record it. */
#include "plugins/vulkan/build.h"

#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "plugins/common/op_rules.h"
#include "plugins/vulkan/pack.h"
#include "plugins/vulkan/profile.h"
#include "plugins/vulkan/walk.h"

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

bool vk_in_range(const struct vk_call *call, const struct vk_operand *operand)
{
        return !operand->value || vk_rows_in_range(call, operand) >= operand->rows;
}

uint32_t vk_rows_of_piece(const struct vk_call *call, uint32_t operands, uint32_t rows, uint32_t together,
                uint64_t most)
{
        uint64_t unit = together;

        most = qvf_min_u64(most, rows);
        for (uint32_t i = 0; i < QVF_OP_OPERANDS; i++) {
                const struct vk_operand *operand = &call->operand[i];
                uint64_t bytes = vk_operand_row_bytes(operand), even = bytes & -bytes; /* a power of two */

                if (!(operands >> i & 1) || !operand->value)
                        continue;
                most = qvf_min_u64(most, vk_rows_in_range(call, operand));
                if (even > 0 && even < call->limits->alignment)
                        unit = qvf_max_u64(unit, call->limits->alignment / even);
        }
        if (most < rows)
                most = qvf_max_u64(most / unit * unit, unit);
        return (uint32_t)qvf_min_u64(most, rows);
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
        return !a->buffer || !b->buffer ||
               (a->buffer == b->buffer && a->begin < b->end && b->begin < a->end &&
                               (a->written || b->written));
}

static void barrier(struct vk_build *self)
{
        const VkMemoryBarrier all = {
                .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT |
                                 (self->filled ? VK_ACCESS_TRANSFER_WRITE_BIT : 0),
                .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                                 VK_ACCESS_UNIFORM_READ_BIT,
        };

        vkCmdPipelineBarrier(self->commands,
                        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT |
                                        (self->filled ? VK_PIPELINE_STAGE_TRANSFER_BIT : 0),
                        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &all, 0, NULL, 0, NULL);
        self->filled = false;
        self->n_touched = 0;
        self->n_barriers++;
}

static bool meet(const struct vk_touched *a, uint32_t count_a, const struct vk_touched *b, uint32_t count_b)
{
        for (uint32_t i = 0; i < count_a; i++)
                for (uint32_t j = 0; j < count_b; j++)
                        if (meets(&a[i], &b[j]))
                                return true;
        return false;
}

static bool must_wait(const struct vk_build *self, const struct vk_touched *places, uint32_t count)
{
        return self->filled || self->n_touched + count > VK_TOUCHED_MOST ||
               meet(places, count, self->touched, self->n_touched);
}

/* Beside what runs at the time: only the runs before this one may still need what stands there, and a chunk begins by
 * waiting for them. */
static void clear(struct vk_build *self, const struct vk_dispatch *dispatch)
{
        const struct qvf_value *value = dispatch->cleared;

        vkCmdFillBuffer(self->commands, value->buffer->buffer, value->offset, value->columns,
                        dispatch->filling);
        self->filled = true;
}

/* A barrier where something that this dispatch touches was touched since the last one. */
static void order(struct vk_build *self, const struct vk_touched *places, uint32_t count)
{
        if (must_wait(self, places, count))
                barrier(self);
        memcpy(&self->touched[self->n_touched], places, count * sizeof(*places));
        self->n_touched += count;
}

static int out_of_range(struct vk_build *self, uint64_t bytes)
{
        vk_log(&self->device->host, 0,
                        "vulkan: %llu KiB are wanted side by side and this device takes %llu: a smaller "
                        "context or batch may do",
                        (unsigned long long)(bytes >> 10),
                        (unsigned long long)(self->device->limits.range >> 10));
        return -E2BIG;
}

static uint64_t bytes_of(const struct vk_binding *binding)
{
        return binding->bytes ? binding->bytes : value_bytes(binding->value) - binding->offset;
}

static uint32_t places_of(const struct vk_dispatch *dispatch, struct vk_touched *places)
{
        uint32_t count = 0;

        for (uint32_t i = 0; i < dispatch->n_bind; i++) {
                const struct vk_binding *b = &dispatch->bind[i];
                uint64_t begin = b->value ? b->value->offset + b->offset : 0;

                if (b->value)
                        places[count++] = (struct vk_touched){ b->value->buffer, begin, begin + bytes_of(b),
                                b->written };
        }
        if (dispatch->alone)
                places[count++] = (struct vk_touched){ .written = true };
        return count;
}

static uint32_t bind_uniforms(const struct vk_dispatch *dispatch, VkDescriptorSet set,
                VkDescriptorBufferInfo *infos, VkWriteDescriptorSet *writes)
{
        uint32_t count = 0;

        for (uint32_t i = 0; i < VK_UNIFORMS; i++) {
                const struct qvf_value *value = dispatch->uniform[i];

                if (!value)
                        continue;
                /* A block's size is a multiple of 16 bytes. */
                infos[count] = (VkDescriptorBufferInfo){ value->buffer->buffer, value->offset,
                        qvf_min_u64((value_bytes(value) + 15) / 16 * 16,
                                        value->buffer->whole - value->offset) };
                writes[count] = (VkWriteDescriptorSet){
                        .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                        .dstSet = set,
                        .dstBinding = VK_BINDINGS + i,
                        .descriptorCount = 1,
                        .descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER,
                        .pBufferInfo = &infos[count],
                };
                count++;
        }
        return count;
}

static int bind(struct vk_build *self, const struct vk_dispatch *dispatch, struct vk_push *push)
{
        VkDescriptorBufferInfo infos[VK_BINDINGS + VK_UNIFORMS];
        VkWriteDescriptorSet writes[VK_BINDINGS + VK_UNIFORMS];
        VkDescriptorSetLayout layout = vk_pipelines_set_layout(self->device->pipelines);
        const VkDescriptorSetAllocateInfo allocate = {
                .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                .descriptorPool = self->program->sets,
                .descriptorSetCount = 1,
                .pSetLayouts = &layout,
        };
        uint32_t count = VK_BINDINGS;
        VkDescriptorSet set;
        int r = vk_errno(self->device, vkAllocateDescriptorSets(self->device->device, &allocate, &set),
                        "making a descriptor set");

        if (r < 0)
                return r;
        infos[0] = (VkDescriptorBufferInfo){ self->program->args->buffer, 0, VK_WHOLE_SIZE };
        /* All of them: a shader may name more bindings than this dispatch of it looks at. */
        for (uint32_t i = 0; i < VK_BINDINGS; i++) {
                const struct vk_binding *b = &dispatch->bind[i ? i - 1 : 0];

                writes[i] = (VkWriteDescriptorSet){
                        .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                        .dstSet = set,
                        .dstBinding = i,
                        .descriptorCount = 1,
                        .descriptorType = i > 0 ? VK_DESCRIPTOR_TYPE_STORAGE_BUFFER
                                                : VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER,
                        .pBufferInfo = &infos[i],
                };
                if (i > 0)
                        infos[i] = infos[0];
                if (i == 0 || i > dispatch->n_bind)
                        continue;
                if (b->value) {
                        uint64_t begin = b->value->offset + b->offset;
                        uint64_t bytes = bytes_of(b), rest = begin % self->device->limits.alignment;

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
                }
        }
        count += bind_uniforms(dispatch, set, &infos[count], &writes[count]);
        vkUpdateDescriptorSets(self->device->device, count, writes, 0, NULL);
        vkCmdBindDescriptorSets(self->commands, VK_PIPELINE_BIND_POINT_COMPUTE,
                        vk_pipelines_layout(self->device->pipelines), 0, 1, &set, 0, NULL);
        return 0;
}

/* What earlier runs did is done, also before anything is filled. */
static void await_earlier(struct vk_build *self)
{
        const VkMemoryBarrier fills = {
                .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                .dstAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
        };

        if (self->walk)
                vkCmdPipelineBarrier(self->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                                VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &fills, 0, NULL, 0, NULL);
        barrier(self);
}

static int begin_chunk(struct vk_build *self)
{
        const VkCommandBufferBeginInfo begin = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO };
        int r;

        self->commands = self->program->chunks[self->program->n_chunks].commands;
        r = vk_errno(self->device, vkBeginCommandBuffer(self->commands, &begin), "recording");
        if (r == 0) {
                await_earlier(self);
                vk_profile_begin(self->program, self->commands);
        }
        return r;
}

static int record(struct vk_build *self, const struct vk_dispatch *dispatch)
{
        struct vk_push push = dispatch->push;
        struct vk_touched places[VK_BINDINGS];
        uint32_t n_places = places_of(dispatch, places);
        VkPipeline pipeline;
        int r = vk_pipeline_get(self->device->pipelines, dispatch->shader, dispatch->constant,
                        dispatch->n_constants, &pipeline);

        if (r < 0)
                return r;
        vkCmdBindPipeline(self->commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
        r = bind(self, dispatch, &push);
        if (r < 0)
                return r;
        vkCmdPushConstants(self->commands, vk_pipelines_layout(self->device->pipelines),
                        VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), &push);
        if (dispatch->cleared)
                clear(self, dispatch);
        /* Behind all state: a device that waits here has the dispatch ready. */
        order(self, places, n_places);
        vkCmdDispatch(self->commands, dispatch->groups[0] ? dispatch->groups[0] : 1,
                        dispatch->groups[1] ? dispatch->groups[1] : 1,
                        dispatch->groups[2] ? dispatch->groups[2] : 1);
        vk_profile_stamp(self->program, self->commands, dispatch->shader);
        self->program->chunks[self->program->n_chunks].cost += dispatch->cost;
        return 0;
}

static int record_later(struct vk_build *self)
{
        uint32_t count = self->n_later;
        int r = 0;

        self->n_later = 0;
        if (count > 0)
                barrier(self);
        for (uint32_t i = 0; i < count && r == 0; i++)
                r = record(self, &self->later[i].dispatch);
        return r;
}

/* What waits for a barrier goes first where this dispatch needs one, or touches what they touch. */
static int record_in_turn(struct vk_build *self, const struct vk_dispatch *dispatch)
{
        struct vk_touched places[VK_BINDINGS], others[VK_BINDINGS];
        uint32_t count = places_of(dispatch, places);
        bool wait = self->n_later > 0 && must_wait(self, places, count);
        int r = self->in_chunk == 0 ? begin_chunk(self) : 0;

        for (uint32_t i = 0; i < self->n_later && !wait; i++)
                wait = meet(places, count, others, places_of(&self->later[i].dispatch, others));
        if (r == 0 && wait)
                r = record_later(self);
        return r < 0 ? r : record(self, dispatch);
}

int vk_build_end_chunk(struct vk_build *self)
{
        struct qvf_program *program = self->program;
        int r = record_later(self);

        if (r < 0 || self->in_chunk == 0)
                return r;
        self->in_chunk = 0;
        self->chunk_cost = 0;
        self->n_chunks++;
        if (!program)
                return 0;
        r = vk_errno(self->device, vkEndCommandBuffer(self->commands), "recording");
        program->n_chunks++;
        return r;
}

/* Whether it can be dispatched at all. */
static int check(const struct vk_build *self, const struct vk_dispatch *dispatch)
{
        for (int axis = 0; axis < 3; axis++)
                if (dispatch->groups[axis] > self->device->limits.groups[axis])
                        return -E2BIG;
        return dispatch->n_bind >= VK_BINDINGS || dispatch->n_constants > VK_CONSTANTS ? -EINVAL : 0;
}

static void trace(struct vk_trace *all, const struct vk_dispatch *dispatch)
{
        uint64_t hash = (all->hash ^ (uint64_t)dispatch->shader) * 0x9e3779b97f4a7c15u;

        for (uint32_t i = 0; i < dispatch->n_constants; i++)
                hash = (hash ^ dispatch->constant[i]) * 0x9e3779b97f4a7c15u + (hash >> 29);
        for (int axis = 0; axis < 3; axis++)
                hash = (hash ^ dispatch->groups[axis]) * 0x9e3779b97f4a7c15u + (hash >> 29);
        all->hash = hash;
        all->cost += dispatch->cost;
        all->dearest = qvf_max_u64(all->dearest, dispatch->cost);
}

static void count(struct vk_build *self, const struct vk_dispatch *dispatch, int r)
{
        if (r < 0)
                vk_log(&self->device->host, 0, "vulkan: %s can't be recorded: %s",
                                vk_shader_codes[dispatch->shader].name, strerror(-r));
        fail(self, r < 0 ? r : 0);
        trace(&self->trace, dispatch);
        self->n_dispatches++;
        self->in_chunk++;
        self->chunk_cost += dispatch->cost;
        if (self->in_chunk >= DISPATCHES_OF_A_CHUNK || self->chunk_cost >= self->device->chunk_cost)
                fail(self, vk_build_end_chunk(self));
}

void vk_emit(struct vk_build *self, const struct vk_dispatch *dispatch)
{
        int r;

        vk_walk_end(self);
        if (self->failure < 0)
                return;
        r = check(self, dispatch);
        if (r == 0 && self->program)
                r = record_in_turn(self, dispatch);
        count(self, dispatch, r);
}

void vk_emit_later(struct vk_build *self, const struct vk_dispatch *dispatch)
{
        int r;

        vk_walk_end(self);
        if (self->failure < 0)
                return;
        r = check(self, dispatch);
        if (r == 0 && self->program) {
                struct vk_later *later;

                if (self->in_chunk == 0)
                        r = begin_chunk(self);
                if (r == 0 && self->n_later == VK_LATER_MOST)
                        r = record_later(self);
                later = &self->later[self->n_later++];
                later->dispatch = *dispatch;
                for (uint32_t i = 0; i < dispatch->n_bind; i++) {
                        if (!dispatch->bind[i].value)
                                continue;
                        later->values[i] = *dispatch->bind[i].value;
                        later->dispatch.bind[i].value = &later->values[i];
                }
        }
        count(self, dispatch, r);
}
