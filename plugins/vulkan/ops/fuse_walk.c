/* SPDX-License-Identifier: Apache-2.0 */
/* What can be a step of a walk (walk.h): chains of a single row; ROPE, KV_STORE and ATTENTION of one. */
#include <string.h>

#include "plugins/vulkan/ops/attention.h"
#include "plugins/vulkan/ops/chain.h"
#include "plugins/vulkan/ops/fuse.h"
#include "plugins/vulkan/ops/ternary.h"
#include "plugins/vulkan/pack.h"
#include "plugins/vulkan/walk.h"

#define HEAD_MOST 128u
#define SPAN 512u
#define BLOCKS_MOST 256u /* of a sequence: with more the spans are better shared out otherwise */
#define PIECES_MOST 7u   /* of a row, by 512 invocations */

#define UNIFORM_ALIGNMENT 256u /* the most that a device may ask for */

/* Where a step finds its input: in the exchange, or at an address. */
static void find_input(const struct vk_build *build, const struct vk_operand *operand, uint32_t *ret_word,
                uint64_t *ret_address)
{
        if (!vk_walk_find(build->walk, operand, ret_word))
                *ret_address = vk_walk_address(build, operand->value);
}

/* How many lanes share a row of weights (or it and its pair): with as few turns as can be. */
static void choose_lanes(const struct vk_call *call, struct vk_walk_step *step, bool paired, uint32_t each,
                uint32_t threads)
{
        uint32_t fewest = UINT32_MAX;

        for (uint32_t lanes = 4, shift = 2; lanes <= call->features->subgroup_size && lanes <= 32;
                        lanes *= 2, shift++) {
                uint32_t turns = vk_div_up(step->of_row, paired ? lanes / 2 : lanes);

                if (turns * vk_div_up(each, threads / lanes) > fewest)
                        continue;
                fewest = turns * vk_div_up(each, threads / lanes);
                step->lanes = lanes;
                step->shift = shift;
                step->turns = turns;
        }
        for (uint32_t i = 0; i < VK_CHAIN_PARTS; i++)
                step->loads[i] = step->turns * vk_div_up(step->each[i], threads / step->lanes);
}

/* Each part gets its share of the workgroups. */
static void share_out(const struct vk_build *build, const struct vk_call *call, struct vk_walk_step *step,
                bool paired)
{
        uint32_t left = vk_walk_groups(build), rows = step->rows[0] + step->rows[1] + step->rows[2],
                 most = 0;

        for (uint32_t i = 0; i < VK_CHAIN_PARTS && step->rows[i] > 0; i++) {
                uint32_t groups = (uint32_t)((uint64_t)left * step->rows[i] / rows);

                groups = groups < 1 ? 1 : groups > step->rows[i] ? step->rows[i] : groups;
                step->groups[i] = groups;
                step->each[i] = vk_div_up(step->rows[i], groups);
                most = step->each[i] > most ? step->each[i] : most;
                left = left > groups ? left - groups : 1;
                rows -= step->rows[i];
        }
        choose_lanes(call, step, paired, most, vk_walk_threads(build));
}

/* gate: the activation of the first part's rows by the second's, or NULL. */
static void fill_products(struct vk_build *build, const struct vk_chain *chain, const struct vk_call *gate,
                struct vk_walk_step *step)
{
        const struct vk_call *call = chain->quantize;
        const struct qvf_value *weight = chain->product[0]->operand[3].value;

        step->kind = VK_STEP_PRODUCTS;
        step->columns = call->operand[2].columns;
        for (uint32_t i = 0; i < chain->parts; i++) {
                const struct vk_operand *w = &chain->product[i]->operand[3];

                step->scale[i] = w->value->scale;
                if (gate && i == 1) {
                        step->paired_at = vk_walk_address(build, w->value);
                        break;
                }
                step->rows[i] = w->rows;
                step->matrix_at[i] = vk_walk_address(build, w->value);
        }
        step->of_row = vk_packed_row_words(weight->dtype, weight->columns) / 4;
        step->inverse = 1 / (float)step->columns;
        share_out(build, call, step, gate != NULL);
        if (gate)
                step->flags |= VK_STEP_PAIRED | (gate->op->i[0] == 0 ? VK_STEP_SILU : 0);
        if (chain->norm) {
                step->flags |= VK_STEP_NORMALISES;
                step->epsilon = chain->norm->op->f[0];
                step->norm_at = vk_walk_address(build, chain->norm->operand[2].value);
        }
        if (chain->add) {
                step->flags |= VK_STEP_ADDS;
                step->kept = chain->add->op->f[0];
                step->added = chain->add->op->f[1];
        }
}

