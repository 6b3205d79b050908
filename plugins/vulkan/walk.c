/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/vulkan/walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "plugins/vulkan/ops/fuse.h"

#define THREADS 384u /* with more of them each has too few registers, with fewer each has too many rows */
#define THREADS_MOST 512u          /* for rows so long that each would have too much of them */
#define PIECES_MOST 7u             /* of a row, in registers */
#define EXCHANGE_MOST (1ull << 24) /* words */

struct made { /* by a step, for those behind it */
        struct vk_operand operand;
        uint16_t id;   /* of the value in the program */
        uint32_t word; /* in the exchange */
        uint32_t step, part;
        bool is_alias;
};

struct vk_walk {
        const struct qvf_program_desc *desc;
        const uint32_t *last_use;
        struct vk_walk_frame frame;
        struct vk_walk_step *steps;
        struct made *made;
        uint32_t n_steps, n_made, room;
        uint32_t n_inputs;   /* steps before those of rows that have outputs */
        uint32_t first_step; /* of the program's table: where this walk's begin */
        uint64_t first_word, words;
        uint32_t last_op, threads; /* of a workgroup */
        uint64_t cost;
        uint32_t widest; /* row */
};

static uint32_t threads_for(const struct qvf_program_desc *desc, uint32_t most)
{
        uint32_t widest = 0, threads = THREADS;

        for (uint32_t i = 0; i < desc->n_ops; i++)
                if (desc->ops[i].kind == QVF_OP_QUANTIZE)
                        widest = (uint32_t)qvf_max_u64(
                                        widest, desc->values[desc->ops[i].operand[2]].columns);
        if (vk_div_up(widest / 4, threads) > PIECES_MOST)
                threads = THREADS_MOST;
        for (uint32_t fewer = 256; threads > most && fewer > 0; fewer /= 2)
                threads = fewer;
        return threads;
}

int vk_walk_new(struct vk_build *build, const struct qvf_program_desc *desc)
{
        struct vk_walk *walk;

        if (build->device->walk_groups == 0)
                return 0;
        walk = calloc(1, sizeof(*walk));
        if (!walk)
                return -ENOMEM;
        walk->desc = desc;
        walk->last_use = build->last_use;
        walk->threads = threads_for(desc, build->device->limits.invocations);
        walk->room = desc->n_ops; /* an operation makes no more than one step, and one value each */
        walk->steps = calloc(walk->room ? walk->room : 1, sizeof(*walk->steps));
        walk->made = calloc(walk->room ? walk->room : 1, sizeof(*walk->made));
        build->walk = walk;
        build->walk_needs = (struct vk_walk_needs){ 0 };
        return walk->steps && walk->made ? 0 : -ENOMEM;
}

struct vk_walk *vk_walk_free(struct vk_walk *walk)
{
        if (walk) {
                free(walk->steps);
                free(walk->made);
        }
        free(walk);
        return NULL;
}

bool vk_walk_find(const struct vk_walk *walk, const struct vk_operand *operand, uint32_t *ret_word)
{
        for (uint32_t i = walk->n_made; i-- > 0;)
                if (vk_is_value(&walk->made[i].operand, operand)) {
                        *ret_word = walk->made[i].word;
                        return true;
                }
        return false;
}

static bool same(const struct qvf_value *a, const struct qvf_value *b)
{
        return !a || !b ||
               (a->buffer == b->buffer && a->offset == b->offset && a->rows == b->rows &&
                               a->columns == b->columns);
}

bool vk_walk_agrees(const struct vk_walk *walk, const struct vk_walk_frame *f)
{
        const struct vk_walk_frame *w = &walk->frame;

        if (walk->n_steps == 0)
                return true;
        if (w->of_outputs && !f->of_outputs)
                return false;
        if (f->head_size && w->head_size &&
                        (f->head_size != w->head_size || f->interleaved != w->interleaved ||
                                        f->window != w->window || !vk_same_float(f->turn, w->turn) ||
                                        !vk_same_float(f->magnitude, w->magnitude) ||
                                        !vk_same_float(f->score, w->score)))
                return false;
        return (f->head_size || f->layout == w->layout || w->layout == UINT32_MAX) &&
               same(f->position, w->position) && same(f->sequence, w->sequence) &&
               same(f->place, w->place) && same(f->table, w->table) && same(f->frequency, w->frequency);
}

