/* SPDX-License-Identifier: Apache-2.0 */
/* The programs of a context: compiled when first needed, by number of rows and adapters. */
#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "engine/inference/context_private.h"

/* A GPU records its commands for a fixed number of rows, so single tokens and small batches have programs of
 * their own. */
static uint32_t rows_class(const struct qvf_context *self, uint32_t rows)
{
        static const uint32_t classes[] = { 1, 8 };

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(classes); i++)
                if (rows <= classes[i] && classes[i] < self->options.batch_rows)
                        return classes[i];
        return self->options.batch_rows;
}

static struct qvf_value limit_rows(struct qvf_value value, uint32_t rows)
{
        value.rows = (uint32_t)qvf_min_u64(value.rows, rows);
        return value;
}

/* One token after the other: each is chosen from the logits of the one before. */
static void emit_ahead(struct qvf_context *self, struct qvf_network *network, struct context_kind kind,
                struct qvf_builder *builder)
{
        network->hidden.rows = network->logits.rows = 0;
        network->logits_stay = true;
        for (uint32_t i = 0; i < kind.ahead; i++) {
                const struct context_ahead *ahead = &self->ahead[i];
                uint16_t logits, value, candidate;

                network->inputs.position = ahead->position;
                network->inputs.place = ahead->place;
                if (i > 0)
                        network->inputs.ids = self->ahead[i - 1].chosen;
                logits = qvf_network_emit(network, builder);
                value = qvf_builder_temporary(builder, 1, kind.k, QVF_F32);
                candidate = qvf_builder_temporary(builder, 1, kind.k, QVF_I32);
                QVF_EMIT(builder, TOP_K, QVF_ROWS_INPUT, value, candidate, logits);
                QVF_EMIT(builder, DRAW, QVF_ROWS_INPUT, qvf_builder_fixed(builder, &ahead->chosen), value,
                                candidate, qvf_builder_fixed(builder, &ahead->how));
        }
}

static int build(struct qvf_context *self, struct context_kind kind,
                const struct qvf_adapter *const *adapters, uint32_t n_adapters,
                struct qvf_builder **ret_builder, uint64_t *ret_arena_bytes, struct qvf_error *error)
{
        uint32_t rows = kind.rows;

        _cleanup_(qvf_builder_freep) struct qvf_builder *builder = NULL;
        uint32_t n_layers = self->model->info->n_layers;
        _cleanup_free_ struct qvf_value *keys = calloc(n_layers, sizeof(*keys));
        _cleanup_free_ struct qvf_value *values = calloc(n_layers, sizeof(*values));
        struct qvf_network network = {
                .model = self->model,
                .keys = keys,
                .values = values,
                .adapters = adapters,
                .n_adapters = n_adapters,
                .rows = rows,
                .outputs = (uint32_t)qvf_min_u64(rows, self->options.output_rows),
        };
        int r;

        if (!keys || !values)
                return -ENOMEM;
        for (uint32_t i = 0; i < n_layers; i++) {
                keys[i] = self->caches[2 * i];
                values[i] = self->caches[2 * i + 1];
        }
        network.inputs.ids = limit_rows(self->inputs.ids, rows);
        network.inputs.position = limit_rows(self->inputs.position, rows);
        network.inputs.sequence = limit_rows(self->inputs.sequence, rows);
        network.inputs.place = limit_rows(self->inputs.place, rows);
        network.inputs.table = self->inputs.table;
        network.inputs.output_index = limit_rows(self->inputs.output_index, network.outputs);
        network.inputs.adapter_scale = limit_rows(self->inputs.adapter_scale, rows);
        network.inputs.adapter_scale.columns = n_adapters ? n_adapters : 1;
        network.logits = limit_rows(self->logits, network.outputs);
        network.hidden = limit_rows(self->hidden, network.outputs);
        r = qvf_builder_new(&builder);
        if (r < 0)
                return r;
        if (kind.ahead > 0)
                emit_ahead(self, &network, kind, builder);
        else
                qvf_network_emit(&network, builder);
        r = qvf_builder_plan(builder, ret_arena_bytes, error);
        if (r < 0)
                return r;
        *ret_builder = QVF_TAKE(builder);
        return 0;
}

static void drop(struct qvf_context *self, struct context_program *program)
{
        if (program->program)
                self->model->compute.backend->program_free(program->program);
        qvf_builder_free(program->builder);
        *program = (struct context_program){ 0 };
}

void qvf_context_drop_programs(struct qvf_context *self)
{
        for (size_t i = 0; i < CONTEXT_PROGRAMS; i++)
                drop(self, &self->programs[i]);
}

