/* SPDX-License-Identifier: Apache-2.0 */
/* dW = f0 · Σ_r dy[r] x[r]ᵀ. The rows are cut into parts where there are many, since dW alone has too few numbers to
 * fill a device with. */
#include "plugins/vulkan/ops/ops.h"

#define NARROW 8u      /* places of the narrower matrix that an invocation has */
#define COLUMNS 32u    /* invocations beside each other */
#define COLUMNS_FEW 8u /* with few rows more workgroups, and shorter slices */
#define FEW_ROWS 256u
#define MORE_ROWS                                                                                           \
        2048u /* up to these a workgroup of twice the slices does them all: no parts that are added up later */
#define MORE_INVOCATIONS 256u
#define INVOCATIONS 128u
#define SLICES 8u      /* of the rows in a workgroup */
#define PARTS_MOST 32u /* of the rows, in workgroups */
#define ROWS_OF_A_PART 128u
#define PARTS_BYTES (32u << 20) /* a large dW has workgroups enough */

struct shape {
        uint32_t wide, narrow; /* columns of the wider and the narrower of dy and x */
        bool x_wide;
        bool vectors; /* both are whole vectors */
        bool many;    /* slices of the rows */
        uint32_t parts;
};

static struct shape shape_of(const struct vk_call *call)
{
        uint32_t rows = call->operand[0].rows, columns = call->operand[0].columns;
        struct shape s = { .x_wide = columns >= rows };

        s.wide = s.x_wide ? columns : rows;
        s.narrow = s.x_wide ? rows : columns;
        s.vectors = s.wide % 4 == 0 && s.narrow % NARROW == 0;
        s.many = s.vectors && call->rows > FEW_ROWS && call->rows <= MORE_ROWS &&
                 call->limits->invocations >= MORE_INVOCATIONS &&
                 call->limits->shared >= MORE_INVOCATIONS * NARROW * 16;
        s.parts = call->rows <= FEW_ROWS || s.many ? 1 : vk_div_up(call->rows, ROWS_OF_A_PART);
        if (s.parts > PARTS_MOST)
                s.parts = PARTS_MOST;
        if (4ull * s.wide * s.narrow * s.parts > PARTS_BYTES)
                s.parts = 1;
        return s;
}

static void emit_combine(struct vk_build *build, const struct vk_call *call, const struct shape *shape,
                const struct vk_binding *parts)
{
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_MATMUL_WEIGHT_COMBINE);

        d.bind[1] = *parts;
        d.bind[1].written = false;
        d.n_bind = 2;
        d.push.n[0] = shape->wide * shape->narrow;
        d.push.n[1] = shape->parts;
        d.groups[0] = vk_div_up(d.push.n[0], 64);
        d.groups[1] = vk_div_up(d.groups[0], 32768);
        d.groups[0] = vk_div_up(d.groups[0], d.groups[1]);
        d.cost = (uint64_t)d.push.n[0] * shape->parts;
        vk_emit_later(build, &d);
}

void vk_op_matmul_weight_backward(struct vk_build *build, const struct vk_call *call)
{
        const struct vk_operand *dw = &call->operand[0], *dy = &call->operand[1], *x = &call->operand[2];
        struct shape s = shape_of(call);
        uint64_t bytes = 4ull * s.wide * s.narrow * s.parts;
        struct vk_dispatch d = vk_dispatch(call, s.vectors ? VK_SHADER_MATMUL_WEIGHT_BACKWARD_WIDE
                                                           : VK_SHADER_MATMUL_WEIGHT_BACKWARD);
        const uint32_t n[] = { s.wide, s.narrow, s.x_wide ? 1 : dw->columns, s.x_wide ? dw->columns : 1, 0,
                s.parts };
        uint32_t columns = s.vectors && (s.many || call->rows <= FEW_ROWS) ? COLUMNS_FEW : COLUMNS;
        const uint32_t constants[] = { columns,
                !s.vectors ? SLICES
                : s.many   ? MORE_INVOCATIONS
                           : INVOCATIONS,
                COLUMNS * SLICES, NARROW };

        for (unsigned i = 0; i < 6; i++)
                d.push.n[i] = n[i];
        for (unsigned i = 0; i < 4; i++)
                d.constant[i] = constants[i];
        d.n_constants = s.vectors ? 2 : 4;
        d.bind[1].value = s.x_wide ? x->value : dy->value;
        d.bind[2].value = s.x_wide ? dy->value : x->value;
        if (s.parts > 1)
                d.bind[0] = (struct vk_binding){
                        .value = vk_scratch(build, 0, bytes), .bytes = bytes, .written = true
                };
        d.groups[0] = vk_div_up(s.wide, s.vectors ? 4 * columns : columns);
        d.groups[1] = vk_div_up(s.narrow, NARROW);
        d.groups[2] = s.parts;
        d.cost = (uint64_t)call->rows * s.wide * s.narrow;
        vk_emit(build, &d);
        if (s.parts > 1)
                emit_combine(build, call, &s, &d.bind[0]);
}
