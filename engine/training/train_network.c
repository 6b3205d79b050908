/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/training/train_network.h"

#include <errno.h>
#include <stdlib.h>

/* h = x + O(subnorm(attn(norm(x)))), out = h + Down(subnorm(act(Gate·n) ∘ Up·n)), n = norm(h).
 *
 * One flat program: what the way back needs is a temporary of the way forth, and the planner keeps it as long as
 * anything names it. Norms and the gate's product cost little time and much memory: the way back computes them
 * again, each where it is needed. With `halves` what is kept within a layer stands there as f16 meanwhile; x and h,
 * which add up from layer to layer and may grow beyond what f16 holds, stay as they are. A layer whose gates are
 * recomputed forgets these two, one that is recomputed all but its input. */

struct layer_record {                                     /* values of one layer that its way back reads */
        uint16_t x, q, k, v, attention, lse, h, gate, up; /* kept; gate and up may be QVF_NONE */
        uint16_t a2, product, s2;                         /* computed again */
        uint16_t t[QVF_MODULES];                          /* A x; QVF_NONE where a matrix is not adapted */
};

struct emitter {
        const struct qvf_train_network *network;
        const struct qvf_lora *lora;
        const struct qvf_model *model;
        const struct qvf_model_info *info;
        struct qvf_builder *builder;
        uint16_t position, first, frequency;
        uint32_t layer;
        uint32_t lowest_layer; /* below it nothing is trained, so no gradient goes there */
        bool lowest_needs_attention_input;
        bool again; /* on the way back */
};

struct quantised {
        uint16_t q, scale;
};

#define EMIT(kind, ...) QVF_EMIT(e->builder, kind, QVF_ROWS_INPUT, __VA_ARGS__)

static uint16_t temporary(struct emitter *e, uint32_t columns)
{
        return qvf_builder_temporary(e->builder, e->network->rows, columns, QVF_F32);
}

static uint16_t fixed(struct emitter *e, const struct qvf_value *value)
{
        return qvf_builder_fixed(e->builder, value);
}

static const struct qvf_lora_pair *pair_of(const struct emitter *e, enum qvf_module module)
{
        return &e->lora->pairs[e->layer * QVF_MODULES + module];
}

static uint16_t normalise(struct emitter *e, uint16_t x, uint32_t columns, const struct qvf_value *weight)
{
        uint16_t y = temporary(e, columns);

        EMIT(RMSNORM, y, x, fixed(e, weight))->f[0] = e->info->norm_epsilon;
        return y;
}

static void scale_op(struct qvf_op *op, float factor, bool accumulate)
{
        op->f[0] = factor;
        op->flags = accumulate ? QVF_ACCUMULATE : 0;
}

static uint16_t emit_dropout(struct emitter *e, enum qvf_module module, uint16_t x, uint32_t columns)
{
        uint16_t y;
        struct qvf_op *op;

        if (e->lora->options.dropout == 0 || !e->network->backward)
                return x;
        y = temporary(e, columns);
        op = EMIT(DROPOUT, y, x);
        op->f[0] = e->lora->options.dropout;
        op->i[0] = (int32_t)(e->layer * QVF_MODULES + module);
        return y;
}

/* t = A dropout(x): the thin half of an adapted matrix. */
static uint16_t emit_thin(struct emitter *e, enum qvf_module module, uint16_t x)
{
        const struct qvf_lora_pair *pair = pair_of(e, module);
        uint16_t t;

        if (pair->rank == 0)
                return QVF_NONE;
        t = temporary(e, pair->rank);
        x = emit_dropout(e, module, x, pair->a.columns);
        scale_op(EMIT(MATMUL, t, x, fixed(e, &pair->a), QVF_NONE), 1, false);
        return t;
}

/* W x and LoRA's part, which is already known where its thin half is. */
static uint16_t emit_linear(struct emitter *e, enum qvf_module module, uint16_t x,
                struct quantised *quantised, struct layer_record *record, bool thin_is_known)
{
        const struct qvf_linear *linear = &e->model->layers[e->layer].linear[module];
        const struct qvf_lora_pair *pair = pair_of(e, module);
        uint16_t y = temporary(e, linear->outputs), weight = fixed(e, &linear->weight);