static struct vk_walk_frame frame_of(const struct vk_chain *chain)
{
        return (struct vk_walk_frame){ .layout = vk_ternary_layout(chain->product[0]->operand[3].value) ==
                                                 VK_TERNARY_P1,
                .of_outputs = chain->quantize->op->rows == QVF_ROWS_OUTPUT };
}

/* gate: follows the chain's products; index: chooses the row and the addend; or NULL. */
static bool add_chain(struct vk_build *build, const struct vk_chain *chain, const struct vk_call *gate,
                const struct vk_call *index)
{
        const struct vk_call *const *results = gate ? &gate : chain->add ? &chain->add : chain->product;
        const struct vk_call *last = gate         ? gate
                                     : chain->add ? chain->add
                                                  : chain->product[chain->parts - 1];
        uint32_t n_results = gate || chain->add ? 1 : chain->parts;
        const struct vk_walk_frame frame = frame_of(chain);
        uint32_t word[2] = { 0 };
        uint64_t address[2] = { 0 }, cost = 0;
        struct vk_walk_step *step;

        if (!vk_walk_agrees(build->walk, &frame))
                vk_walk_end(build);
        find_input(build, chain->input, &word[0], &address[0]);
        if (chain->add)
                find_input(build, &chain->add->operand[1], &word[1], &address[1]);
        for (uint32_t i = 0; i < chain->parts; i++)
                cost += (uint64_t)chain->product[i]->operand[3].rows * chain->product[i]->operand[3].columns;
        step = vk_walk_add(build, &frame, results, n_results, last->at, chain->quantize->operand[2].columns,
                        cost);
        if (!step)
                return false;
        fill_products(build, chain, gate, step);
        memcpy(step->input, word, sizeof(word));
        step->row_at = address[0];
        step->addend_at = address[1];
        if (index)
                step->index_at = vk_walk_address(build, index->operand[2].value);
        return true;
}

/* A program that walks needs addresses at multiples of what is read at once. */
static bool is_aligned(const struct vk_chain *chain)
{
        return !chain->gate && chain->input->value->offset % 16 == 0 &&
               (!chain->norm || chain->norm->operand[2].value->offset % 16 == 0) &&
               vk_div_up(chain->quantize->operand[2].columns / 4, 512) <= PIECES_MOST;
}

/* GATE of the chain's two products, which nobody else looks at. */
static bool is_gate_of(const struct vk_chain *chain, const struct vk_call *gate)
{
        const struct vk_operand *o = gate->operand;

        return gate->op->kind == QVF_OP_GATE && chain->parts == 2 && !chain->add && gate->rows == 1 &&
               gate->op->rows == chain->quantize->op->rows &&
               vk_is_value(&o[1], &chain->product[0]->operand[0]) &&
               vk_is_value(&o[2], &chain->product[1]->operand[0]) &&
               (o[1].last || vk_is_value(&o[0], &o[1])) && (o[2].last || vk_is_value(&o[0], &o[2]));
}

static uint32_t chain_step(struct vk_build *build, const struct vk_call *calls, uint32_t count)
{
        const struct vk_call *gate;
        struct vk_chain chain;

        if (!vk_chain_find(calls, count, &chain) || !is_aligned(&chain))
                return 0;
        gate = chain.count < count && is_gate_of(&chain, &calls[chain.count]) ? &calls[chain.count] : NULL;
        return add_chain(build, &chain, gate, NULL) ? chain.count + (gate != NULL) : 0;
}

/* Behind the last attention: GATHER of x and of what attention gave, a single row of a single row, then a chain with
 * them. Nobody else looks at what is gathered. */
static uint32_t gathered_step(struct vk_build *build, const struct vk_call *calls, uint32_t count)
{
        const struct vk_call *x = &calls[0], *y = &calls[1];
        struct vk_walk_frame frame;
        struct vk_chain chain;
        uint32_t word;

        if (count < 4 || x->op->kind != QVF_OP_GATHER || y->op->kind != QVF_OP_GATHER || x->rows != 1 ||
                        x->operand[1].rows != 1 || y->operand[1].rows != 1 ||
                        !vk_is_value(&x->operand[2], &y->operand[2]) ||
                        !vk_walk_find(build->walk, &x->operand[1], &word) ||
                        !vk_walk_find(build->walk, &y->operand[1], &word))
                return 0;
        if (!vk_chain_find(calls + 2, count - 2, &chain) || !is_aligned(&chain) || !chain.add ||
                        !vk_is_value(&y->operand[0], chain.input) || !chain.input->last ||
                        !vk_is_value(&x->operand[0], &chain.add->operand[1]) ||
                        !vk_is_value(&chain.add->operand[0], &chain.add->operand[1]))
                return 0;
        frame = frame_of(&chain);
        if (!vk_walk_agrees(build->walk, &frame) || !vk_walk_alias(build, x, &x->operand[1]) ||
                        !vk_walk_alias(build, y, &y->operand[1]))
                return 0;
        return add_chain(build, &chain, NULL, y) ? chain.count + 2 : 0;
}

