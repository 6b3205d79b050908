/* SPDX-License-Identifier: Apache-2.0 */
/* Attention over the paged caches. Few rows alone would leave most of a device idle: their positions are cut into parts,
 * which a second dispatch adds up. */
#include "plugins/vulkan/ops/ops.h"

#define THREADS 128u
#define ROWS_TO_CUT 8u /* with more the rows and heads are enough */
#define PARTS_MOST 32u

enum { Y, Q, KEYS, VALUES, PLACE, TABLE };

static uint32_t parts_of(const struct vk_call *call)
{
        uint64_t positions = (uint64_t)call->operand[TABLE].columns * QVF_KV_BLOCK;
        uint64_t parts = (positions + THREADS - 1) / THREADS;

        if (call->rows > ROWS_TO_CUT || parts <= 1)
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

void vk_op_attention(struct vk_build *build, const struct vk_call *call)
{
        const struct vk_operand *o = call->operand;
        uint32_t size = (uint32_t)call->op->i[0], heads = o[Q].columns / size, parts = parts_of(call);
        uint64_t bytes = 4ull * call->rows * heads * parts * (size + 2);
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_ATTENTION);
        const uint32_t n[] = { o[Q].columns, o[KEYS].columns, o[TABLE].columns, o[KEYS].rows / QVF_KV_BLOCK,
                o[TABLE].rows, call->op->i[1] > 0 ? (uint32_t)call->op->i[1] : 0, parts, QVF_KV_BLOCK };
        const uint32_t constants[] = { THREADS, size, o[KEYS].dtype, o[VALUES].dtype };
        const struct qvf_value *scratch = NULL;

        for (unsigned i = 0; i < 8; i++)
                d.push.n[i] = n[i];
        for (unsigned i = 0; i < 4; i++)
                d.constant[i] = constants[i];
        d.n_constants = 4;
        if (parts > 1) {
                scratch = vk_scratch(build, 0, bytes);
                d.bind[Y] = (struct vk_binding){ .value = scratch, .bytes = bytes, .written = true };
        }
        d.groups[0] = heads;
        d.groups[1] = call->rows;
        d.groups[2] = parts;
        d.cost = (uint64_t)call->rows * o[Q].columns * o[TABLE].columns * QVF_KV_BLOCK;
        vk_emit(build, &d);
        if (parts > 1)
                emit_combine(build, call, scratch, bytes, parts);
}