        if (linear->ternary && quantised->q == QVF_NONE) {
                quantised->q = qvf_builder_temporary(
                                e->builder, e->network->rows, linear->weight.columns, QVF_I8);
                quantised->scale = temporary(e, 1);
                EMIT(QUANTIZE, quantised->q, quantised->scale, x);
        }
        if (!thin_is_known)
                record->t[module] = emit_thin(e, module, x);
        if (linear->ternary)
                EMIT(MATMUL_TERNARY, y, quantised->q, quantised->scale, weight);
        else
                scale_op(EMIT(MATMUL, y, x, weight, QVF_NONE), linear->scale, false);
        if (pair->rank > 0)
                scale_op(EMIT(MATMUL, y, record->t[module], fixed(e, &pair->b), QVF_NONE), pair->scale,
                                true);
        return y;
}

static void emit_rope(struct emitter *e, uint16_t x, float direction)
{
        struct qvf_op *op = EMIT(ROPE, x, x, e->position, e->frequency);

        op->i[0] = (int32_t)e->info->head_dim;
        op->i[1] = e->info->rope_pairing == QVF_ROPE_INTERLEAVED;
        op->f[0] = direction;
        op->f[1] = e->model->rope_magnitude;
}

static void attention_op(struct emitter *e, struct qvf_op *op)
{
        op->i[0] = (int32_t)e->info->head_dim;
        op->f[0] = 1 / __builtin_sqrtf((float)e->info->head_dim);
}

static uint16_t emit_sum(struct emitter *e, uint16_t a, uint16_t b)
{
        uint16_t y = temporary(e, e->info->dim);
        struct qvf_op *op = EMIT(ADD, y, a, b);

        op->f[0] = op->f[1] = 1;
        return y;
}

static uint16_t emit_product(struct emitter *e, const struct layer_record *record)
{
        uint16_t product = temporary(e, e->info->ffn_dim);

        EMIT(GATE, product, record->gate, record->up)->i[0] = e->info->activation == QVF_ACTIVATION_RELU2;
        return product;
}

static uint16_t emit_attention_norm(struct emitter *e, const struct layer_record *record)
{
        const struct qvf_layer *layer = &e->model->layers[e->layer];

        return e->info->sub_norms ? normalise(e, record->attention, e->info->n_heads * e->info->head_dim,
                                                    &layer->attn_sub_norm)
                                  : record->attention;
}

static uint16_t emit_product_norm(struct emitter *e, const struct layer_record *record)
{
        const struct qvf_layer *layer = &e->model->layers[e->layer];

        return e->info->sub_norms ? normalise(e, record->product, e->info->ffn_dim, &layer->ffn_sub_norm)
                                  : record->product;
}

/* What stands there until the way back comes to this layer. */
static uint16_t keep(struct emitter *e, uint16_t x)
{
        const struct qvf_value *value = qvf_builder_value(e->builder, x);
        uint16_t y;

        if (!e->network->halves || !e->network->backward || e->again ||
                        e->layer < e->network->recomputed_layers)
                return x;
        y = qvf_builder_temporary(e->builder, value->rows, value->columns, QVF_F16);
        EMIT(COPY, y, x);
        return y;
}

/* What keep() kept, as operations read it. */
static uint16_t kept(struct emitter *e, uint16_t x)
{
        const struct qvf_value *value = qvf_builder_value(e->builder, x);
        uint16_t y;

        if (value->dtype != QVF_F16)
                return x;
        y = temporary(e, value->columns);
        EMIT(COPY, y, x);
        return y;
}

/* What was computed again becomes what would have been kept: a run's numbers do not tell how much memory it had. */
static void round_as_kept(struct emitter *e, uint16_t x)
{
        const struct qvf_value *value = qvf_builder_value(e->builder, x);
        uint16_t half;

        if (!e->network->halves)
                return;
        half = qvf_builder_temporary(e->builder, value->rows, value->columns, QVF_F16);
        EMIT(COPY, half, x);
        EMIT(COPY, x, half);
}

