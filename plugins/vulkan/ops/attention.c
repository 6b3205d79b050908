/* SPDX-License-Identifier: Apache-2.0 */
/* Attention over the paged caches. Few rows alone would leave most of a device idle: their positions are cut into parts,
 * which a second dispatch adds up. */
#include "plugins/vulkan/ops/attention.h"

#include "plugins/vulkan/ops/ops.h"

#define THREADS 128u
#define LANES_THREADS 512u     /* of attention_lanes.comp */
#define SUBGROUPS_SHARED 4096u /* numbers that its subgroups have for what they found */
#define ROWS_TO_CUT 8u         /* with more the rows and heads are enough */
#define ROWS_OF_A_PROMPT 16u   /* from here on tiles are better */
#define PARTS_MOST 32u
#define LANES_PART 1024u /* positions that a workgroup of subgroups goes through at once */
#define TILE 64u         /* rows, in attention_tile.glsl */

enum { Y, Q, KEYS, VALUES, PLACE, TABLE };

/* Into how many parts the positions are cut, each of at least `least` of them. */
static uint32_t parts_of(const struct vk_call *call, uint32_t least)
{
        uint64_t positions = (uint64_t)call->operand[TABLE].columns * QVF_KV_BLOCK;
        uint64_t parts = (positions + least - 1) / least;

        if (call->rows > ROWS_TO_CUT)
                return 1;
        return parts > PARTS_MOST ? PARTS_MOST : (uint32_t)parts;
}

static void emit_combine(struct vk_build *build, const struct vk_call *call, const struct qvf_value *parts,
                uint64_t bytes, uint32_t n_parts)
{
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_ATTENTION_COMBINE);
        uint32_t size = (uint32_t)call->op->i[0], heads = call->operand[Q].columns / size;

        d.bind[1] = (struct vk_binding){ .value = parts, .bytes = bytes };
        d.n_bind = 2;
        d.constant[0] = size;
        d.n_constants = 1;
        d.push.n[0] = heads;
        d.push.n[1] = n_parts;
        d.groups[0] = heads;
        d.groups[1] = call->rows;
        d.cost = bytes;
        vk_emit(build, &d);
}

static struct vk_dispatch dispatch_of(const struct vk_call *call, enum vk_shader shader)
{
        const struct vk_operand *o = call->operand;
        struct vk_dispatch d = vk_dispatch(call, shader);
        const uint32_t n[] = { o[Q].columns, o[KEYS].columns, o[TABLE].columns, o[KEYS].rows / QVF_KV_BLOCK,
                o[TABLE].rows, call->op->i[1] > 0 ? (uint32_t)call->op->i[1] : 0 };

        for (unsigned i = 0; i < 6; i++)
                d.push.n[i] = n[i];
        d.groups[0] = o[Q].columns / (uint32_t)call->op->i[0];
        d.groups[1] = call->rows;
        d.cost = (uint64_t)call->rows * o[Q].columns * o[TABLE].columns * QVF_KV_BLOCK;
        return d;
}

uint32_t vk_attention_step(const struct vk_call *call)
{
        uint32_t size = (uint32_t)call->op->i[0];

        if (call->limits->shared >= 49152 && size >= 64)
                return 64;
        return call->limits->shared >= 32768 && size >= 32 ? 32 : 16;
}

static void emit_prompt(struct vk_build *build, const struct vk_call *call)
{
        struct vk_dispatch d = dispatch_of(call, VK_SHADER_ATTENTION_PROMPT);

        d.constant[0] = (uint32_t)call->op->i[0];
        d.constant[1] = call->operand[KEYS].dtype;
        d.constant[2] = call->operand[VALUES].dtype;
        d.constant[5] = vk_attention_step(call);
        d.n_constants = 6;
        d.groups[1] = d.groups[0];
        d.groups[0] = vk_div_up(call->rows, TILE);
        vk_emit(build, &d);
}

/* Whether a lane can have eight columns, and a subgroup some positions abreast. */
static bool lanes_fit(const struct vk_call *call, uint32_t size)
{
        uint32_t lanes = call->features->subgroup_size, of_a_cell = size / 8;

        return call->features->subgroup && size % 8 == 0 && (of_a_cell & (of_a_cell - 1)) == 0 &&
               of_a_cell <= lanes && lanes / of_a_cell <= QVF_KV_BLOCK;
}

static uint32_t lanes_threads(const struct vk_call *call, uint32_t size)
{
        uint32_t lanes = call->features->subgroup_size, threads = LANES_THREADS;
        uint32_t blocks = call->operand[TABLE].columns;

        if (threads > call->limits->invocations)
                threads = call->limits->invocations;
        if (threads / lanes > blocks)
                threads = blocks * lanes;
        while (threads / lanes * (size + 2) > SUBGROUPS_SHARED)
                threads -= lanes;
        return threads / lanes * lanes;
}

void vk_op_attention(struct vk_build *build, const struct vk_call *call)
{
        const struct vk_operand *o = call->operand;
        uint32_t size = (uint32_t)call->op->i[0], heads = o[Q].columns / size;
        bool lanes = lanes_fit(call, size);
        uint32_t least = lanes ? LANES_PART : QVF_KV_BLOCK,
                 parts = parts_of(call, lanes ? LANES_PART : THREADS);
        uint64_t bytes = 4ull * call->rows * heads * parts * (size + 2);
        struct vk_dispatch d = dispatch_of(call, lanes ? VK_SHADER_ATTENTION_LANES : VK_SHADER_ATTENTION);
        const uint32_t constants[] = { lanes ? lanes_threads(call, size) : THREADS, size, o[KEYS].dtype,
                o[VALUES].dtype, call->features->subgroup_size };
        const struct qvf_value *scratch = NULL;

        if (call->rows >= ROWS_OF_A_PROMPT) {
                emit_prompt(build, call);
                return;
        }
        for (unsigned i = 0; i < 5; i++)
                d.constant[i] = constants[i];
        d.n_constants = lanes ? 5 : 4;
        d.push.n[6] = parts;
        d.push.n[7] = least;
        if (parts > 1) {
                scratch = vk_scratch(build, 0, bytes);
                d.bind[Y] = (struct vk_binding){ .value = scratch, .bytes = bytes, .written = true };
        }
        d.groups[2] = parts;
        vk_emit(build, &d);
        if (parts > 1)
                emit_combine(build, call, scratch, bytes, parts);
}
