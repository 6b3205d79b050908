/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/training/trainer.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/checked.h"
#include "engine/program/planner.h"

enum program { TRAIN, EVALUATE, UPDATE, DISCARD, PROGRAMS };

struct qvf_trainer {
        struct qvf_lora *lora;
        struct qvf_compute compute;
        struct qvf_trainer_plan plan;
        struct qvf_adamw_options adamw;
        struct qvf_train_inputs inputs;
        struct qvf_value loss, best;
        struct qvf_buffer *input, *results, *arena;
        struct qvf_builder *builders[PROGRAMS];
        struct qvf_program *programs[PROGRAMS];
        float *host_loss;
        int32_t *host_best;
};

static int check_plan(const struct qvf_trainer_plan *plan, struct qvf_error *error)
{
        if (plan->rows == 0 || plan->rows > QVF_MODEL_CONTEXT_MOST || plan->outputs == 0 ||
                        plan->outputs > plan->rows || plan->loss_rows == 0 ||
                        plan->loss_rows > plan->outputs || plan->loss_columns == 0)
                return qvf_error_set(error, -EINVAL, "a training plan of %u rows, %u results can't be made",
                                plan->rows, plan->outputs);
        return 0;
}

static struct qvf_value place_value(uint64_t *offset, uint32_t rows, enum qvf_dtype dtype)
{
        struct qvf_value value = {
                .offset = *offset, .rows = rows, .columns = 1, .dtype = dtype, .scale = 1
        };

        *offset += ((uint64_t)rows * 4 + QVF_ARENA_ALIGNMENT - 1) & ~(uint64_t)(QVF_ARENA_ALIGNMENT - 1);
        return value;
}

struct room { /* bytes of buffers */
        uint64_t input, results;
};

static struct room lay_out(struct qvf_trainer *self)
{
        uint64_t offset = 0, results = 0;

        self->inputs.ids = place_value(&offset, self->plan.rows, QVF_I32);
        self->inputs.position = place_value(&offset, self->plan.rows, QVF_I32);
        self->inputs.first = place_value(&offset, self->plan.rows, QVF_I32);
        self->inputs.output_index = place_value(&offset, self->plan.outputs, QVF_I32);
        self->inputs.target = place_value(&offset, self->plan.outputs, QVF_I32);
        self->loss = place_value(&results, self->plan.outputs, QVF_F32);
        self->best = place_value(&results, self->plan.outputs, QVF_I32);
        return (struct room){ offset, results };
}

static int build(struct qvf_trainer *self, enum program which, uint64_t *ret_arena_bytes,
                struct qvf_error *error)
{
        const struct qvf_train_network network = {
                .lora = self->lora,
                .inputs = self->inputs,
                .loss = self->loss,
                .best = self->best,
                .rows = self->plan.rows,
                .outputs = self->plan.outputs,
                .loss_rows = self->plan.loss_rows,
                .loss_columns = self->plan.loss_columns,
                .recomputed_layers = self->plan.recomputed_layers,
                .recomputed_gates = self->plan.recomputed_gates,
                .halves = self->plan.halves,
                .backward = which == TRAIN,
        };
        int r = qvf_builder_new(&self->builders[which]);

        if (r < 0)
                return r;
        if (which == UPDATE)
                qvf_train_update_emit(self->lora, &self->adamw, self->builders[which]);
        else if (which == DISCARD)
                qvf_train_discard_emit(self->lora, self->builders[which]);
        else
                qvf_train_network_emit(&network, self->builders[which]);
        return qvf_builder_plan(self->builders[which], ret_arena_bytes, error);
}

static int build_all(struct qvf_trainer *self, uint64_t *ret_arena_bytes, struct qvf_error *error)
{
        uint64_t arena = 0;

        for (int i = 0; i < PROGRAMS; i++) {
                uint64_t bytes;
                int r = build(self, i, &bytes, error);

                if (r < 0)
                        return r;
                arena = qvf_max_u64(arena, bytes);
        }
        *ret_arena_bytes = arena;
        return 0;
}

static int compile(struct qvf_trainer *self, struct qvf_error *error)
{
        static const char *const names[PROGRAMS] = { "training step", "evaluation", "update", "discard" };
        const struct qvf_backend *backend = self->compute.backend;

        for (int i = 0; i < PROGRAMS; i++) {
                struct qvf_program_desc description;
                int r;

                qvf_builder_describe(self->builders[i], self->arena, names[i], &description);
                r = backend->program_new(self->compute.device, &description, &self->programs[i]);
                if (r < 0)
                        return qvf_error_set(error, r, "the %s backend can't compile the %s: %s",
                                        backend->name, names[i], strerror(-r));
        }
        return 0;
}

static int allocate(
                struct qvf_trainer *self, struct room room, uint64_t arena_bytes, struct qvf_error *error)
{
        struct qvf_value *placed[] = { &self->inputs.ids, &self->inputs.position, &self->inputs.first,
                &self->inputs.output_index, &self->inputs.target };
        int r = qvf_compute_buffer(
                        &self->compute, room.input, QVF_BUFFER_DEVICE, "training rows", &self->input, error);