static void emit_gates(struct emitter *e, struct layer_record *record, bool again)
{
        struct quantised quantised = { QVF_NONE, QVF_NONE };
        uint16_t n2 = normalise(e, record->h, e->info->dim, &e->model->layers[e->layer].ffn_norm);

        record->gate = emit_linear(e, QVF_FFN_GATE, n2, &quantised, record, again);
        record->up = emit_linear(e, QVF_FFN_UP, n2, &quantised, record, again);
}

/* One layer on the way forth, from record->x up to what its last matrix reads. */
static void emit_layer(struct emitter *e, struct layer_record *record)
{
        const struct qvf_layer *layer = &e->model->layers[e->layer];
        const struct qvf_model_info *info = e->info;
        struct quantised none = { QVF_NONE, QVF_NONE }, first = none, second = none;
        uint16_t n1 = normalise(e, record->x, info->dim, &layer->attn_norm);

        record->q = emit_linear(e, QVF_ATTN_Q, n1, &first, record, false);
        record->k = emit_linear(e, QVF_ATTN_K, n1, &first, record, false);
        record->v = emit_linear(e, QVF_ATTN_V, n1, &first, record, false);
        emit_rope(e, record->q, 1);
        emit_rope(e, record->k, 1);
        record->attention = temporary(e, info->n_heads * info->head_dim);
        record->lse = temporary(e, info->n_heads);
        attention_op(e, EMIT(ATTENTION_TRAIN, record->attention, record->lse, record->q, record->k,
                                        record->v, e->first));
        record->q = keep(e, record->q);
        record->k = keep(e, record->k);
        record->v = keep(e, record->v);
        record->a2 = emit_attention_norm(e, record);
        record->attention = keep(e, record->attention);
        record->h = emit_sum(
                        e, record->x, emit_linear(e, QVF_ATTN_OUTPUT, record->a2, &second, record, false));
        emit_gates(e, record, false);
        record->product = emit_product(e, record);
        record->s2 = emit_product_norm(e, record);
        if (e->again)
                return;
        if (e->layer < e->network->recomputed_gates) {
                record->gate = record->up = QVF_NONE;
                return;
        }
        record->gate = keep(e, record->gate);
        record->up = keep(e, record->up);
}

/* dx (+)= Wᵀ dy and LoRA's part; the gradients of A and B are added to. dx may be QVF_NONE: nobody below learns.
 * What reads x comes first, so that x may make room for dx. */
static void emit_linear_backward(struct emitter *e, enum qvf_module module, uint16_t x, uint16_t t,
                uint16_t dy, uint16_t dx, bool accumulate)
{
        const struct qvf_linear *linear = &e->model->layers[e->layer].linear[module];
        const struct qvf_lora_pair *pair = pair_of(e, module);
        uint16_t weight, dt = QVF_NONE, da;
        struct qvf_op *op;

        if (pair->rank > 0) {
                dt = temporary(e, pair->rank);
                scale_op(EMIT(MATMUL_BACKWARD, dt, dy, fixed(e, &pair->b)), pair->scale, false);
                scale_op(EMIT(MATMUL_WEIGHT_BACKWARD, fixed(e, &pair->b_gradient), dy, t), pair->scale,
                                true);
                x = emit_dropout(e, module, x, linear->inputs);
                scale_op(EMIT(MATMUL_WEIGHT_BACKWARD, fixed(e, &pair->a_gradient), dt, x), 1, true);
        }
        if (dx == QVF_NONE)
                return;
        weight = fixed(e, &linear->weight);
        if (linear->ternary)
                scale_op(EMIT(MATMUL_TERNARY_BACKWARD, dx, dy, weight), 1, accumulate);
        else
                scale_op(EMIT(MATMUL_BACKWARD, dx, dy, weight), linear->scale, accumulate);
        if (pair->rank == 0)
                return;
        if (e->lora->options.dropout == 0) {
                scale_op(EMIT(MATMUL_BACKWARD, dx, dt, fixed(e, &pair->a)), 1, true);
                return;
        }
        da = temporary(e, linear->inputs);
        scale_op(EMIT(MATMUL_BACKWARD, da, dt, fixed(e, &pair->a)), 1, false);
        da = emit_dropout(e, module, da, linear->inputs);
        op = EMIT(ADD, dx, dx, da);
        op->f[0] = op->f[1] = 1;
}

