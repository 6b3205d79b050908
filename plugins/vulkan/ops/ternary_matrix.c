/* SPDX-License-Identifier: Apache-2.0 */
/* Ternary products by cooperative matrices, with what an adapter adds to them: how the result is cut into tiles. A large tile reads and spreads out less,
 * small ones keep a large GPU busy where the result is small; their subgroups then share the columns. */
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "plugins/vulkan/ops/ternary.h"
#include "plugins/vulkan/pack.h"

#define SMALL (64u * 80u)  /* a tile up to this */
#define GROUPS_WANTED 100u /* about as many as a large GPU has cores: for small tiles */
#define LARGE_WANTED 240u  /* larger ones: more, or the last round leaves too many cores idle; */
#define LARGE_FORWARD 112u /* but where there are many rows, one forth on each core is as good as two, */
#define LARGE_ROWS 1024u   /* for these and more */
#define SCRATCH_BYTES (64u << 20) /* of f16 gradients at a time, */
#define ROWS_LEAST 1024u          /* unless these rows are more */
#define VECTOR_ROWS 4u    /* up to these the vector kernel is faster, and an adapter is added by itself */
#define FORWARD_SPEED 64u /* times as fast as multiplications one by one */
#define BACKWARD_SPEED 32u
#define MATRIX 16u /* rows and columns of a matrix of sums */

struct tiling {
        uint32_t m, n, k; /* of a workgroup's tile: rows of the result, columns of it, depth of a step */
        uint32_t wm, wn,
                        wk; /* its subgroups; wk share a part of the result, each has its part of the depth */
};

/* Largest first. Where P1 runs along a step it is a multiple of 160 columns: whole uvec4s of weights, whole matrices;
 * where it runs along the tile, of 80. */
static const struct tiling forward_p2[] = {
        { 128, 128, 128, 2, 2, 1 },
        { 64, 64, 256, 2, 2, 1 },
        { 32, 64, 256, 1, 4, 2 },
        { 32, 32, 512, 2, 2, 2 },
        { 16, 32, 512, 1, 2, 4 },
        { 16, 16, 512, 1, 1, 8 },
};
static const struct tiling forward_p1[] = {
        { 128, 128, 160, 2, 2, 1 },
        { 64, 64, 160, 2, 2, 1 },
        { 64, 32, 320, 2, 2, 2 },
        { 32, 32, 640, 2, 2, 2 },
        { 16, 32, 640, 1, 2, 4 },
        { 16, 16, 640, 1, 1, 4 },
};
static const struct tiling backward_p2[] = {
        { 128, 128, 64, 2, 2, 1 },
        { 64, 128, 64, 2, 2, 1 },
        { 64, 64, 128, 2, 2, 2 },
        { 32, 64, 128, 1, 2, 4 },
        { 16, 64, 128, 1, 1, 8 },
};
static const struct tiling backward_p1[] = {
        { 128, 160, 64, 2, 2, 1 },
        { 64, 80, 128, 1, 1, 4 },
        { 32, 80, 128, 1, 1, 8 },
        { 16, 80, 128, 1, 1, 8 },
};

/* In place of each of backward_p2, what VK_TUNE_BACKWARD_TILES may take: the depth of a step and how many subgroups
 * share it are the same, since sums of floats hang on them. */
#define OTHERS 3u
static const struct tiling others[QVF_ARRAY_LENGTH(backward_p2)][OTHERS] = {
        { { 64, 128, 64, 2, 2, 1 }, { 64, 64, 64, 2, 2, 1 }, { 128, 64, 64, 2, 2, 1 } },
        { { 128, 128, 64, 2, 2, 1 }, { 64, 64, 64, 2, 2, 1 }, { 32, 128, 64, 1, 4, 1 } },
        { { 32, 64, 128, 1, 2, 2 }, { 64, 128, 128, 2, 2, 2 }, { 64, 64, 128, 2, 4, 2 } },
        { { 32, 64, 128, 2, 2, 4 }, { 64, 64, 128, 2, 2, 4 }, { 16, 64, 128, 1, 2, 4 } },
        { { 16, 64, 128, 1, 2, 8 }, { 32, 64, 128, 1, 1, 8 }, { 16, 32, 128, 1, 1, 8 } },
};

