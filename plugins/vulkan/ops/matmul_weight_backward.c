/* SPDX-License-Identifier: Apache-2.0 */
/* dW = f0 · Σ_r dy[r] x[r]ᵀ, up to three of them side by side. The rows are cut into parts where there are many, since dW alone has too few numbers to
 * fill a device with. */
#include "common/checked.h"
#include "plugins/vulkan/ops/fuse.h"
#include "plugins/vulkan/ops/ops.h"

enum { DW, DY, X };

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
#define TOGETHER 3u /* products of one dispatch */
#define WIDE_MOST 0xfffffu
#define NARROW_MOST 0x7ffu
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
        s.vectors = s.wide % 4 == 0 && s.narrow % NARROW == 0 && s.wide <= WIDE_MOST &&
                    s.narrow <= NARROW_MOST;
        s.many = s.vectors && call->rows > FEW_ROWS && call->rows <= MORE_ROWS &&
                 call->limits->invocations >= MORE_INVOCATIONS &&
                 call->limits->shared >= MORE_INVOCATIONS * NARROW * 16;
        s.parts = call->rows <= FEW_ROWS || s.many ? 1 : vk_div_up(call->rows, ROWS_OF_A_PART);
        if (s.parts > PARTS_MOST)
                s.parts = PARTS_MOST;
        if (4ull * s.wide * s.narrow * s.parts >
                        qvf_min_u64(PARTS_BYTES, call->limits->range - call->limits->alignment))
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

static struct vk_dispatch plain_dispatch(const struct vk_call *call, const struct shape *shape)
{
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_MATMUL_WEIGHT_BACKWARD);
        const struct vk_operand *o = call->operand;
        const uint32_t n[] = { shape->wide, shape->narrow, shape->x_wide ? 1 : o[DW].columns,
                shape->x_wide ? o[DW].columns : 1, shape->wide, shape->parts, call->rows, shape->narrow };
        const uint32_t constants[] = { COLUMNS, SLICES, COLUMNS * SLICES, NARROW };

        for (unsigned i = 0; i < 8; i++)
                d.push.n[i] = n[i];
        for (unsigned i = 0; i < 4; i++)
                d.constant[i] = constants[i];
        d.n_constants = 4;
        d.bind[1].value = o[shape->x_wide ? X : DY].value;
        d.bind[2].value = o[shape->x_wide ? DY : X].value;
        return d;
}

/* `count` rows of dW from `first` on, and some rows of dy and x: a piece of what bindings are too small for. */
static void emit_piece(struct vk_build *build, const struct vk_call *call, const struct shape *shape,
                uint32_t first, uint32_t count, uint32_t row, uint32_t rows)
{
        struct vk_dispatch d = plain_dispatch(call, shape);
        const struct vk_operand *o = call->operand;

        d.push.n[shape->x_wide ? 7 : 4] = count;
        d.push.n[6] = rows;
        d.push.row0 = row;
        if (row > 0)
                d.push.flags |= QVF_ACCUMULATE;
        d.bind[0].offset = first * vk_operand_row_bytes(&o[DW]);
        d.bind[0].bytes = count * vk_operand_row_bytes(&o[DW]);
        for (int i = 1; i <= 2; i++) {
                bool is_x = (i == 1) == shape->x_wide;
                uint64_t row_bytes = vk_operand_row_bytes(&o[is_x ? X : DY]),
                         skipped = is_x ? 0 : 4ull * first;

                d.bind[i].offset = row * row_bytes + skipped;
                d.bind[i].bytes = rows * row_bytes - skipped;
        }
        d.groups[0] = vk_div_up(d.push.n[4], COLUMNS);
        d.groups[1] = vk_div_up(d.push.n[7], NARROW);
        d.cost = (uint64_t)rows * d.push.n[4] * d.push.n[7];
        vk_emit(build, &d);
}

static bool in_range(const struct vk_call *call)
{
        return vk_in_range(call, &call->operand[DW]) && vk_in_range(call, &call->operand[DY]) &&
               vk_in_range(call, &call->operand[X]);
}

static void emit_cut(struct vk_build *build, const struct vk_call *call)
{
        struct shape shape = shape_of(call);
        const struct vk_operand *o = call->operand;
        uint32_t rows = (uint32_t)qvf_min_u64(vk_rows_in_range(call, &o[DY]), vk_rows_in_range(call, &o[X]));
        uint32_t step = vk_rows_in_range(call, &o[DW]);

        shape.parts = 1;
        for (uint32_t first = 0; first < o[DW].rows; first += step)
                for (uint32_t row = 0; row < call->rows; row += rows)
                        emit_piece(build, call, &shape, first,
                                        (uint32_t)qvf_min_u64(step, o[DW].rows - first), row,
                                        (uint32_t)qvf_min_u64(rows, call->rows - row));
}

