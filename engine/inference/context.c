/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/inference/context.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/checked.h"
#include "engine/inference/context_private.h"

static int check_options(const struct qvf_model *model, const struct qvf_context_options *given,
                struct qvf_context_options *ret_options, struct qvf_error *error)
{
        struct qvf_context_options options = *given;
        uint64_t cells;

        if (options.context_length == 0)
                options.context_length = (uint32_t)qvf_min_u64(model->info->context_length, 4096);
        if (options.sequences == 0)
                options.sequences = 1;
        if (options.sequences > QVF_CONTEXT_SEQUENCES_MOST)
                return qvf_error_set(error, -EINVAL, "%u sequences at once are more than %u",
                                options.sequences, QVF_CONTEXT_SEQUENCES_MOST);
        if (options.context_length > QVF_MODEL_CONTEXT_MOST)
                return qvf_error_set(error, -EINVAL, "a context of %u tokens is longer than %u",
                                options.context_length, QVF_MODEL_CONTEXT_MOST);
        cells = options.cells ? options.cells : (uint64_t)options.context_length * options.sequences;
        if (cells > INT32_MAX / 2)
                return qvf_error_set(error, -EINVAL, "%" PRIu64 " positions are too many", cells);
        options.cells = (uint32_t)qvf_max_u64(cells, options.context_length);
        if (options.batch_rows == 0)
                options.batch_rows = model->compute.discrete ? 512 : 128;
        options.batch_rows = (uint32_t)qvf_min_u64(options.batch_rows, options.cells);
        if (options.output_rows == 0)
                options.output_rows = (uint32_t)qvf_max_u64(8, options.sequences);
        options.output_rows = (uint32_t)qvf_min_u64(options.output_rows, options.batch_rows);
        if (options.ahead == 0)
                options.ahead = model->compute.separate ? QVF_CONTEXT_AHEAD_MOST : 1;
        if (options.ahead > QVF_CONTEXT_AHEAD_MOST || options.no_logits)
                options.ahead = options.no_logits ? 1 : QVF_CONTEXT_AHEAD_MOST;
        if (options.kv_f32)
                options.kv_dtype = QVF_F32;
        else if (options.kv_dtype == QVF_F32)
                options.kv_dtype = QVF_F16;
        if (options.kv_dtype != QVF_F32 && options.kv_dtype != QVF_F16 && options.kv_dtype != QVF_Q8_0)
                return qvf_error_set(error, -EINVAL, "keys and values are kept as f32, f16 or q8_0");
        if (qvf_row_bytes(options.kv_dtype, model->info->head_dim) == 0)
                return qvf_error_set(error, -EINVAL, "heads of %u numbers can't be kept as q8_0: take f16",
                                model->info->head_dim);
        *ret_options = options;
        return 0;
}

static struct qvf_value place_value(struct qvf_context *self, uint64_t *offset, uint32_t rows,
                uint32_t columns, enum qvf_dtype dtype)
{
        struct qvf_value value = {
                .offset = *offset, .rows = rows, .columns = columns, .dtype = dtype, .scale = 1
        };
        uint64_t bytes = qvf_row_bytes(dtype, columns) * rows;

        (void)self;
        *offset = (*offset + bytes + QVF_ARENA_ALIGNMENT - 1) & ~(uint64_t)(QVF_ARENA_ALIGNMENT - 1);
        return value;
}

/* Sizes are bounded by check_options() and the limits of model_info.h: no sum here overflows 64 bits. */
static void lay_out_inputs_outputs(struct qvf_context *self)
{
        const struct qvf_context_options *options = &self->options;
        const struct qvf_model_info *info = self->model->info;
        struct qvf_network_inputs *inputs = &self->inputs;
        uint64_t offset = 0;
        uint32_t rows = options->batch_rows, outputs = options->output_rows;

        inputs->ids = place_value(self, &offset, rows, 1, QVF_I32);
        inputs->position = place_value(self, &offset, rows, 1, QVF_I32);
        inputs->sequence = place_value(self, &offset, rows, 1, QVF_I32);
        inputs->place = place_value(self, &offset, rows, 2, QVF_I32);
        inputs->output_index = place_value(self, &offset, outputs, 1, QVF_I32);
        inputs->adapter_scale = place_value(self, &offset, rows, QVF_CONTEXT_ADAPTERS_MOST, QVF_F32);
        inputs->table = place_value(self, &offset, options->sequences, self->blocks_per_sequence, QVF_I32);
        self->turn = place_value(self, &offset, self->blocks_per_sequence, 2, QVF_I32);
        self->copy = place_value(self, &offset, self->blocks_per_sequence, 2, QVF_I32);
        /* What goes to the device stands together, and what comes from it. */
        for (uint32_t i = 0; i < options->ahead && options->ahead > 1; i++) {
                self->ahead[i].position = place_value(self, &offset, 1, 1, QVF_I32);
                self->ahead[i].place = place_value(self, &offset, 1, 2, QVF_I32);
                self->ahead[i].how = place_value(self, &offset, 1, QVF_DRAW_COLUMNS, QVF_F32);
        }
        for (uint32_t i = 0; i < options->ahead && options->ahead > 1; i++)
                self->ahead[i].chosen = place_value(self, &offset, 1, 1, QVF_I32);
        self->inputs_bytes = offset;
        offset = 0;
        if (!options->no_logits)
                self->logits = place_value(self, &offset, outputs, info->vocabulary_size, QVF_F32);
        if (options->hidden)
                self->hidden = place_value(self, &offset, outputs, info->dim, QVF_F32);
        self->results_bytes = offset;
}