static int grow_arena(struct qvf_context *self, uint64_t bytes, struct qvf_error *error)
{
        if (bytes <= self->arena_bytes)
                return 0;
        qvf_context_drop_programs(self); /* they hold the old arena */
        qvf_compute_buffer_free(&self->model->compute, self->arena);
        self->arena = NULL;
        self->arena_bytes = 0;
        if (qvf_compute_buffer(&self->model->compute, bytes, QVF_BUFFER_DEVICE, "intermediate results",
                            &self->arena, error) < 0)
                return -ENOMEM;
        self->arena_bytes = bytes;
        return 0;
}

static struct context_program *oldest(struct qvf_context *self)
{
        struct context_program *best = &self->programs[0];

        for (size_t i = 0; i < CONTEXT_PROGRAMS; i++)
                if (self->programs[i].last_used < best->last_used)
                        best = &self->programs[i];
        return best;
}

static bool fits(const struct context_program *program, struct context_kind kind,
                const struct qvf_adapter *const *adapters, uint32_t n_adapters)
{
        return program->program && program->kind.rows == kind.rows && program->kind.ahead == kind.ahead &&
               program->kind.k == kind.k && program->n_adapters == n_adapters &&
               (n_adapters == 0 || memcmp(program->adapters, adapters, n_adapters * sizeof(*adapters)) == 0);
}

int qvf_context_program(struct qvf_context *self, struct context_kind kind,
                const struct qvf_adapter *const *adapters, uint32_t n_adapters,
                struct context_program **ret_program, struct qvf_error *error)
{
        const struct qvf_compute *compute = &self->model->compute;
        _cleanup_(qvf_builder_freep) struct qvf_builder *builder = NULL;
        struct qvf_program_desc description;
        struct context_program *place;
        uint64_t arena_bytes;
        int r;

        kind.rows = rows_class(self, kind.rows);
        for (size_t i = 0; i < CONTEXT_PROGRAMS; i++)
                if (fits(&self->programs[i], kind, adapters, n_adapters)) {
                        self->programs[i].last_used = ++self->clock;
                        *ret_program = &self->programs[i];
                        return 0;
                }
        r = build(self, kind, adapters, n_adapters, &builder, &arena_bytes, error);
        if (r < 0)
                return r;
        r = grow_arena(self, arena_bytes, error);
        if (r < 0)
                return r;
        place = oldest(self);
        drop(self, place);
        qvf_builder_describe(builder, self->arena,
                        kind.ahead > 0   ? "ahead"
                        : kind.rows == 1 ? "decode"
                                         : "prompt",
                        &description);
        r = compute->backend->program_new(compute->device, &description, &place->program);
        if (r < 0)
                return qvf_error_set(error, r, "the %s backend can't compile the model: %s",
                                compute->backend->name, strerror(-r));
        place->builder = QVF_TAKE(builder);
        place->kind = kind;
        place->n_adapters = n_adapters;
        if (n_adapters > 0)
                memcpy(place->adapters, adapters, n_adapters * sizeof(*adapters));
        place->last_used = ++self->clock;
        *ret_program = place;
        return 0;
}

static int program_memory(struct qvf_context *self, struct context_kind kind,
                struct qvf_context_memory *memory, struct qvf_error *error)
{
        const struct qvf_compute *compute = &self->model->compute;
        _cleanup_(qvf_builder_freep) struct qvf_builder *builder = NULL;
        struct qvf_program_desc description;
        uint64_t arena_bytes, scratch_bytes;
        int r = build(self, kind, NULL, 0, &builder, &arena_bytes, error);

        if (r < 0)
                return r;
        qvf_builder_describe(builder, NULL, "plan", &description);
        r = compute->backend->program_size(compute->device, &description, &scratch_bytes);
        if (r < 0)
                return qvf_error_set(error, r, "the %s backend can't tell the program's size: %s",
                                compute->backend->name, strerror(-r));
        memory->arena = qvf_max_u64(memory->arena, arena_bytes);
        memory->scratch += scratch_bytes;
        return 0;
}

int qvf_context_memory(
                struct qvf_context *self, struct qvf_context_memory *ret_memory, struct qvf_error *error)
{
        struct qvf_context_memory memory = {
                .model_mapped = self->model->mapped_bytes,
                .model_device = self->model->device_bytes,
                .kv = self->kv_bytes,
                .inputs_outputs = self->inputs_bytes + self->results_bytes,
        };
        int r = program_memory(self, (struct context_kind){ .rows = 1 }, &memory, error);

        if (r == 0 && self->options.batch_rows > 1)
                r = program_memory(self, (struct context_kind){ .rows = self->options.batch_rows }, &memory,
                                error);
        if (r == 0 && self->options.ahead > 1)
                r = program_memory(self, (struct context_kind){ 1, self->options.ahead, 1 }, &memory, error);
        if (r < 0)
                return r;
        *ret_memory = memory;
        return 0;
}
