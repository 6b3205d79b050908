/* SPDX-License-Identifier: Apache-2.0 */
/* Attention over the rows themselves and its gradients: one pass over the queries' tiles, one over the keys', so that
 * nothing is added up by two workgroups. Rows that no binding holds are taken window by window: each of the queries'
 * with each of the keys' that they may look at. */
#include "common/checked.h"
#include "plugins/vulkan/ops/attention.h"
#include "plugins/vulkan/ops/ops.h"

#define TILE 64u /* rows of a workgroup, in attention_tile.glsl */

#define MATRIX_WORK 1024u    /* rows times heads; less, as the self-test has, is done in f32 */
#define MATRIX_SHARED 49152u /* bytes */
#define MATRIX_SIZE 128u     /* of a head */
#define MATRIX_NARROW 64u    /* likewise: with more, registers are short, and steps too */
#define STEP_WIDE 32u
#define KEY_STEP_WIDE                                                                                       \
        16u /* what registers can't hold costs device memory for every thread that there might be */

enum { FIRST_WINDOW = 1, LAST_WINDOW = 2 }; /* as in attention_train.comp */
enum { Y, LSE, Q, K, V, FIRST };
enum { DQ, DK, DV, BACK_Y, BACK_LSE, BACK_Q, BACK_K, BACK_V, BACK_FIRST, DY };

/* Not more than one binding holds of anything. */
static bool in_range(const struct vk_call *call)
{
        for (uint32_t i = 0; i < qvf_program_operand_count(call->op->kind); i++)
                if (!vk_in_range(call, &call->operand[i]))
                        return false;
        return true;
}

/* Whether cooperative matrices of f16 do it: gradients bear the rounding, as they bear that of bf16. */
static bool by_matrix(const struct vk_call *call)
{
        uint32_t size = (uint32_t)call->op->i[0];
        uint32_t heads = call->operand[call->op->kind == QVF_OP_ATTENTION_TRAIN ? Q : BACK_Q].columns / size;

        return in_range(call) && call->features->matrix_float16 && call->features->subgroup &&
               call->features->subgroup_size == 32 && call->limits->shared >= MATRIX_SHARED &&
               (uint64_t)call->rows * heads >= MATRIX_WORK && size % 16 == 0 && size <= MATRIX_SIZE;
}

static void set_shape(
                struct vk_dispatch *d, const struct vk_call *call, uint32_t columns, uint32_t key_columns)
{
        uint32_t size = (uint32_t)call->op->i[0];

        d->constant[0] = size;
        d->constant[1] = size <= MATRIX_NARROW ? 64
                                               : STEP_WIDE; /* rows of a step, in attention_matrix.glsl */
        d->constant[5] = vk_attention_step(call);
        d->n_constants = by_matrix(call) ? 2 : 6;
        d->push.n[0] = columns;
        d->push.n[1] = key_columns;
        d->push.n[2] = columns / size;
        d->groups[0] = vk_div_up(call->rows, TILE);
        d->groups[1] = columns / size;
        d->cost = (uint64_t)call->rows * call->rows * columns;
}

struct windows { /* of the rows that are queries and of those that are keys */
        uint32_t row, rows, key, keys;
};

static void set_windows(struct vk_dispatch *d, const struct windows *w, uint32_t flags)
{
        d->constant[6] = true;
        d->n_constants = 7;
        d->push.row0 = w->row;
        d->push.n[4] = w->row + w->rows;
        d->push.n[5] = w->key;
        d->push.n[6] = w->key + w->keys;
        d->push.n[7] = flags;
        d->cost = d->cost / d->groups[0] * vk_div_up(w->rows, TILE);
        d->groups[0] = vk_div_up(w->rows, TILE);
}

static struct vk_binding queries_of(const struct vk_operand *operand, const struct windows *w, bool written)
{
        return vk_bind_rows(operand->value, vk_operand_row_bytes(operand), w->row, w->rows, written);
}

static struct vk_binding keys_of(const struct vk_operand *operand, const struct windows *w, bool written)
{
        return vk_bind_rows(operand->value, vk_operand_row_bytes(operand), w->key, w->keys, written);
}

/* The next window of keys that the window of queries looks at; keys 0: no more. */
static void next_keys(const struct vk_call *call, struct windows *w, uint32_t step)
{
        uint32_t end = w->row + w->rows;

        w->key += w->keys;
        w->keys = w->key < end ? (uint32_t)qvf_min_u64(step, call->rows - w->key) : 0;
}

