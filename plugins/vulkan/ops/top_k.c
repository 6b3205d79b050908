/* SPDX-License-Identifier: Apache-2.0 */
/* TOP_K, and DRAW behind it. Slices of a row that a subgroup holds in registers leave their K largest, until one slice is
 * left. Without subgroups, or for a large K, a workgroup looks for one after the other; where no binding holds a row, in
 * each piece of it, and then among what the pieces gave. */
#include <string.h>

#include "common/checked.h"
#include "plugins/vulkan/ops/elements.h"
#include "plugins/vulkan/ops/fuse.h"
#include "plugins/vulkan/ops/ops.h"

#define OF_LANE 16u /* as in top_k_slice.comp */
#define INVOCATIONS 128u
#define SEARCHERS 256u /* of a row; as in top_k.comp */

enum { VALUE, ID, X, PLACES };

static uint32_t slice_of(const struct vk_call *call)
{
        return OF_LANE * call->features->subgroup_size;
}

/* One pass over `count` candidates of each row; what it leaves goes to `to`, or is the result. */
static void emit_pass(struct vk_build *build, const struct vk_call *call, const struct vk_call *draw,
                const struct qvf_value *from, const struct qvf_value *to, uint32_t count)
{
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_TOP_K_SLICE);
        uint32_t slices = vk_div_up(count, slice_of(call));

        d.constant[0] = to ? INVOCATIONS : call->features->subgroup_size;
        d.constant[1] = from == NULL;
        d.constant[2] = to == NULL;
        d.constant[3] = to == NULL && draw;
        d.n_constants = 4;
        if (to)
                d.bind[VALUE].value = d.bind[ID].value = NULL;
        if (from)
                d.bind[X].value = NULL;
        d.bind[3] = (struct vk_binding){ .value = from };
        d.bind[4] = (struct vk_binding){ .value = to, .written = true };
        if (draw && !to) {
                d.bind[5] = (struct vk_binding){ .value = draw->operand[0].value, .written = true };
                d.bind[6] = (struct vk_binding){ .value = draw->operand[3].value };
        }
        d.n_bind = 7;
        d.push.n[0] = count;
        d.push.n[1] = call->operand[VALUE].columns;
        d.groups[0] = vk_div_up(slices, d.constant[0] / call->features->subgroup_size);
        d.groups[1] = call->rows;
        d.cost = 8 * (uint64_t)call->rows * count;
        vk_emit(build, &d);
}

static void emit_slices(struct vk_build *build, const struct vk_call *call, const struct vk_call *draw)
{
        uint32_t count = call->operand[X].columns, k = call->operand[VALUE].columns;
        const struct qvf_value *from = NULL, *to;

        for (unsigned slot = 0; count > slice_of(call); slot ^= 1) {
                uint32_t left = vk_div_up(count, slice_of(call)) * k;

                to = vk_scratch(build, slot, 8ull * call->rows * left);
                emit_pass(build, call, draw, from, to, count);
                from = to;
                count = left;
        }
        emit_pass(build, call, draw, from, NULL, count);
}

static bool by_slices(const struct vk_call *call)
{
        uint32_t k = call->operand[VALUE].columns;

        return call->features->subgroup && call->limits->invocations >= INVOCATIONS &&
               call->features->subgroup_size <= INVOCATIONS && 2 * k <= slice_of(call) &&
               call->rows <= call->limits->groups[1] &&
               vk_rows_in_range(call, &call->operand[X]) >= call->rows &&
               8ull * call->rows * vk_div_up(call->operand[X].columns, slice_of(call)) * k <=
                               call->limits->range;
}

uint32_t vk_fuse_draw(struct vk_build *build, const struct vk_call *calls, uint32_t count)
{
        if (count < 2 || calls[0].op->kind != QVF_OP_TOP_K || calls[1].op->kind != QVF_OP_DRAW ||
                        calls[0].op->rows != calls[1].op->rows || !by_slices(calls) ||
                        calls[0].rows != calls[1].rows ||
                        !vk_is_value(&calls[0].operand[VALUE], &calls[1].operand[1]) ||
                        !vk_is_value(&calls[0].operand[ID], &calls[1].operand[2]))
                return 0;
        emit_slices(build, &calls[0], &calls[1]);
        return 2;
}