static uint32_t tiles(const struct tiling *t, uint32_t rows, uint32_t columns)
{
        return vk_div_up(rows, t->m) * vk_div_up(columns, t->n);
}

static bool fits(const struct vk_call *call, const struct tiling *t, uint32_t shared)
{
        return t->wm * t->wn * t->wk * call->features->subgroup_size <= call->limits->invocations &&
               shared <= call->limits->shared;
}

static uint32_t forward_shared(const struct tiling *t)
{
        uint32_t tile = (t->m + t->n) * (t->k + 16);
        uint32_t sums = t->wm * t->wk * t->n * MATRIX * 4; /* a row of matrices of each subgroup */

        return (tile > sums ? tile : sums) + t->m * 8;
}

static uint32_t backward_shared(const struct tiling *t)
{
        uint32_t tile = t->m * (t->k * 2 + 16) + t->k * (t->n * 2 + 16);
        uint32_t sums = t->wm * t->wk * t->n * MATRIX * 4; /* a row of matrices of each subgroup */

        return tile > sums ? tile : sums;
}

/* QVF_VK_TILES, for tests: tilings before this one are passed over, and the next that can be is taken; so that the
 * small shapes of the self-test meet them all. */
static bool passed_over(uint32_t i, bool *ret_take)
{
        const char *wanted = getenv("QVF_VK_TILES");

        *ret_take = wanted != NULL;
        return wanted && i < strtoul(wanted, NULL, 10);
}

struct wanted {                       /* of a tiling */
        uint32_t first, small, large; /* the first that is looked at; workgroups for small and large tiles */
};

/* The first that makes enough workgroups, without rows that are not there; else the last that can be. */
static const struct tiling *choose(const struct vk_call *call, const struct tiling *list, uint32_t count,
                uint32_t (*shared)(const struct tiling *), uint32_t rows, uint32_t columns,
                const struct wanted *wants)
{
        const struct tiling *chosen = NULL;

        for (uint32_t i = wants->first; i < count; i++) {
                uint32_t wanted = list[i].m * list[i].n > SMALL ? wants->large : wants->small;
                bool take;

                if (!fits(call, &list[i], shared(&list[i])) || passed_over(i, &take))
                        continue;
                chosen = &list[i];
                if (take || ((rows > chosen->m / 2 || chosen->m == MATRIX) &&
                                            tiles(chosen, rows, columns) >= wanted))
                        break;
        }
        return chosen;
}

static void set_tiling(const struct vk_call *call, const struct tiling *t, struct vk_dispatch *d)
{
        const uint32_t constants[] = { call->features->subgroup_size * t->wm * t->wn * t->wk, d->constant[1],
                t->m, t->n, t->k, t->wm, t->wn, t->wk };

        memcpy(d->constant, constants, sizeof(constants));
        d->n_constants = QVF_ARRAY_LENGTH(constants);
}

/* The product of an adapter's thin half by its thick one is added within the kernel: operands 1 and 2 of `adapter`. */
static void set_adapter(const struct vk_call *adapter, uint32_t row, uint32_t rows, struct vk_dispatch *d)
{
        if (!adapter)
                return;
        d->bind[4] = vk_ternary_operand(&adapter->operand[1], row, rows, false);
        d->bind[5] = (struct vk_binding){ .value = adapter->operand[2].value };
        d->n_bind = 6;
        d->constant[d->n_constants++] = adapter->operand[1].columns;
        d->push.f[1] = adapter->op->f[0];
        d->cost += (uint64_t)rows * adapter->operand[2].rows * adapter->operand[2].columns;
}