/* The sums of a row go on in y from one window of keys to the next. */
static void emit_in_windows(struct vk_build *build, const struct vk_call *call)
{
        const struct vk_operand *o = call->operand;
        uint32_t step = vk_rows_of_piece(call, 1 << Y | 1 << LSE | 1 << Q, call->rows, 1, UINT32_MAX);
        uint32_t key_step = vk_rows_of_piece(call, 1 << K | 1 << V, call->rows, 1, UINT32_MAX);
        struct windows w;

        for (w.row = 0; w.row < call->rows; w.row += step) {
                uint64_t state_bytes = 8ull * o[LSE].columns;
                const struct qvf_value *state = vk_scratch(build, 0, step * state_bytes);

                w.rows = (uint32_t)qvf_min_u64(step, call->rows - w.row);
                w.key = w.keys = 0;
                for (next_keys(call, &w, key_step); w.keys > 0; next_keys(call, &w, key_step)) {
                        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_ATTENTION_TRAIN);
                        bool last = w.key + w.keys >= w.row + w.rows;

                        set_shape(&d, call, o[Q].columns, o[K].columns);
                        set_windows(&d, &w, (w.key == 0 ? FIRST_WINDOW : 0) | (last ? LAST_WINDOW : 0));
                        d.bind[Y] = queries_of(&o[Y], &w, true);
                        d.bind[LSE] = queries_of(&o[LSE], &w, true);
                        d.bind[Q] = queries_of(&o[Q], &w, false);
                        d.bind[K] = keys_of(&o[K], &w, false);
                        d.bind[V] = keys_of(&o[V], &w, false);
                        d.bind[6] = vk_bind_rows(state, state_bytes, 0, w.rows, true);
                        d.n_bind = 7;
                        vk_emit(build, &d);
                }
        }
}

void vk_op_attention_train(struct vk_build *build, const struct vk_call *call)
{
        struct vk_dispatch d = vk_dispatch(call,
                        by_matrix(call) ? VK_SHADER_ATTENTION_TRAIN_MATRIX : VK_SHADER_ATTENTION_TRAIN);

        if (!in_range(call)) {
                emit_in_windows(build, call);
                return;
        }
        set_shape(&d, call, call->operand[Q].columns, call->operand[K].columns);
        vk_emit(build, &d);
}

static void emit_delta(struct vk_build *build, const struct vk_call *call, const struct qvf_value *delta,
                const struct windows *w)
{
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_ATTENTION_DELTA);
        uint32_t columns = call->operand[DY].columns, heads = columns / (uint32_t)call->op->i[0];

        d.bind[0] = vk_bind_rows(delta, 8ull * heads, w->row, w->rows, true);
        d.bind[1] = queries_of(&call->operand[BACK_Y], w, false);
        d.bind[2] = queries_of(&call->operand[DY], w, false);
        d.n_bind = 3;
        d.push.row0 = w->row;
        d.push.n[2] = w->rows;
        d.constant[0] = (uint32_t)call->op->i[0];
        d.n_constants = 1;
        d.push.n[0] = columns;
        d.push.n[1] = heads;
        d.groups[0] = heads;
        d.groups[1] = vk_div_up(w->rows, 8);
        d.cost = (uint64_t)w->rows * columns;
        vk_emit(build, &d);
}

/* Of one window of queries and one of keys. `others`: the results are added to. */
static void emit_gradient(struct vk_build *build, const struct vk_call *call, const struct qvf_value *delta,
                const struct windows *w, bool keys, bool others)
{
        const struct vk_operand *o = call->operand;
        struct vk_dispatch d = vk_dispatch(call, keys ? VK_SHADER_ATTENTION_TRAIN_BACKWARD_KEY
                                                      : VK_SHADER_ATTENTION_TRAIN_BACKWARD_QUERY);

        set_shape(&d, call, o[BACK_Q].columns, o[BACK_K].columns);
        set_windows(&d, w, others);
        d.bind[0] = keys ? keys_of(&o[DK], w, true) : queries_of(&o[DQ], w, true);
        d.bind[1] = keys ? keys_of(&o[DV], w, true) : (struct vk_binding){ 0 };
        d.bind[2] = vk_bind_rows(delta, 8ull * o[BACK_LSE].columns, w->row, w->rows, false);
        d.bind[3] = queries_of(&o[BACK_LSE], w, false);
        d.bind[4] = queries_of(&o[BACK_Q], w, false);
        d.bind[5] = keys_of(&o[BACK_K], w, false);
        d.bind[6] = keys_of(&o[BACK_V], w, false);
        d.bind[7] = (struct vk_binding){ .value = o[BACK_FIRST].value };
        d.bind[8] = queries_of(&o[DY], w, false);
        d.n_bind = 9;
        d.groups[0] = vk_div_up(keys ? w->keys : w->rows, TILE);
        if (keys)
                d.groups[1] = o[BACK_K].columns / (uint32_t)call->op->i[0];
        vk_emit(build, &d);
}

