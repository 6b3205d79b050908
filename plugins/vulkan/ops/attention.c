/* SPDX-License-Identifier: Apache-2.0 */
/* Attention over the paged caches. Few rows alone would leave most of a device idle: their positions are cut into parts,
 * which a second dispatch adds up. */
#include "plugins/vulkan/ops/attention.h"

#include "common/checked.h"
#include "plugins/vulkan/ops/ops.h"

#define THREADS_MOST 512u /* 16 blocks of 32 positions: a span */
#define SPAN 512u         /* positions whose sums begin anew: docs/arithmetic.md */
#define ROWS_TO_CUT 8u    /* with more the rows and heads are enough */
#define TILE 64u          /* rows, in attention_tile.glsl */

enum { Y, Q, KEYS, VALUES, PLACE, TABLE };

/* Spans that have workgroups of their own. */
static uint32_t parts_of(const struct vk_call *call)
{
        uint32_t blocks = call->operand[TABLE].columns;

        return call->rows > ROWS_TO_CUT ? 1 : vk_div_up(blocks, SPAN / QVF_KV_BLOCK);
}

void vk_attention_combine(struct vk_build *build, const struct vk_call *call, const struct qvf_value *parts,
                uint32_t n_parts, uint32_t row, uint32_t rows)
{
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_ATTENTION_COMBINE);
        uint32_t size = (uint32_t)call->op->i[0], heads = call->operand[Q].columns / size;
        uint64_t bytes = 4ull * rows * heads * n_parts * (size + 2);

        d.bind[0] = vk_bind_rows(
                        call->operand[Y].value, vk_operand_row_bytes(&call->operand[Y]), row, rows, true);
        d.bind[1] = (struct vk_binding){ .value = parts, .bytes = bytes };
        d.push.row0 = row;
        d.n_bind = 2;
        d.constant[0] = size;
        d.n_constants = 1;
        d.push.n[0] = heads;
        d.push.n[1] = n_parts;
        d.groups[0] = heads;
        d.groups[1] = rows;
        d.cost = bytes;
        vk_emit(build, &d);
}

bool vk_attention_in_range(const struct vk_call *call, uint64_t parts_bytes)
{
        const struct vk_operand *o = call->operand;

        return parts_bytes <= call->limits->range && vk_in_range(call, &o[Y]) && vk_in_range(call, &o[Q]) &&
               vk_in_range(call, &o[KEYS]) && vk_in_range(call, &o[VALUES]);
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
        d.constant[5] = (uint32_t)qvf_min_u64(
                        vk_attention_step(call), call->tuning->value[VK_TUNE_PROMPT_STEP]);
        d.n_constants = 6;
        d.groups[1] = d.groups[0];
        d.groups[0] = vk_div_up(call->rows, TILE);
        vk_emit(build, &d);
}

uint32_t vk_attention_threads(const struct vk_limits *limits, uint32_t size)
{
        uint32_t threads = THREADS_MOST;

        /* In attention_row.glsl: a query, and of each block weights, sums and a few numbers. */
        while (threads > limits->invocations ||
                        4 * (size + 4) + threads / QVF_KV_BLOCK * 4 * (QVF_KV_BLOCK + 3 + size) >
                                        limits->shared)
                threads /= 2;
        return threads;
}

void vk_op_attention(struct vk_build *build, const struct vk_call *call)
{
        const struct vk_operand *o = call->operand;
        uint32_t size = (uint32_t)call->op->i[0], heads = o[Q].columns / size, parts = parts_of(call);
        uint64_t bytes = 4ull * call->rows * heads * parts * (size + 2);
        struct vk_dispatch d = dispatch_of(call, VK_SHADER_ATTENTION);
        const struct qvf_value *scratch = NULL;

        if (!vk_attention_in_range(call, parts > 1 ? bytes : 0)) {
                vk_attention_cut(build, call);
                return;
        }
        if (call->rows >= call->tuning->value[VK_TUNE_PROMPT_ROWS]) {
                emit_prompt(build, call);
                return;
        }
        d.constant[0] = (uint32_t)qvf_min_u64(vk_attention_threads(call->limits, size),
                        call->tuning->value[VK_TUNE_ATTENTION_LANES]);
        d.constant[1] = size;
        d.constant[2] = o[KEYS].dtype;
        d.constant[3] = o[VALUES].dtype;
        d.n_constants = 4;
        d.push.n[6] = parts;
        if (parts > 1) {
                scratch = vk_scratch(build, 0, bytes);
                d.bind[Y] = (struct vk_binding){ .value = scratch, .bytes = bytes, .written = true };
        }
        d.groups[2] = parts;
        vk_emit(build, &d);
        if (parts > 1)
                vk_attention_combine(build, call, scratch, parts, 0, call->rows);
}