/* From a binding of `x` to bindings of values and places; `places` of x, or they count from `first` on. */
static void emit_search(struct vk_build *build, const struct vk_call *call, uint32_t row, uint32_t rows,
                const struct vk_binding bind[4], uint32_t columns, uint32_t first)
{
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_TOP_K);

        memcpy(d.bind, bind, 4 * sizeof(*bind));
        d.n_bind = 4;
        d.constant[0] = SEARCHERS;
        d.constant[1] = bind[PLACES].value != NULL;
        d.n_constants = 2;
        d.push.n[0] = columns;
        d.push.n[1] = call->operand[VALUE].columns;
        d.push.n[2] = first;
        d.push.n[7] = rows;
        d.push.row0 = row;
        vk_groups(&d, rows);
        d.cost = (uint64_t)rows * columns * call->operand[VALUE].columns;
        vk_emit(build, &d);
}

/* Bindings may begin anywhere: the shader adds what is between. */
static void emit_rows(struct vk_build *build, const struct vk_call *call)
{
        uint32_t columns = call->operand[X].columns;
        uint64_t k_bytes = 4ull * call->operand[VALUE].columns;
        uint32_t most = (uint32_t)((call->limits->range - call->limits->alignment) / (4ull * columns));

        for (uint32_t row = 0, rows; row < call->rows; row += rows) {
                rows = call->rows - row < most ? call->rows - row : most;
                const struct vk_binding bind[] = { vk_bind_rows(call->operand[VALUE].value, k_bytes, row,
                                                                   rows, true),
                        vk_bind_rows(call->operand[ID].value, k_bytes, row, rows, true),
                        vk_bind_rows(call->operand[X].value, 4ull * columns, row, rows, false), { 0 } };

                emit_search(build, call, row, rows, bind, columns, 0);
        }
}

static void emit_pieces(struct vk_build *build, const struct vk_call *call)
{
        const struct vk_operand *x = &call->operand[X];
        uint64_t k_bytes = 4ull * call->operand[VALUE].columns;
        uint32_t most = (uint32_t)((call->limits->range - call->limits->alignment) / 64 * 16);
        uint32_t pieces = vk_div_up(x->columns, most);

        for (uint32_t row = 0; row < call->rows; row++) {
                const struct qvf_value *values = vk_scratch(build, 0, pieces * k_bytes),
                                       *places = vk_scratch(build, 1, pieces * k_bytes);
                const struct vk_binding merge[] = { vk_bind_rows(call->operand[VALUE].value, k_bytes, row, 1,
                                                                    true),
                        vk_bind_rows(call->operand[ID].value, k_bytes, row, 1, true), { .value = values },
                        { .value = places } };

                for (uint32_t i = 0; i < pieces; i++) {
                        uint32_t first = i * most,
                                 columns = x->columns - first < most ? x->columns - first : most;
                        const struct vk_binding search[] = { vk_bind_rows(values, k_bytes, i, 1, true),
                                vk_bind_rows(places, k_bytes, i, 1, true),
                                { .value = x->value,
                                                .offset = 4 * ((uint64_t)row * x->columns + first),
                                                .bytes = 4ull * columns },
                                { 0 } };

                        emit_search(build, call, row, 1, search, columns, first);
                }
                emit_search(build, call, row, 1, merge, pieces * call->operand[VALUE].columns, 0);
        }
}

void vk_op_top_k(struct vk_build *build, const struct vk_call *call)
{
        if (by_slices(call))
                emit_slices(build, call, NULL);
        else if (4ull * call->operand[X].columns + call->limits->alignment <= call->limits->range)
                emit_rows(build, call);
        else
                emit_pieces(build, call);
}

void vk_op_draw(struct vk_build *build, const struct vk_call *call)
{
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_DRAW);

        d.push.n[0] = call->operand[1].columns;
        vk_emit_rows(build, call, &d, 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3);
}