/* d, the gradient of a norm's result, becomes that of the norm's input x. */
static void norm_backward(struct emitter *e, uint16_t x, const struct qvf_value *weight, uint16_t d)
{
        scale_op(EMIT(RMSNORM_BACKWARD, d, x, fixed(e, weight), d), e->info->norm_epsilon, false);
}

/* dx, which holds the gradient of the layer's output, becomes that of h. */
static void emit_feed_forward_backward(struct emitter *e, struct layer_record *record, uint16_t dx)
{
        const struct qvf_layer *layer = &e->model->layers[e->layer];
        const struct qvf_model_info *info = e->info;
        uint16_t ds2 = temporary(e, info->ffn_dim), n2, dn2;

        emit_linear_backward(e, QVF_FFN_DOWN, record->s2, record->t[QVF_FFN_DOWN], dx, ds2, false);
        if (info->sub_norms)
                norm_backward(e, record->product, &layer->ffn_sub_norm, ds2);
        /* In place: gate and up become their gradients. */
        EMIT(GATE_BACKWARD, record->gate, record->up, record->gate, record->up, ds2)->i[0] =
                        info->activation == QVF_ACTIVATION_RELU2;
        n2 = normalise(e, record->h, info->dim, &layer->ffn_norm);
        dn2 = temporary(e, info->dim);
        emit_linear_backward(e, QVF_FFN_GATE, n2, record->t[QVF_FFN_GATE], record->gate, dn2, false);
        emit_linear_backward(e, QVF_FFN_UP, n2, record->t[QVF_FFN_UP], record->up, dn2, true);
        scale_op(EMIT(RMSNORM_BACKWARD, dx, record->h, fixed(e, &layer->ffn_norm), dn2), info->norm_epsilon,
                        true);
}

/* dx, the gradient of h, becomes that of the layer's input, unless nobody below learns. */
static void emit_attention_backward(struct emitter *e, const struct layer_record *record, uint16_t dx)
{
        const struct qvf_layer *layer = &e->model->layers[e->layer];
        const struct qvf_model_info *info = e->info;
        uint32_t width = info->n_heads * info->head_dim, kv_width = info->n_kv_heads * info->head_dim;
        uint16_t da2 = temporary(e, width), n1, q, k, v, dq, dk, dv, dn1 = QVF_NONE;
        bool below = e->layer > e->lowest_layer;

        if (!below && !e->lowest_needs_attention_input) {
                emit_linear_backward(e, QVF_ATTN_OUTPUT, record->a2, record->t[QVF_ATTN_OUTPUT], dx,
                                QVF_NONE, false);
                return;
        }
        emit_linear_backward(e, QVF_ATTN_OUTPUT, record->a2, record->t[QVF_ATTN_OUTPUT], dx, da2, false);
        if (info->sub_norms)
                norm_backward(e, record->attention, &layer->attn_sub_norm, da2);
        q = kept(e, record->q);
        k = kept(e, record->k);
        v = kept(e, record->v);
        dq = temporary(e, width);
        dk = temporary(e, kv_width);
        dv = temporary(e, kv_width);
        attention_op(e, EMIT(ATTENTION_TRAIN_BACKWARD, dq, dk, dv, record->attention, record->lse, q, k, v,
                                        e->first, da2));
        emit_rope(e, dq, -1);
        emit_rope(e, dk, -1);
        n1 = normalise(e, record->x, info->dim, &layer->attn_norm);
        if (below)
                dn1 = temporary(e, info->dim);
        emit_linear_backward(e, QVF_ATTN_Q, n1, record->t[QVF_ATTN_Q], dq, dn1, false);
        emit_linear_backward(e, QVF_ATTN_K, n1, record->t[QVF_ATTN_K], dk, dn1, true);
        emit_linear_backward(e, QVF_ATTN_V, n1, record->t[QVF_ATTN_V], dv, dn1, true);
        if (below)
                scale_op(EMIT(RMSNORM_BACKWARD, dx, record->x, fixed(e, &layer->attn_norm), dn1),
                                info->norm_epsilon, true);
}