static int allocate(struct qvf_context *self, struct qvf_error *error)
{
        const struct qvf_model_info *info = self->model->info;
        const struct qvf_compute *compute = &self->model->compute;
        struct qvf_value *placed[] = { &self->inputs.ids, &self->inputs.position, &self->inputs.sequence,
                &self->inputs.place, &self->inputs.output_index, &self->inputs.adapter_scale,
                &self->inputs.table, &self->turn, &self->copy };
        uint64_t row = qvf_row_bytes(self->options.kv_dtype, info->n_kv_heads * info->head_dim);
        uint64_t layer = row * self->n_blocks * QVF_KV_BLOCK;
        int r;

        self->kv_bytes = 2 * layer * info->n_layers;
        r = qvf_compute_buffer(compute, self->inputs_bytes, QVF_BUFFER_DEVICE, "inputs",
                        &self->inputs_buffer, error);
        r = r < 0 ? r
                  : qvf_compute_buffer(compute, self->results_bytes, QVF_BUFFER_RESULTS, "results",
                                    &self->results_buffer, error);
        if (r < 0)
                return r;
        self->logits.buffer = self->hidden.buffer = self->results_buffer;
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(placed); i++)
                placed[i]->buffer = self->inputs_buffer;
        for (uint32_t i = 0; i < QVF_CONTEXT_AHEAD_MOST; i++) {
                struct context_ahead *ahead = &self->ahead[i];

                ahead->position.buffer = ahead->place.buffer = ahead->how.buffer = ahead->chosen.buffer =
                                self->inputs_buffer;
        }
        self->caches = calloc(2 * (size_t)info->n_layers, sizeof(*self->caches));
        self->kv_buffers = calloc(2 * (size_t)info->n_layers, sizeof(*self->kv_buffers));
        if (!self->caches || !self->kv_buffers)
                return -ENOMEM;
        for (uint32_t i = 0; i < 2 * info->n_layers; i++) {
                r = qvf_compute_buffer(compute, layer, QVF_BUFFER_DEVICE, "keys and values",
                                &self->kv_buffers[i], error);
                if (r < 0)
                        return r;
                self->caches[i] = (struct qvf_value){
                        .buffer = self->kv_buffers[i],
                        .rows = self->n_blocks * QVF_KV_BLOCK,
                        .columns = info->n_kv_heads * info->head_dim,
                        .dtype = self->options.kv_dtype,
                        .scale = 1,
                };
        }
        if (compute->backend->buffer_map(self->results_buffer))
                return 0;
        self->host_results = qvf_malloc(self->results_bytes);
        return self->host_results ? 0 : -ENOMEM;
}

int qvf_context_new(struct qvf_model *model, const struct qvf_context_options *options,
                struct qvf_context **ret_context, struct qvf_error *error)
{
        _cleanup_(qvf_context_freep) struct qvf_context *self = calloc(1, sizeof(*self));
        int r;

        if (!self)
                return -ENOMEM;
        self->model = model;
        r = check_options(model, options, &self->options, error);
        if (r < 0)
                return r;
        self->blocks_per_sequence = (self->options.context_length + QVF_KV_BLOCK - 1) / QVF_KV_BLOCK;
        self->n_blocks = (self->options.cells + QVF_KV_BLOCK - 1) / QVF_KV_BLOCK;
        self->sequences = calloc(self->options.sequences, sizeof(*self->sequences));
        self->rows = calloc(self->options.batch_rows, sizeof(*self->rows));
        if (!self->sequences || !self->rows)
                return -ENOMEM;
        r = qvf_kv_blocks_new(
                        self->n_blocks, self->options.sequences, self->blocks_per_sequence, &self->blocks);
        if (r < 0)
                return r;
        lay_out_inputs_outputs(self);
        r = allocate(self, error);
        if (r < 0)
                return r;
        *ret_context = QVF_TAKE(self);
        return 0;
}

struct qvf_context *qvf_context_free(struct qvf_context *self)
{
        const struct qvf_compute *compute;

