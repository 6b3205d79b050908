/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/network.h"

/* h = x + O(subnorm(attn(norm(x)))), out = h + Down(subnorm(act(Gate·n) ∘ Up·n)), n = norm(h) */

struct emitter {
        const struct qvf_network *network;
        const struct qvf_model *model;
        const struct qvf_model_info *info;
        struct qvf_builder *builder;
        uint16_t ids, position, sequence, place, table, frequency;
        uint32_t layer;
        /* The rows that the present operations work on: all of them, or, once nothing else is needed, those
         * whose results are wanted. */
        enum qvf_rows rows;
        uint32_t n_rows;
        uint16_t adapter_scale;
};

struct linear_input { /* what a linear layer reads: x as it is, and quantised where somebody needs that */
        uint16_t x;
        uint16_t quantised, scale; /* QVF_NONE until asked for */
};

static uint16_t temporary(struct emitter *e, uint32_t columns)
{
        return qvf_builder_temporary(e->builder, e->n_rows, columns, QVF_F32);
}

static uint16_t normalise(struct emitter *e, uint16_t x, uint32_t columns, const struct qvf_value *weight)
{
        uint16_t y = temporary(e, columns);

        QVF_EMIT(e->builder, RMSNORM, e->rows, y, x, qvf_builder_fixed(e->builder, weight))->f[0] =
                        e->info->norm_epsilon;
        return y;
}

static void quantise(struct emitter *e, struct linear_input *input, uint32_t columns)
{
        uint32_t padded = (columns + QVF_TERNARY_BLOCK - 1) / QVF_TERNARY_BLOCK * QVF_TERNARY_BLOCK;

        if (input->quantised != QVF_NONE)
                return;
        input->quantised = qvf_builder_temporary(e->builder, e->n_rows, padded, QVF_I8);
        input->scale = temporary(e, 1);
        QVF_EMIT(e->builder, QUANTIZE, e->rows, input->quantised, input->scale, input->x);
}

static void emit_adapters(struct emitter *e, enum qvf_module module, uint16_t y, uint16_t x)
{
        for (uint32_t i = 0; i < e->network->n_adapters; i++) {
                const struct qvf_adapter_pair *pair =
                                &e->network->adapters[i]->pairs[e->layer * QVF_MODULES + module];
                uint16_t t;
                struct qvf_op *op;

                if (pair->rank == 0)
                        continue;
                t = temporary(e, pair->rank);
                op = QVF_EMIT(e->builder, MATMUL, e->rows, t, x, qvf_builder_fixed(e->builder, &pair->a),
                                e->adapter_scale);
                op->f[0] = pair->scale;
                op->i[0] = (int32_t)i;
                op = QVF_EMIT(e->builder, MATMUL, e->rows, y, t, qvf_builder_fixed(e->builder, &pair->b),
                                QVF_NONE);
                op->f[0] = 1;
                op->flags = QVF_ACCUMULATE;
        }
}

static uint16_t emit_linear(struct emitter *e, enum qvf_module module, struct linear_input *input)
{
        const struct qvf_linear *linear = &e->model->layers[e->layer].linear[module];
        uint16_t weight = qvf_builder_fixed(e->builder, &linear->weight);
        uint16_t y = temporary(e, linear->outputs);

        if (linear->ternary) {
                quantise(e, input, linear->inputs);
                QVF_EMIT(e->builder, MATMUL_TERNARY, e->rows, y, input->quantised, input->scale, weight);
        } else {
                QVF_EMIT(e->builder, MATMUL, e->rows, y, input->x, weight, QVF_NONE)->f[0] = linear->scale;
        }
        emit_adapters(e, module, y, input->x);
        return y;
}

static void emit_rope(struct emitter *e, uint16_t x)
{
        struct qvf_op *op = QVF_EMIT(e->builder, ROPE, e->rows, x, x, e->position, e->frequency);

        op->i[0] = (int32_t)e->info->head_dim;
        op->i[1] = e->info->rope_pairing == QVF_ROPE_INTERLEAVED;
        op->f[0] = 1;
        op->f[1] = e->model->rope_magnitude;
}

static uint16_t emit_attention(struct emitter *e, uint16_t x)
{
        const struct qvf_layer *layer = &e->model->layers[e->layer];
        const struct qvf_model_info *info = e->info;
        struct linear_input input = { normalise(e, x, info->dim, &layer->attn_norm), QVF_NONE, QVF_NONE };
        uint16_t keys = qvf_builder_fixed(e->builder, &e->network->keys[e->layer]);
        uint16_t values = qvf_builder_fixed(e->builder, &e->network->values[e->layer]);
        uint16_t q = emit_linear(e, QVF_ATTN_Q, &input);
        uint16_t k = emit_linear(e, QVF_ATTN_K, &input);
        uint16_t v = emit_linear(e, QVF_ATTN_V, &input);
        uint16_t y = temporary(e, info->n_heads * info->head_dim);
        struct qvf_op *op;

        emit_rope(e, q);
        emit_rope(e, k);
        QVF_EMIT(e->builder, KV_STORE, e->rows, keys, k, e->position, e->sequence, e->table);
        QVF_EMIT(e->builder, KV_STORE, e->rows, values, v, e->position, e->sequence, e->table);
        op = QVF_EMIT(e->builder, ATTENTION, e->rows, y, q, keys, values, e->place, e->table);
        op->i[0] = (int32_t)info->head_dim;
        op->f[0] = 1 / __builtin_sqrtf((float)info->head_dim);
        return y;
}