/* A frame has the layout of matrices, or all that attention needs. */
static void take_up(struct vk_walk_frame *w, const struct vk_walk_frame *f, bool first)
{
        uint32_t layout = f->head_size ? (first ? UINT32_MAX : w->layout) : f->layout;

        if (first || f->head_size)
                *w = *f;
        w->layout = layout;
        w->of_outputs = f->of_outputs;
}

uint32_t vk_walk_words(struct vk_build *build, uint64_t words)
{
        struct vk_walk *walk = build->walk;
        uint64_t at = walk->first_word + walk->words;

        walk->words += (words + 3) / 4 * 4;
        return (uint32_t)at;
}

struct vk_walk_step *vk_walk_add(struct vk_build *build, const struct vk_walk_frame *frame,
                const struct vk_call *const calls[], uint32_t count, uint32_t last, uint32_t columns,
                uint64_t cost)
{
        struct vk_walk *walk = build->walk;
        struct vk_walk_step *step;

        if (walk->n_steps >= walk->room || walk->n_steps >= VK_WALK_STEPS_MOST ||
                        walk->n_made + count > walk->room || walk->first_word + walk->words > EXCHANGE_MOST)
                return NULL;
        take_up(&walk->frame, frame, walk->n_steps == 0);
        step = &walk->steps[walk->n_steps];
        memset(step, 0, sizeof(*step));
        for (uint32_t i = 0; i < count; i++) {
                step->made[i] = vk_walk_words(build, calls[i]->operand[0].columns);
                walk->made[walk->n_made++] = (struct made){ .operand = calls[i]->operand[0],
                        .id = calls[i]->op->operand[0],
                        .word = step->made[i],
                        .step = walk->n_steps,
                        .part = i };
        }
        walk->n_steps++;
        walk->n_inputs += !frame->of_outputs;
        walk->last_op = last;
        walk->widest = columns > walk->widest ? columns : walk->widest;
        walk->cost += cost;
        return step;
}

bool vk_walk_alias(struct vk_build *build, const struct vk_call *call, const struct vk_operand *source)
{
        struct vk_walk *walk = build->walk;
        uint32_t word;

        if (walk->n_made >= walk->room || !vk_walk_find(walk, source, &word))
                return false;
        walk->made[walk->n_made++] = (struct made){
                .operand = call->operand[0], .id = call->op->operand[0], .word = word, .is_alias = true
        };
        return true;
}

uint32_t vk_walk_groups(const struct vk_build *build)
{
        return build->device->walk_groups;
}

uint32_t vk_walk_threads(const struct vk_build *build)
{
        return build->walk->threads;
}

uint64_t vk_walk_address(const struct vk_build *build, const struct qvf_value *value)
{
        const VkBufferDeviceAddressInfo info = {
                .sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO,
                .buffer = value->buffer ? value->buffer->buffer : VK_NULL_HANDLE,
        };

        if (!build->program)
                return 0;
        return build->device->buffer_address(build->device->device, &info) + value->offset;
}

/* Results that somebody behind the walk looks at are written to their places too. */
static void place_results(struct vk_build *build)
{
        struct vk_walk *walk = build->walk;

        for (uint32_t i = 0; i < walk->n_made; i++) {
                struct made *made = &walk->made[i];
                bool needed = !made->operand.value->temporary || walk->last_use[made->id] > walk->last_op;

                for (uint32_t j = i + 1; j < walk->n_made && needed; j++)
                        needed = walk->made[j].is_alias ||
                                 !vk_overlap(&made->operand, &walk->made[j].operand);
                if (needed && !made->is_alias)
                        walk->steps[made->step].result_at[made->part] =
                                        vk_walk_address(build, made->operand.value);
        }
}