        if (!self)
                return NULL;
        compute = &self->model->compute;
        qvf_context_drop_programs(self);
        for (uint32_t i = 0; self->kv_buffers && i < 2 * self->model->info->n_layers; i++)
                qvf_compute_buffer_free(compute, self->kv_buffers[i]);
        qvf_compute_buffer_free(compute, self->arena);
        qvf_compute_buffer_free(compute, self->inputs_buffer);
        qvf_compute_buffer_free(compute, self->results_buffer);
        for (uint32_t i = 0; self->sequences && i < self->options.sequences; i++)
                free(self->sequences[i].adapters);
        qvf_kv_blocks_free(self->blocks);
        free(self->kv_buffers);
        free(self->caches);
        free(self->sequences);
        free(self->rows);
        free(self->host_results);
        free(self);
        return NULL;
}

const struct qvf_model *qvf_context_model(const struct qvf_context *self)
{
        return self->model;
}

const struct qvf_context_options *qvf_context_options(const struct qvf_context *self)
{
        return &self->options;
}

/* Prefixes are equal only under equal adapters at equal scales. */
static uint64_t family_of(const struct qvf_adapter_choice *adapters, uint32_t n_adapters)
{
        uint64_t family = 0x243f6a8885a308d3u; /* mixing only: adapters' serials are our own numbers */

        for (uint32_t i = 0; i < n_adapters; i++) {
                uint32_t scale;

                memcpy(&scale, &adapters[i].scale, sizeof(scale));
                family = (family ^ adapters[i].adapter->serial) * 0x9e3779b97f4a7c15u;
                family = (family ^ family >> 32 ^ scale) * 0xbf58476d1ce4e5b9u;
        }
        return family >> 1;
}

int qvf_context_open(struct qvf_context *self, const struct qvf_adapter_choice *adapters,
                uint32_t n_adapters, uint32_t *ret_sequence, struct qvf_error *error)
{
        struct qvf_adapter_choice *copy = NULL;
        uint32_t sequence;
        int r;

        if (n_adapters > QVF_CONTEXT_ADAPTERS_MOST)
                return qvf_error_set(error, -E2BIG, "%u adapters are more than %u", n_adapters,
                                QVF_CONTEXT_ADAPTERS_MOST);
        for (uint32_t i = 0; i < n_adapters; i++)
                if (adapters[i].adapter->model != self->model)
                        return qvf_error_set(error, -EINVAL, "adapter %u belongs to another model", i);
        r = qvf_kv_open(self->blocks, family_of(adapters, n_adapters), &sequence);
        if (r < 0)
                return qvf_error_set(error, r, "all %u sequences are in use", self->options.sequences);
        if (n_adapters > 0) {
                copy = calloc(n_adapters, sizeof(*copy));
                if (!copy) {
                        qvf_kv_close(self->blocks, sequence);
                        return -ENOMEM;
                }
                memcpy(copy, adapters, n_adapters * sizeof(*copy));
        }
        self->sequences[sequence] = (struct context_sequence){ .adapters = copy, .n_adapters = n_adapters };
        *ret_sequence = sequence;
        return 0;
}

void qvf_context_close(struct qvf_context *self, uint32_t sequence)
{
        qvf_kv_close(self->blocks, sequence);
        free(self->sequences[sequence].adapters);
        self->sequences[sequence] = (struct context_sequence){ 0 };
}

uint32_t qvf_context_reuse(
                struct qvf_context *self, uint32_t sequence, const int32_t *tokens, uint32_t n_tokens)
{
        return qvf_kv_reuse(self->blocks, sequence, tokens, n_tokens);
}

uint32_t qvf_context_truncate(struct qvf_context *self, uint32_t sequence, uint32_t n_positions)
{
        return qvf_kv_truncate(self->blocks, sequence, n_positions);
}

uint32_t qvf_context_length(const struct qvf_context *self, uint32_t sequence)
{
        return qvf_kv_length(self->blocks, sequence);
}

uint32_t qvf_context_free_cells(const struct qvf_context *self)
{
        return qvf_kv_free_blocks(self->blocks) * QVF_KV_BLOCK;
}

uint32_t qvf_context_outputs(const struct qvf_context *self)
{
        return self->n_outputs;
}

static const float *output_of(const struct qvf_context *self, const struct qvf_value *value, uint32_t output)
{
        const struct qvf_backend *backend = self->model->compute.backend;
        const char *base =
                        self->host_results ? self->host_results : backend->buffer_map(self->results_buffer);

        if (value->rows == 0 || output >= self->n_outputs)
                return NULL;
        return (const float *)(const void *)(base + value->offset) + (size_t)output * value->columns;
}

const float *qvf_context_logits(const struct qvf_context *self, uint32_t output)
{
        return output_of(self, &self->logits, output);
}

const float *qvf_context_hidden(const struct qvf_context *self, uint32_t output)
{
        return output_of(self, &self->hidden, output);
}