static void emit_gradients_in_windows(struct vk_build *build, const struct vk_call *call)
{
        const uint32_t of_queries = 1 << DQ | 1 << BACK_Y | 1 << BACK_LSE | 1 << BACK_Q | 1 << DY;
        const uint32_t of_keys = 1 << DK | 1 << DV | 1 << BACK_K | 1 << BACK_V;
        uint32_t step = vk_rows_of_piece(call, of_queries, call->rows, 1, UINT32_MAX);
        uint32_t key_step = vk_rows_of_piece(call, of_keys, call->rows, 1, UINT32_MAX);
        const struct qvf_value *delta =
                        vk_scratch(build, 0, 8ull * call->rows * call->operand[BACK_LSE].columns);
        struct windows w;

        for (w.row = 0; w.row < call->rows; w.row += step) {
                w.rows = (uint32_t)qvf_min_u64(step, call->rows - w.row);
                emit_delta(build, call, delta, &w);
                w.key = w.keys = 0;
                for (next_keys(call, &w, key_step); w.keys > 0; next_keys(call, &w, key_step)) {
                        emit_gradient(build, call, delta, &w, false, w.key > 0);
                        /* The first queries that look at these keys begin their sums. */
                        emit_gradient(build, call, delta, &w, true, w.row > w.key / step * step);
                }
        }
}

void vk_op_attention_train_backward(struct vk_build *build, const struct vk_call *call)
{
        const struct vk_operand *o = call->operand;
        uint64_t delta_bytes = 8ull * call->rows * (o[DY].columns / (uint32_t)call->op->i[0]);
        static const enum vk_shader shaders[2][2] = {
                { VK_SHADER_ATTENTION_TRAIN_BACKWARD_QUERY, VK_SHADER_ATTENTION_TRAIN_BACKWARD_KEY },
                { VK_SHADER_ATTENTION_TRAIN_BACKWARD_QUERY_MATRIX,
                                VK_SHADER_ATTENTION_TRAIN_BACKWARD_KEY_MATRIX },
        };
        const struct windows all = { .rows = call->rows };
        const struct qvf_value *delta;

        if (!in_range(call)) {
                emit_gradients_in_windows(build, call);
                return;
        }
        delta = vk_scratch(build, 0, delta_bytes);
        emit_delta(build, call, delta, &all);
        for (int keys = 0; keys < 2; keys++) {
                struct vk_dispatch d = vk_dispatch(call, shaders[by_matrix(call)][keys]);
                const int inputs[] = { BACK_LSE, BACK_Q, BACK_K, BACK_V, BACK_FIRST, DY };

                set_shape(&d, call, o[BACK_Q].columns, o[BACK_K].columns);
                d.bind[0] = (struct vk_binding){ .value = o[keys ? DK : DQ].value, .written = true };
                d.bind[1] = (struct vk_binding){ .value = keys ? o[DV].value : NULL, .written = keys };
                d.bind[2] = (struct vk_binding){ .value = delta, .bytes = delta_bytes };
                for (int i = 0; i < 6; i++)
                        d.bind[3 + i] = (struct vk_binding){ .value = o[inputs[i]].value };
                d.n_bind = 9;
                if (keys && by_matrix(call) && d.constant[0] > MATRIX_NARROW)
                        d.constant[1] = KEY_STEP_WIDE;
                d.groups[1] = keys ? o[BACK_K].columns / (uint32_t)call->op->i[0] : d.groups[1];
                d.cost *= 2;
                vk_emit(build, &d);
        }
}