static void emit(struct vk_build *build, struct vk_walk *walk, const struct vk_walk_buffers *buffers)
{
        const struct qvf_value steps = { .buffer = buffers->steps,
                .offset = (uint64_t)walk->first_step * sizeof(struct vk_walk_step),
                .rows = VK_WALK_STEPS_MOST,
                .columns = sizeof(struct vk_walk_step),
                .dtype = QVF_U8 };
        const struct qvf_value exchange = { .buffer = buffers->exchange,
                .rows = 1,
                .columns = (uint32_t)build->walk_needs.words * 4,
                .dtype = QVF_U8 };
        const struct qvf_value cleared = { .buffer = buffers->exchange,
                .offset = walk->first_word * 4,
                .rows = 1,
                .columns = (uint32_t)walk->words * 4,
                .dtype = QVF_U8 };
        const struct qvf_value status = {
                .buffer = buffers->status, .rows = 1, .columns = 4, .dtype = QVF_U8
        };
        const struct vk_walk_frame *f = &walk->frame;
        const struct qvf_value *bound[] = { NULL, &exchange, &status, NULL, NULL, NULL, f->table,
                f->frequency };
        uint32_t threads = walk->threads;
        struct vk_dispatch d = {
                .shader = build->device->features.dot_product ? VK_SHADER_WALK_DOT : VK_SHADER_WALK,
                .n_bind = QVF_ARRAY_LENGTH(bound),
                .uniform = { &steps, f->position, f->sequence, f->place },
                .n_constants = 6,
                .groups = { build->device->walk_groups },
                .cost = walk->cost,
                .cleared = &cleared,
                .filling = VK_WALK_NOT_YET,
                .alone = true,
        };
        const uint32_t constants[] = { threads, f->layout, vk_div_up(walk->widest / 4, threads),
                f->head_size ? f->head_size : 8, f->head_size != 0, build->device->features.subgroup_size };

        memcpy(d.constant, constants, sizeof(constants));
        for (uint32_t i = 0; i < d.n_bind; i++)
                d.bind[i] = (struct vk_binding){ .value = bound[i], .written = i == 1 || i == 2 };
        d.push.n[0] = walk->n_steps;
        d.push.n[1] = vk_walk_looks(build->device);
        if (f->table) {
                d.push.n[2] = f->table->rows;
                d.push.n[3] = f->table->columns;
        }
        d.push.n[4] = f->interleaved;
        d.push.n[5] = f->window;
        d.push.n[6] = walk->n_inputs;
        d.push.f[0] = f->turn;
        d.push.f[1] = f->magnitude;
        d.push.f[2] = f->score;
        vk_emit(build, &d);
}

void vk_walk_end(struct vk_build *build)
{
        const struct vk_walk_buffers none = { 0 };
        struct vk_walk *walk = build->walk, gathered;
        int r = 0;

        if (!walk || walk->n_steps == 0)
                return;
        place_results(build);
        gathered = *walk;
        build->walk_needs.steps = walk->first_step + walk->n_steps;
        build->walk_needs.words = walk->first_word + walk->words;
        if (build->program)
                r = vk_buffer_upload(build->program->walk.steps,
                                (uint64_t)walk->first_step * sizeof(*walk->steps), walk->steps,
                                walk->n_steps * sizeof(*walk->steps));
        if (r < 0 && build->failure == 0)
                build->failure = r;
        walk->first_step += walk->n_steps;
        walk->first_word += walk->words;
        walk->n_steps = walk->n_inputs = walk->n_made = walk->widest = 0;
        walk->words = walk->cost = 0;
        emit(build, &gathered, build->program ? &build->program->walk : &none);
}

/* What is bound is always as much as the shader declares. */
static uint64_t steps_bytes(const struct vk_walk_needs *needs)
{
        return (needs->steps + VK_WALK_STEPS_MOST) * (uint64_t)sizeof(struct vk_walk_step);
}

uint64_t vk_walk_bytes(const struct vk_walk_needs *needs)
{
        return needs->steps == 0 ? 0 : steps_bytes(needs) + needs->words * 4;
}

int vk_walk_prepare(struct qvf_program *program, const struct vk_walk_needs *needs)
{
        struct qvf_device *device = program->device;
        struct vk_walk_buffers *walk = &program->walk;
        int r;

        if (needs->steps == 0)
                return 0;
        r = vk_buffer_new(device, steps_bytes(needs), QVF_BUFFER_DEVICE, &walk->steps);
        r = r < 0 ? r : vk_buffer_new(device, needs->words * 4, QVF_BUFFER_DEVICE, &walk->exchange);
        r = r < 0 ? r : vk_buffer_new(device, 256, QVF_BUFFER_RESULTS, &walk->status);
        return r;
}

void vk_walk_release(struct qvf_program *program)
{
        vk_buffer_free(program->walk.steps);
        vk_buffer_free(program->walk.exchange);
        vk_buffer_free(program->walk.status);
        program->walk = (struct vk_walk_buffers){ 0 };
}

bool vk_walk_failed(const struct qvf_program *program)
{
        const volatile uint32_t *gave_up = program->walk.status ? program->walk.status->memory.mapped : NULL;

        return gave_up && *gave_up != 0;
}