static void emit_forward(struct vk_build *build, const struct vk_call *call, const struct vk_call *adapter,
                const struct tiling *t, uint32_t row, uint32_t rows)
{
        const struct vk_operand *o = call->operand;
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_MATMUL_TERNARY_MATRIX);

        d.bind[0] = vk_ternary_operand(&o[0], row, rows, true);
        d.bind[1] = vk_ternary_operand(&o[1], row, rows, false);
        d.bind[2] = vk_ternary_operand(&o[2], row, rows, false);
        d.constant[1] = vk_ternary_layout(o[3].value);
        set_tiling(call, t, &d);
        d.push.row0 = row;
        d.push.n[0] = o[1].columns;
        d.push.n[1] = o[3].rows;
        d.push.n[2] = o[0].columns;
        d.push.n[4] = vk_packed_row_words(o[3].dtype, o[3].columns) / 4;
        d.push.f[0] = o[3].value->scale;
        d.groups[0] = vk_div_up(o[3].rows, t->n);
        d.groups[1] = vk_div_up(rows, t->m);
        d.cost = (uint64_t)rows * o[3].rows * o[1].columns / FORWARD_SPEED;
        set_adapter(adapter, row, rows, &d);
        vk_emit(build, &d);
}

/* Integers give the same sums in any tiling. */
static struct wanted forward_wants(const struct vk_call *call)
{
        const uint16_t *tuned = call->tuning->value;
        uint32_t large = call->rows < LARGE_ROWS ? LARGE_WANTED : LARGE_FORWARD;

        return (struct wanted){ tuned[VK_TUNE_FORWARD_LARGEST],
                GROUPS_WANTED * tuned[VK_TUNE_FORWARD_PERCENT] / 100,
                large * tuned[VK_TUNE_FORWARD_PERCENT] / 100 };
}

bool vk_ternary_matrix(struct vk_build *build, const struct vk_call *call, const struct vk_call *adapter)
{
        const struct vk_operand *o = call->operand;
        const struct qvf_value *weight = o[3].value;
        uint32_t step = (uint32_t)qvf_min_u64(vk_rows_in_range(call, &o[0]), vk_rows_in_range(call, &o[1]));
        uint32_t by_vector = adapter ? VECTOR_ROWS : call->tuning->value[VK_TUNE_VECTOR_ROWS];
        const struct wanted wants = forward_wants(call);
        const struct tiling *t;

        if (!call->features->matrix_int8 || !weight->packed || weight->block_scales ||
                        call->rows <= by_vector || vk_ternary_rows_in_range(call, weight) < weight->rows)
                return false;
        t = weight->dtype == QVF_TQ2_0 ? choose(call, forward_p2, QVF_ARRAY_LENGTH(forward_p2),
                                                         forward_shared, call->rows, weight->rows, &wants)
                                       : choose(call, forward_p1, QVF_ARRAY_LENGTH(forward_p1),
                                                         forward_shared, call->rows, weight->rows, &wants);
        if (!t)
                return false;
        for (uint32_t row = 0; row < call->rows; row += step)
                emit_forward(build, call, adapter, t, row, (uint32_t)qvf_min_u64(call->rows - row, step));
        return true;
}

/* dy as f16, each row with a factor of its own. */
static void emit_gradient(struct vk_build *build, const struct vk_call *call, const struct vk_binding *dy,
                const struct vk_binding *halves, const struct vk_binding *factors, uint32_t row,
                uint32_t rows)
{
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_MATMUL_TERNARY_GRADIENT);

        d.bind[0] = *dy;
        d.bind[1] = *halves;
        d.bind[1].written = true;
        d.bind[2] = *factors;
        d.bind[2].written = true;
        d.n_bind = 3;
        d.push.row0 = row;
        d.push.n[0] = call->operand[1].columns;
        d.push.n[1] = vk_div_up(call->operand[1].columns, 8);
        d.groups[1] = vk_div_up(rows, 32768);
        d.groups[0] = vk_div_up(rows, d.groups[1]);
        d.cost = (uint64_t)rows * call->operand[1].columns * 4;
        vk_emit(build, &d);
}

