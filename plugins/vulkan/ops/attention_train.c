/* SPDX-License-Identifier: Apache-2.0 */
/* Attention over the rows themselves and its gradients: one pass over the queries' tiles, one over the keys', so that
 * nothing is added up by two workgroups. */
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

enum { Y, LSE, Q, K, V, FIRST };
enum { DQ, DK, DV, BACK_Y, BACK_LSE, BACK_Q, BACK_K, BACK_V, BACK_FIRST, DY };

/* Whether cooperative matrices of f16 do it: gradients bear the rounding, as they bear that of bf16. */
static bool by_matrix(const struct vk_call *call)
{
        uint32_t size = (uint32_t)call->op->i[0];
        uint32_t heads = call->operand[call->op->kind == QVF_OP_ATTENTION_TRAIN ? Q : BACK_Q].columns / size;

        return call->features->matrix_float16 && call->features->subgroup &&
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

void vk_op_attention_train(struct vk_build *build, const struct vk_call *call)
{
        struct vk_dispatch d = vk_dispatch(call,
                        by_matrix(call) ? VK_SHADER_ATTENTION_TRAIN_MATRIX : VK_SHADER_ATTENTION_TRAIN);

        set_shape(&d, call, call->operand[Q].columns, call->operand[K].columns);
        vk_emit(build, &d);
}

static void emit_delta(struct vk_build *build, const struct vk_call *call, const struct qvf_value *delta,
                uint64_t delta_bytes)
{
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_ATTENTION_DELTA);
        uint32_t columns = call->operand[DY].columns, heads = columns / (uint32_t)call->op->i[0];

        d.bind[0] = (struct vk_binding){ .value = delta, .bytes = delta_bytes, .written = true };
        d.bind[1] = (struct vk_binding){ .value = call->operand[BACK_Y].value };
        d.bind[2] = (struct vk_binding){ .value = call->operand[DY].value };
        d.n_bind = 3;
        d.constant[0] = (uint32_t)call->op->i[0];
        d.n_constants = 1;
        d.push.n[0] = columns;
        d.push.n[1] = heads;
        d.groups[0] = heads;
        d.groups[1] = vk_div_up(call->rows, 8);
        d.cost = (uint64_t)call->rows * columns;
        vk_emit(build, &d);
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
        const struct qvf_value *delta = vk_scratch(build, 0, delta_bytes);

        emit_delta(build, call, delta, delta_bytes);
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