        if (r == 0)
                r = qvf_compute_buffer(&self->compute, room.results, QVF_BUFFER_RESULTS, "losses",
                                &self->results, error);
        if (r == 0)
                r = qvf_compute_buffer(&self->compute, arena_bytes, QVF_BUFFER_DEVICE,
                                "intermediate results", &self->arena, error);
        if (r < 0)
                return r;
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(placed); i++)
                placed[i]->buffer = self->input;
        self->loss.buffer = self->best.buffer = self->results;
        return 0;
}

static void drop_builders(struct qvf_trainer *self)
{
        for (int i = 0; i < PROGRAMS; i++)
                self->builders[i] = qvf_builder_free(self->builders[i]);
}

int qvf_trainer_new(struct qvf_lora *lora, const struct qvf_trainer_plan *plan,
                const struct qvf_adamw_options *adamw, struct qvf_trainer **ret_trainer,
                struct qvf_error *error)
{
        _cleanup_(qvf_trainer_freep) struct qvf_trainer *self = calloc(1, sizeof(*self));
        struct room room;
        uint64_t arena_bytes;
        int r = check_plan(plan, error);

        if (!self)
                return -ENOMEM;
        self->lora = lora;
        self->compute = lora->model->compute;
        if (r < 0)
                return r;
        self->plan = *plan;
        self->adamw = *adamw;
        self->host_loss = calloc(plan->outputs, sizeof(*self->host_loss));
        self->host_best = calloc(plan->outputs, sizeof(*self->host_best));
        if (!self->host_loss || !self->host_best)
                return -ENOMEM;
        /* The values' buffers must stand before the operations that name them are emitted; the arena's size is
         * known only behind that. So they are emitted twice: once to measure. */
        room = lay_out(self);
        r = build_all(self, &arena_bytes, error);
        drop_builders(self);
        if (r == 0)
                r = allocate(self, room, arena_bytes, error);
        if (r == 0)
                r = build_all(self, &arena_bytes, error);
        if (r == 0)
                r = compile(self, error);
        if (r < 0)
                return r;
        *ret_trainer = QVF_TAKE(self);
        return 0;
}

struct qvf_trainer *qvf_trainer_free(struct qvf_trainer *self)
{
        if (!self)
                return NULL;
        for (int i = 0; i < PROGRAMS; i++)
                if (self->programs[i])
                        self->compute.backend->program_free(self->programs[i]);
        drop_builders(self);
        qvf_compute_buffer_free(&self->compute, self->arena);
        qvf_compute_buffer_free(&self->compute, self->results);
        qvf_compute_buffer_free(&self->compute, self->input);
        free(self->host_loss);
        free(self->host_best);
        free(self);
        return NULL;
}

int qvf_trainer_memory(const struct qvf_model *model, const struct qvf_lora_options *options,
                const struct qvf_trainer_plan *plan, struct qvf_trainer_memory *ret_memory,
                struct qvf_error *error)
{
        struct qvf_trainer_memory memory = { .model_mapped = model->mapped_bytes,
                .model_device = model->device_bytes };
        struct qvf_trainer self = { .plan = *plan, .compute = model->compute };
        struct qvf_lora lora;
        struct room room;
        int r = check_plan(plan, error);

        if (r == 0)
                r = qvf_lora_bytes(model, options, &memory.adapter, error);
        if (r == 0)
                r = qvf_lora_describe(model, options, &lora, error);
        if (r < 0)
                return r;
        self.lora = &lora;
        room = lay_out(&self);
        memory.inputs_outputs = room.input + room.results;
        r = build_all(&self, &memory.arena, error);
        for (int i = 0; r == 0 && i < PROGRAMS; i++) {
                struct qvf_program_desc description;
                uint64_t bytes;

                qvf_builder_describe(self.builders[i], NULL, "plan", &description);
                r = self.compute.backend->program_size(self.compute.device, &description, &bytes);
                if (r < 0)
                        qvf_error_set(error, r, "the %s backend can't tell the program's size: %s",
                                        self.compute.backend->name, strerror(-r));
                else
                        memory.scratch += bytes;
        }
        drop_builders(&self);
        free(lora.pairs);
        if (r < 0)
                return r;
        *ret_memory = memory;
        return 0;
}

static int upload(struct qvf_trainer *self, const struct qvf_value *value, const int32_t *numbers,
                uint32_t count, struct qvf_error *error)
{
        int r = count == 0 ? 0
                           : self->compute.backend->buffer_upload(self->input, value->offset, numbers,
                                             (uint64_t)count * sizeof(*numbers));

        if (r < 0)
                return qvf_error_set(
                                error, r, "training rows can't be brought to the device: %s", strerror(-r));
        return 0;
}