/* These are bound as uniform buffers. */
static bool is_uniform(const struct vk_operand *operand)
{
        return operand->value->offset % UNIFORM_ALIGNMENT == 0;
}

static bool is_attention(const struct vk_call *c)
{
        const struct vk_operand *o = c[4].operand;
        uint32_t size = (uint32_t)c[4].op->i[0];

        return vk_is_rope_and_store(c) && c[4].op->kind == QVF_OP_ATTENTION && c[4].rows == 1 &&
               size == (uint32_t)c[0].op->i[0] && size % 8 == 0 && size <= HEAD_MOST && c[4].op->f[0] > 0 &&
               vk_is_value(&o[1], &c[0].operand[0]) && vk_is_value(&o[2], &c[2].operand[0]) &&
               vk_is_value(&o[3], &c[3].operand[0]) && vk_is_value(&o[5], &c[2].operand[4]) &&
               o[2].dtype == QVF_F16 && o[2].columns % 8 == 0 && o[2].value->offset % 16 == 0 &&
               o[3].value->offset % 16 == 0 && o[5].columns <= BLOCKS_MOST && o[1].last &&
               is_uniform(&c[0].operand[2]) && is_uniform(&c[2].operand[3]) && is_uniform(&o[4]) &&
               c[2].operand[1].last && c[3].operand[1].last && c[0].op->rows == c[4].op->rows;
}

static uint32_t attention_step(struct vk_build *build, const struct vk_call *c, uint32_t count)
{
        const struct vk_call *attention = &c[4];
        const struct vk_operand *o = attention->operand;
        struct vk_walk_frame frame;
        struct vk_walk_step *step;
        uint32_t word[3], size, heads;

        if (count < 5 || c[0].op->kind != QVF_OP_ROPE || !is_attention(c) ||
                        !vk_walk_find(build->walk, &o[1], &word[0]) ||
                        !vk_walk_find(build->walk, &c[2].operand[1], &word[1]) ||
                        !vk_walk_find(build->walk, &c[3].operand[1], &word[2]))
                return 0;
        size = (uint32_t)attention->op->i[0];
        heads = o[1].columns / size;
        frame = (struct vk_walk_frame){ .head_size = size,
                .of_outputs = attention->op->rows == QVF_ROWS_OUTPUT,
                .position = c[0].operand[2].value,
                .sequence = c[2].operand[3].value,
                .place = o[4].value,
                .table = o[5].value,
                .frequency = c[0].operand[3].value,
                .interleaved = (uint32_t)c[0].op->i[1],
                .window = attention->op->i[1] > 0 ? (uint32_t)attention->op->i[1] : 0,
                .turn = c[0].op->f[0],
                .magnitude = c[0].op->f[1],
                .score = attention->op->f[0] };
        if (!vk_walk_agrees(build->walk, &frame))
                return 0;
        step = vk_walk_add(build, &frame, &attention, 1, attention->at, 0,
                        (uint64_t)o[1].columns * o[5].columns * QVF_KV_BLOCK);
        if (!step)
                return 0;
        step->kind = VK_STEP_ATTENTION;
        step->columns = o[1].columns;
        step->rows[0] = o[2].columns;
        memcpy(step->input, word, sizeof(word));
        step->blocks = o[2].rows / QVF_KV_BLOCK;
        step->keys_at = vk_walk_address(build, o[2].value);
        step->values_at = vk_walk_address(build, o[3].value);
        step->spans = vk_walk_words(
                        build, (uint64_t)vk_div_up(o[5].columns, SPAN / QVF_KV_BLOCK) * heads * (size + 2));
        return 5;
}

uint32_t vk_fuse_walk(struct vk_build *build, const struct vk_call *calls, uint32_t count)
{
        uint32_t done;

        if (!build->walk)
                return 0;
        done = chain_step(build, calls, count);
        done = done > 0 ? done : attention_step(build, calls, count);
        return done > 0 ? done : gathered_step(build, calls, count);
}