static void emit_plain(struct vk_build *build, const struct vk_call *call, const struct shape *shape)
{
        struct vk_dispatch d = plain_dispatch(call, shape);
        uint64_t bytes = 4ull * shape->wide * shape->narrow * shape->parts;

        if (shape->parts > 1)
                d.bind[0] = (struct vk_binding){
                        .value = vk_scratch(build, 0, bytes), .bytes = bytes, .written = true
                };
        d.groups[0] = vk_div_up(shape->wide, COLUMNS);
        d.groups[1] = vk_div_up(shape->narrow, NARROW);
        d.groups[2] = shape->parts;
        d.cost = (uint64_t)call->rows * shape->wide * shape->narrow;
        vk_emit(build, &d);
        if (shape->parts > 1)
                emit_combine(build, call, shape, &d.bind[0]);
}

/* Product `which` of a dispatch. */
static void add_wide(const struct vk_call *call, const struct shape *shape, uint32_t which, uint32_t columns,
                struct vk_dispatch *d)
{
        const struct vk_operand *o = call->operand;

        d->push.n[which] = shape->wide | shape->narrow << 20 | (shape->x_wide ? 0 : 1u << 31);
        d->push.f[which] = call->op->f[0];
        d->bind[3 * which] = (struct vk_binding){ .value = o[DW].value, .written = true };
        d->bind[3 * which + 1] = (struct vk_binding){ .value = o[shape->x_wide ? X : DY].value };
        d->bind[3 * which + 2] = (struct vk_binding){ .value = o[shape->x_wide ? DY : X].value };
        d->n_bind = 3 * which + 3;
        d->groups[0] = (uint32_t)qvf_max_u64(d->groups[0], vk_div_up(shape->wide, 4 * columns));
        d->groups[1] = (uint32_t)qvf_max_u64(d->groups[1], vk_div_up(shape->narrow, NARROW));
        d->cost += (uint64_t)call->rows * shape->wide * shape->narrow;
}

static bool goes_along(const struct vk_call *calls, uint32_t at, const struct shape *shape)
{
        const struct vk_call *call = &calls[at];

        if (!shape->vectors || shape->parts > 1 || !in_range(call) || call->op->rows != calls->op->rows ||
                        call->rows != calls->rows || call->op->flags != calls->op->flags)
                return false;
        for (uint32_t i = 0; i < at; i++)
                for (int j = DW; j <= X; j++)
                        if (vk_overlap(&calls[i].operand[DW], &call->operand[j]) ||
                                        vk_overlap(&calls[i].operand[j], &call->operand[DW]))
                                return false;
        return true;
}

uint32_t vk_fuse_weights(struct vk_build *build, const struct vk_call *calls, uint32_t count)
{
        struct shape shape;
        struct vk_dispatch d;
        uint32_t columns, done = 1;
        uint64_t bytes;

        if (calls->op->kind != QVF_OP_MATMUL_WEIGHT_BACKWARD)
                return 0;
        if (!in_range(calls)) {
                emit_cut(build, calls);
                return 1;
        }
        shape = shape_of(calls);
        if (!shape.vectors) {
                emit_plain(build, calls, &shape);
                return 1;
        }
        d = vk_dispatch(calls, VK_SHADER_MATMUL_WEIGHT_BACKWARD_WIDE);
        columns = shape.many || calls->rows <= FEW_ROWS ? COLUMNS_FEW : COLUMNS;
        d.constant[0] = columns;
        d.constant[1] = shape.many ? MORE_INVOCATIONS : INVOCATIONS;
        d.n_constants = 2;
        d.push.n[5] = shape.parts;
        bytes = 4ull * shape.wide * shape.narrow * shape.parts;
        add_wide(calls, &shape, 0, columns, &d);
        if (shape.parts > 1) {
                d.bind[0] = (struct vk_binding){
                        .value = vk_scratch(build, 0, bytes), .bytes = bytes, .written = true
                };
                d.groups[2] = shape.parts;
                vk_emit(build, &d);
                emit_combine(build, calls, &shape, &d.bind[0]);
                return 1;
        }
        for (; done < count && done < TOGETHER && calls[done].op->kind == calls->op->kind; done++) {
                shape = shape_of(&calls[done]);
                if (!goes_along(calls, done, &shape))
                        break;
                add_wide(&calls[done], &shape, done, columns, &d);
        }
        d.groups[2] = done;
        vk_emit(build, &d);
        return done;
}

void vk_op_matmul_weight_backward(struct vk_build *build, const struct vk_call *call)
{
        vk_fuse_weights(build, call, 1);
}