static uint16_t gather_outputs(struct emitter *e, uint16_t x, uint32_t columns)
{
        uint16_t y = qvf_builder_temporary(e->builder, e->network->outputs, columns, QVF_F32);

        QVF_EMIT(e->builder, GATHER, QVF_ROWS_OUTPUT, y, x,
                        qvf_builder_fixed(e->builder, &e->network->inputs.output_index));
        return y;
}

/* Behind the last attention only the rows with results matter. */
static void leave_other_rows(struct emitter *e, uint16_t *x, uint16_t *attention)
{
        *x = gather_outputs(e, *x, e->info->dim);
        *attention = gather_outputs(e, *attention, e->info->n_heads * e->info->head_dim);
        if (e->network->n_adapters > 0)
                e->adapter_scale = gather_outputs(e, e->adapter_scale, e->network->n_adapters);
        e->rows = QVF_ROWS_OUTPUT;
        e->n_rows = e->network->outputs;
}

static void add_to(struct emitter *e, uint16_t x, uint16_t more)
{
        struct qvf_op *op = QVF_EMIT(e->builder, ADD, e->rows, x, x, more);

        op->f[0] = 1;
        op->f[1] = 1;
}

static uint16_t emit_feed_forward(struct emitter *e, uint16_t x)
{
        const struct qvf_layer *layer = &e->model->layers[e->layer];
        struct linear_input input = { normalise(e, x, e->info->dim, &layer->ffn_norm), QVF_NONE, QVF_NONE };
        uint16_t gate = emit_linear(e, QVF_FFN_GATE, &input);
        uint16_t up = emit_linear(e, QVF_FFN_UP, &input);
        struct linear_input product = { gate, QVF_NONE, QVF_NONE };

        QVF_EMIT(e->builder, GATE, e->rows, gate, gate, up)->i[0] =
                        e->info->activation == QVF_ACTIVATION_RELU2;
        if (e->info->sub_norms)
                product.x = normalise(e, gate, e->info->ffn_dim, &layer->ffn_sub_norm);
        return emit_linear(e, QVF_FFN_DOWN, &product);
}

static uint16_t emit_head(struct emitter *e, uint16_t x)
{
        const struct qvf_network *network = e->network;
        uint16_t hidden, logits;

        if (network->hidden.rows > 0) {
                hidden = qvf_builder_fixed(e->builder, &network->hidden);
                QVF_EMIT(e->builder, RMSNORM, e->rows, hidden, x,
                                qvf_builder_fixed(e->builder, &e->model->output_norm))
                                ->f[0] = e->info->norm_epsilon;
        } else {
                hidden = normalise(e, x, e->info->dim, &e->model->output_norm);
        }
        if (network->logits.rows == 0 && !network->logits_stay)
                return QVF_NONE;
        logits = network->logits_stay ? temporary(e, e->info->vocabulary_size)
                                      : qvf_builder_fixed(e->builder, &network->logits);
        QVF_EMIT(e->builder, MATMUL, e->rows, logits, hidden, qvf_builder_fixed(e->builder, &e->model->head),
                        QVF_NONE)
                        ->f[0] = e->model->head_scale;
        return logits;
}

uint16_t qvf_network_emit(const struct qvf_network *network, struct qvf_builder *builder)
{
        const struct qvf_network_inputs *inputs = &network->inputs;
        struct emitter e = {
                .network = network,
                .model = network->model,
                .info = network->model->info,
                .builder = builder,
                .ids = qvf_builder_fixed(builder, &inputs->ids),
                .position = qvf_builder_fixed(builder, &inputs->position),
                .sequence = qvf_builder_fixed(builder, &inputs->sequence),
                .place = qvf_builder_fixed(builder, &inputs->place),
                .table = qvf_builder_fixed(builder, &inputs->table),
                .frequency = qvf_builder_fixed(builder, &network->model->rope_frequency),
                .rows = QVF_ROWS_INPUT,
                .n_rows = network->rows,
                .adapter_scale = QVF_NONE,
        };
        uint16_t x = temporary(&e, e.info->dim);

        if (network->n_adapters > 0)
                e.adapter_scale = qvf_builder_fixed(builder, &inputs->adapter_scale);
        QVF_EMIT(builder, EMBED, e.rows, x, e.ids, qvf_builder_fixed(builder, &network->model->embedding));
        for (e.layer = 0; e.layer < e.info->n_layers; e.layer++) {
                const struct qvf_layer *layer = &e.model->layers[e.layer];
                uint16_t attention = emit_attention(&e, x);
                struct linear_input output;

                if (e.layer + 1 == e.info->n_layers)
                        leave_other_rows(&e, &x, &attention);
                if (e.info->sub_norms)
                        attention = normalise(&e, attention, e.info->n_heads * e.info->head_dim,
                                        &layer->attn_sub_norm);
                output = (struct linear_input){ attention, QVF_NONE, QVF_NONE };
                add_to(&e, x, emit_linear(&e, QVF_ATTN_OUTPUT, &output));
                add_to(&e, x, emit_feed_forward(&e, x));
        }
        return emit_head(&e, x);
}