static void emit_backward(struct vk_build *build, const struct vk_call *call, const struct vk_call *adapter,
                const struct tiling *t, uint32_t row, uint32_t rows)
{
        const struct vk_operand *o = call->operand;
        uint32_t width = vk_div_up(o[1].columns, 8);
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_MATMUL_TERNARY_BACKWARD_MATRIX);
        struct vk_binding dy = vk_ternary_operand(&o[1], row, rows, false);

        d.bind[0] = vk_ternary_operand(&o[0], row, rows, true);
        d.bind[1] = (struct vk_binding){ .value = vk_scratch(build, 0, (uint64_t)rows * width * 16),
                .bytes = (uint64_t)rows * width * 16 };
        d.bind[2] = (struct vk_binding){ .value = o[2].value };
        d.bind[3] = (struct vk_binding){ .value = vk_scratch(build, 1, (uint64_t)rows * 4),
                .bytes = (uint64_t)rows * 4 };
        emit_gradient(build, call, &dy, &d.bind[1], &d.bind[3], row, rows);
        d.n_bind = 4;
        d.constant[1] = vk_ternary_layout(o[2].value);
        set_tiling(call, t, &d);
        d.push.row0 = row;
        d.push.n[0] = o[2].rows;
        d.push.n[1] = width;
        d.push.n[2] = vk_packed_row_words(o[2].dtype, o[2].columns) / 2;
        d.push.n[3] = o[0].columns;
        d.push.f[0] = o[2].value->scale;
        d.groups[0] = vk_div_up(o[0].columns, t->n);
        d.groups[1] = vk_div_up(rows, t->m);
        d.cost = (uint64_t)rows * o[2].rows * o[0].columns / BACKWARD_SPEED;
        set_adapter(adapter, row, rows, &d);
        vk_emit(build, &d);
}

static const struct tiling *choose_backward(
                const struct vk_call *call, bool p2, uint32_t rows, uint32_t columns)
{
        const struct wanted wants = { 0, GROUPS_WANTED, LARGE_WANTED };
        uint32_t tuned = call->tuning->value[VK_TUNE_BACKWARD_TILES];
        const struct tiling *rule, *other;

        if (!p2)
                return choose(call, backward_p1, QVF_ARRAY_LENGTH(backward_p1), backward_shared, rows,
                                columns, &wants);
        rule = choose(call, backward_p2, QVF_ARRAY_LENGTH(backward_p2), backward_shared, rows, columns,
                        &wants);
        if (!rule || tuned == 0)
                return rule;
        other = &others[rule - backward_p2][tuned - 1];
        return fits(call, other, backward_shared(other)) ? other : rule;
}

bool vk_ternary_matrix_backward(
                struct vk_build *build, const struct vk_call *call, const struct vk_call *adapter)
{
        const struct vk_operand *o = call->operand;
        const struct qvf_value *weight = o[2].value;
        uint64_t step = qvf_min_u64(vk_rows_in_range(call, &o[0]), vk_rows_in_range(call, &o[1]));
        const struct tiling *t;

        if (!call->features->matrix_float16 || !weight->packed || weight->block_scales || call->rows == 0 ||
                        vk_ternary_rows_in_range(call, weight) < weight->rows)
                return false;
        step = qvf_min_u64(step, qvf_max_u64(SCRATCH_BYTES / 2 / o[1].columns, ROWS_LEAST));
        t = choose_backward(call, weight->dtype == QVF_TQ2_0, (uint32_t)qvf_min_u64(call->rows, step),
                        o[0].columns);
        if (!t)
                return false;
        for (uint64_t row = 0; row < call->rows; row += step)
                emit_backward(build, call, adapter, t, (uint32_t)row,
                                (uint32_t)qvf_min_u64(call->rows - row, step));
        return true;
}