/* x = s x; HEAD_LOSS knows no scale, so its rows and their gradients take on the head's. */
static void scale_outputs(struct emitter *e, uint16_t x)
{
        struct qvf_op *op;

        if (e->model->head_scale == 1)
                return;
        op = QVF_EMIT(e->builder, ADD, QVF_ROWS_OUTPUT, x, x, x);
        op->f[0] = e->model->head_scale;
        op->f[1] = 0;
}

/* The loss of the rows where it looks; returns the gradient of all rows, or QVF_NONE. */
static uint16_t emit_loss(struct emitter *e, uint16_t x)
{
        const struct qvf_train_network *network = e->network;
        const struct qvf_model_info *info = e->info;
        uint16_t index = fixed(e, &network->inputs.output_index), norm = fixed(e, &e->model->output_norm);
        uint16_t rows = qvf_builder_temporary(e->builder, network->outputs, info->dim, QVF_F32);
        uint16_t hidden = qvf_builder_temporary(e->builder, network->outputs, info->dim, QVF_F32);
        /* Backends may want rows of whole vectors. */
        uint16_t scratch = qvf_builder_temporary(
                        e->builder, network->loss_rows, (network->loss_columns + 63) / 64 * 64, QVF_F32);
        uint16_t dhidden = QVF_NONE, drows, dx;
        struct qvf_op *op;

        QVF_EMIT(e->builder, GATHER, QVF_ROWS_OUTPUT, rows, x, index);
        QVF_EMIT(e->builder, RMSNORM, QVF_ROWS_OUTPUT, hidden, rows, norm)->f[0] = info->norm_epsilon;
        scale_outputs(e, hidden);
        if (network->backward)
                dhidden = qvf_builder_temporary(e->builder, network->outputs, info->dim, QVF_F32);
        op = QVF_EMIT(e->builder, HEAD_LOSS, QVF_ROWS_OUTPUT, fixed(e, &network->loss), dhidden,
                        network->best.rows ? fixed(e, &network->best) : QVF_NONE, scratch, hidden,
                        fixed(e, &e->model->head), fixed(e, &network->inputs.target));
        op->i[0] = (int32_t)network->loss_rows;
        op->i[1] = (int32_t)network->loss_columns;
        if (!network->backward)
                return QVF_NONE;
        scale_outputs(e, dhidden);
        drows = qvf_builder_temporary(e->builder, network->outputs, info->dim, QVF_F32);
        op = QVF_EMIT(e->builder, RMSNORM_BACKWARD, QVF_ROWS_OUTPUT, drows, rows, norm, dhidden);
        op->f[0] = info->norm_epsilon;
        dx = temporary(e, info->dim);
        EMIT(FILL, dx)->f[0] = 0;
        QVF_EMIT(e->builder, SCATTER_ADD, QVF_ROWS_OUTPUT, dx, drows, index);
        return dx;
}

static bool module_of_layer_trained(const struct emitter *e, uint32_t layer, enum qvf_module module)
{
        return e->lora->pairs[layer * QVF_MODULES + module].rank > 0;
}

/* Where the way back ends: gradients that nobody would use are not computed. */
static void find_lowest(struct emitter *e)
{
        for (uint32_t layer = 0; layer < e->info->n_layers; layer++) {
                for (unsigned module = 0; module < QVF_MODULES; module++) {
                        if (!module_of_layer_trained(e, layer, module))
                                continue;
                        e->lowest_layer = layer;
                        e->lowest_needs_attention_input = module_of_layer_trained(e, layer, QVF_ATTN_Q) ||
                                                          module_of_layer_trained(e, layer, QVF_ATTN_K) ||
                                                          module_of_layer_trained(e, layer, QVF_ATTN_V);
                        return;
                }
        }
}