static int check_rows(
                const struct qvf_trainer *self, const struct qvf_train_rows *rows, struct qvf_error *error)
{
        int32_t vocabulary = (int32_t)self->lora->model->info->vocabulary_size;

        if (rows->n_rows == 0 || rows->n_rows > self->plan.rows || rows->n_outputs > self->plan.outputs)
                return qvf_error_set(error, -EINVAL,
                                "%u rows with %u results do not fit the plan of %u and %u", rows->n_rows,
                                rows->n_outputs, self->plan.rows, self->plan.outputs);
        for (uint32_t i = 0; i < rows->n_rows; i++)
                if (rows->ids[i] < 0 || rows->ids[i] >= vocabulary || rows->first[i] < 0 ||
                                rows->first[i] > (int32_t)i || rows->position[i] < 0)
                        return qvf_error_set(error, -EINVAL,
                                        "row %u: token %d is not below %d, or its document begins "
                                        "behind it",
                                        i, rows->ids[i], vocabulary);
        for (uint32_t i = 0; i < rows->n_outputs; i++)
                if (rows->output_index[i] < 0 || rows->output_index[i] >= (int32_t)rows->n_rows ||
                                (i > 0 && rows->output_index[i] <= rows->output_index[i - 1]) ||
                                rows->target[i] < -1 || rows->target[i] >= vocabulary)
                        return qvf_error_set(error, -EINVAL, "result %u: row %d or token %d is out of range",
                                        i, rows->output_index[i], rows->target[i]);
        return 0;
}

static int run(struct qvf_trainer *self, enum program which, const struct qvf_train_rows *rows,
                const struct qvf_args *args, struct qvf_train_result *ret_result, struct qvf_error *error)
{
        const struct qvf_backend *backend = self->compute.backend;
        struct qvf_train_result result = { 0 };
        int r = check_rows(self, rows, error);

        if (r == 0)
                r = upload(self, &self->inputs.ids, rows->ids, rows->n_rows, error);
        if (r == 0)
                r = upload(self, &self->inputs.position, rows->position, rows->n_rows, error);
        if (r == 0)
                r = upload(self, &self->inputs.first, rows->first, rows->n_rows, error);
        if (r == 0)
                r = upload(self, &self->inputs.output_index, rows->output_index, rows->n_outputs, error);
        if (r == 0)
                r = upload(self, &self->inputs.target, rows->target, rows->n_outputs, error);
        if (r == 0)
                r = qvf_compute_run(&self->compute, self->programs[which], args, error);
        if (r < 0)
                return r;
        r = backend->buffer_download(
                        self->results, self->loss.offset, self->host_loss, rows->n_outputs * sizeof(float));
        if (r == 0)
                r = backend->buffer_download(self->results, self->best.offset, self->host_best,
                                rows->n_outputs * sizeof(int32_t));
        if (r < 0)
                return qvf_error_set(error, r, "the loss can't be read from the device: %s", strerror(-r));
        for (uint32_t i = 0; i < rows->n_outputs; i++) {
                result.loss_sum += (double)self->host_loss[i];
                result.n_correct += self->host_best[i] == rows->target[i];
        }
        *ret_result = result;
        return 0;
}

int qvf_trainer_accumulate(struct qvf_trainer *self, const struct qvf_train_rows *rows, float loss_scale,
                uint64_t seed, struct qvf_train_result *ret_result, struct qvf_error *error)
{
        struct qvf_args args = {
                .size = sizeof(args),
                .rows = rows->n_rows,
                .output_rows = rows->n_outputs,
                .seed = seed,
                .loss_scale = loss_scale,
        };

        return run(self, TRAIN, rows, &args, ret_result, error);
}

int qvf_trainer_evaluate(struct qvf_trainer *self, const struct qvf_train_rows *rows,
                struct qvf_train_result *ret_result, struct qvf_error *error)
{
        struct qvf_args args = {
                .size = sizeof(args), .rows = rows->n_rows, .output_rows = rows->n_outputs
        };

        return run(self, EVALUATE, rows, &args, ret_result, error);
}

int qvf_trainer_update(struct qvf_trainer *self, uint32_t step, float learning_rate, float clip,
                double *ret_gradient_norm, struct qvf_error *error)
{
        struct qvf_args args = {
                .size = sizeof(args), .step = step, .learning_rate = learning_rate, .clip = clip
        };
        float square;
        struct qvf_compute_watch *watch = self->compute.watch;
        int r;

        /* Half an update would leave an adapter that no run of steps makes. */
        if (watch)
                watch->keep = true;
        r = qvf_compute_run(&self->compute, self->programs[UPDATE], &args, error);
        if (watch)
                watch->keep = false;

        if (r == 0) {
                r = self->compute.backend->buffer_download(
                                self->lora->norm.buffer, 0, &square, sizeof(square));
                if (r < 0)
                        qvf_error_set(error, r, "the gradient's norm can't be read from the device: %s",
                                        strerror(-r));
        }
        if (r < 0)
                return r;
        *ret_gradient_norm = sqrt((double)square);
        return 0;
}

int qvf_trainer_discard(struct qvf_trainer *self, struct qvf_error *error)
{
        struct qvf_args args = { .size = sizeof(args) };

        return qvf_compute_run(&self->compute, self->programs[DISCARD], &args, error);
}