/* The layer's values that were not kept as they are wanted now: all of them, the gates, or those that are cheap. */
static void emit_again(struct emitter *e, struct layer_record *record)
{
        if (e->layer < e->network->recomputed_layers) {
                emit_layer(e, record);
                record->t[QVF_FFN_DOWN] = emit_thin(e, QVF_FFN_DOWN, record->s2);
                if (!e->network->halves)
                        return;
                round_as_kept(e, record->gate);
                round_as_kept(e, record->up);
                round_as_kept(e, record->q);
                round_as_kept(e, record->k);
                round_as_kept(e, record->v);
                round_as_kept(e, record->attention);
        } else if (record->gate == QVF_NONE) {
                emit_gates(e, record, true);
                round_as_kept(e, record->gate);
                round_as_kept(e, record->up);
        } else {
                record->gate = kept(e, record->gate);
                record->up = kept(e, record->up);
        }
        record->product = emit_product(e, record);
        record->s2 = emit_product_norm(e, record);
}

static void emit_backward(struct emitter *e, struct layer_record *records, uint16_t dx)
{
        e->again = true;
        for (uint32_t i = e->info->n_layers; i-- > e->lowest_layer;) {
                e->layer = i;
                emit_again(e, &records[i]);
                emit_feed_forward_backward(e, &records[i], dx);
                if (i >= e->network->recomputed_layers || e->network->halves) {
                        records[i].attention = kept(e, records[i].attention);
                        records[i].a2 = emit_attention_norm(e, &records[i]);
                }
                emit_attention_backward(e, &records[i], dx);
        }
}

void qvf_train_network_emit(const struct qvf_train_network *network, struct qvf_builder *builder)
{
        const struct qvf_lora *lora = network->lora;
        struct emitter emitter = {
                .network = network,
                .lora = lora,
                .model = lora->model,
                .info = lora->model->info,
                .builder = builder,
        };
        struct emitter *e = &emitter;
        struct layer_record *records = calloc(lora->model->info->n_layers, sizeof(*records));
        uint16_t x, dx;

        if (!records) {
                qvf_builder_fail(builder, -ENOMEM);
                return;
        }
        e->position = fixed(e, &network->inputs.position);
        e->first = fixed(e, &network->inputs.first);
        e->frequency = fixed(e, &e->model->rope_frequency);
        find_lowest(e);
        x = temporary(e, e->info->dim);
        EMIT(EMBED, x, fixed(e, &network->inputs.ids), fixed(e, &e->model->embedding));
        for (e->layer = 0; e->layer < e->info->n_layers; e->layer++) {
                struct layer_record *record = &records[e->layer];
                struct quantised quantised = { QVF_NONE, QVF_NONE };

                record->x = x;
                emit_layer(e, record);
                x = emit_sum(e, record->h,
                                emit_linear(e, QVF_FFN_DOWN, record->s2, &quantised, record, false));
        }
        dx = emit_loss(e, x);
        if (network->backward)
                emit_backward(e, records, dx);
        free(records);
}

void qvf_train_update_emit(const struct qvf_lora *lora, const struct qvf_adamw_options *options,
                struct qvf_builder *builder)
{
        uint16_t gradients = qvf_builder_fixed(builder, &lora->gradients);
        uint16_t norm = qvf_builder_fixed(builder, &lora->norm);
        bool small = lora->options.state == QVF_STATE_8BIT;
        struct qvf_op *op;

        QVF_EMIT(builder, SQUARE_SUM, QVF_ROWS_ALL, norm, gradients);
        op = QVF_EMIT(builder, ADAMW, QVF_ROWS_ALL, qvf_builder_fixed(builder, &lora->parameters), gradients,
                        qvf_builder_fixed(builder, &lora->m), qvf_builder_fixed(builder, &lora->v), norm,
                        small ? qvf_builder_fixed(builder, &lora->m_scale) : QVF_NONE,
                        small ? qvf_builder_fixed(builder, &lora->v_scale) : QVF_NONE);
        op->f[0] = options->beta1;
        op->f[1] = options->beta2;
        op->f[2] = options->epsilon;
        op->f[3] = options->weight_decay;
        QVF_EMIT(builder, FILL, QVF_ROWS_ALL, gradients)->f[0] = 0;
}

void qvf_train_discard_emit(const struct qvf_lora *lora, struct qvf_builder *builder)
{
        QVF_EMIT(builder, FILL, QVF_ROWS_ALL, qvf_builder_fixed(builder, &lora->gradients))->f[0] = 0;
}
