/* SPDX-License-Identifier: Apache-2.0 */
/* One run of a context: which row is what, what the device gets to see of it, and the shift of a full
 * sequence. */
#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "engine/inference/context_private.h"

int qvf_context_upload(struct qvf_context *self, const struct qvf_value *value, const void *bytes,
                uint64_t length, struct qvf_error *error)
{
        const struct qvf_backend *backend = self->model->compute.backend;
        int r = length == 0 ? 0 : backend->buffer_upload(self->inputs_buffer, value->offset, bytes, length);

        if (r < 0)
                return qvf_error_set(error, r, "inputs can't be brought to the %s device: %s", backend->name,
                                strerror(-r));
        return 0;
}

static int check_pieces(const struct qvf_context *self, const struct qvf_piece *pieces, uint32_t n_pieces,
                uint32_t *ret_rows, uint32_t *ret_outputs, struct qvf_error *error)
{
        int32_t vocabulary = (int32_t)self->model->info->vocabulary_size;
        uint64_t rows = 0, outputs = 0;

        for (uint32_t i = 0; i < n_pieces; i++) {
                const struct qvf_piece *piece = &pieces[i];

                if (piece->sequence >= self->options.sequences || piece->n_tokens == 0)
                        return qvf_error_set(error, -EINVAL,
                                        "piece %u of the batch is empty or of no sequence", i);
                for (uint32_t j = 0; j < piece->n_tokens; j++)
                        if (piece->tokens[j] < 0 || piece->tokens[j] >= vocabulary)
                                return qvf_error_set(error, -EINVAL,
                                                "token %u of piece %u is %d: the model has 0 to %d", j, i,
                                                piece->tokens[j], vocabulary - 1);
                rows += piece->n_tokens;
                if (piece->outputs == QVF_OUTPUTS_ALL)
                        outputs += piece->n_tokens;
                else if (piece->outputs == QVF_OUTPUTS_LAST)
                        outputs++;
        }
        if (rows > self->options.batch_rows || rows == 0)
                return qvf_error_set(error, -EINVAL, "a batch has 1 to %u tokens", self->options.batch_rows);
        if (outputs > self->options.output_rows)
                return qvf_error_set(
                                error, -EINVAL, "a batch has at most %u results", self->options.output_rows);
        *ret_rows = (uint32_t)rows;
        *ret_outputs = (uint32_t)outputs;
        return 0;
}

int qvf_context_reserve(
                struct qvf_context *self, uint32_t sequence, uint32_t n_tokens, struct qvf_error *error)
{
        uint64_t wanted = (uint64_t)qvf_kv_length(self->blocks, sequence) + n_tokens;
        int r = wanted > self->options.context_length
                                ? -E2BIG
                                : qvf_kv_reserve(self->blocks, sequence, (uint32_t)wanted);

        if (r == -E2BIG)
                return qvf_error_set(
                                error, r, "the context of %u tokens is full", self->options.context_length);
        if (r < 0)
                return qvf_error_set(error, r, "no memory for keys and values is free: %u positions for all",
                                self->options.cells);
        return 0;
}

static void fill_rows(struct qvf_context *self, const struct qvf_piece *pieces, uint32_t n_pieces)
{
        struct context_row *row = self->rows;

        for (uint32_t i = 0; i < n_pieces; i++) {
                const struct qvf_piece *piece = &pieces[i];
                uint32_t position = qvf_kv_length(self->blocks, piece->sequence);

                for (uint32_t j = 0; j < piece->n_tokens; j++)
                        *row++ = (struct context_row){
                                .id = piece->tokens[j],
                                .position = (int32_t)(position + j),
                                .sequence = (int32_t)piece->sequence,
                                .output = piece->outputs == QVF_OUTPUTS_ALL ||
                                          (piece->outputs == QVF_OUTPUTS_LAST && j + 1 == piece->n_tokens),
                        };
        }
}

int qvf_context_upload_table(struct qvf_context *self, struct qvf_error *error)
{
        uint64_t cells = (uint64_t)self->options.sequences * self->blocks_per_sequence;

        return qvf_context_upload(self, &self->inputs.table, qvf_kv_table(self->blocks),
                        cells * sizeof(int32_t), error);
}

static int upload_rows(struct qvf_context *self, uint32_t n_rows, struct qvf_error *error)
{
        _cleanup_free_ int32_t *staged = calloc(6 * (size_t)n_rows, sizeof(*staged));
        int32_t *position, *sequence, *place, *output;
        uint32_t n_outputs = 0;
        int r;

        if (!staged)
                return -ENOMEM;
        position = staged + n_rows;
        sequence = position + n_rows;
        place = sequence + n_rows;
        output = place + 2 * n_rows;
        for (uint32_t i = 0; i < n_rows; i++) {
                staged[i] = self->rows[i].id;
                position[i] = place[2 * i] = self->rows[i].position;
                sequence[i] = place[2 * i + 1] = self->rows[i].sequence;
                if (self->rows[i].output)
                        output[n_outputs++] = (int32_t)i;
        }
        r = qvf_context_upload(self, &self->inputs.ids, staged, n_rows * sizeof(*staged), error);
        if (r == 0)
                r = qvf_context_upload(
                                self, &self->inputs.position, position, n_rows * sizeof(*staged), error);
        if (r == 0)
                r = qvf_context_upload(
                                self, &self->inputs.sequence, sequence, n_rows * sizeof(*staged), error);
        if (r == 0)
                r = qvf_context_upload(
                                self, &self->inputs.place, place, 2 * n_rows * sizeof(*staged), error);
        if (r == 0)
                r = qvf_context_upload(self, &self->inputs.output_index, output, n_outputs * sizeof(*staged),
                                error);
        return r < 0 ? r : qvf_context_upload_table(self, error);
}

/* The adapters that any of the pieces asks for, each once. */
int qvf_context_collect_adapters(const struct qvf_context *self, const struct qvf_piece *pieces,
                uint32_t n_pieces, const struct qvf_adapter **adapters, uint32_t *ret_count,
                struct qvf_error *error)
{
        uint32_t count = 0;

        for (uint32_t i = 0; i < n_pieces; i++) {
                const struct context_sequence *sequence = &self->sequences[pieces[i].sequence];

                for (uint32_t j = 0; j < sequence->n_adapters; j++) {
                        uint32_t at = 0;

                        while (at < count && adapters[at] != sequence->adapters[j].adapter)
                                at++;
                        if (at == QVF_CONTEXT_ADAPTERS_MOST)
                                return qvf_error_set(error, -E2BIG,
                                                "one batch takes at most %u different adapters",
                                                QVF_CONTEXT_ADAPTERS_MOST);
                        if (at == count)
                                adapters[count++] = sequence->adapters[j].adapter;
                }
        }
        *ret_count = count;
        return 0;
}

int qvf_context_upload_scales(struct qvf_context *self, uint32_t n_rows,
                const struct qvf_adapter *const *adapters, uint32_t n_adapters, struct qvf_error *error)
{
        _cleanup_free_ float *scales = calloc((size_t)n_rows * n_adapters + 1, sizeof(*scales));

        if (!scales)
                return -ENOMEM;
        for (uint32_t i = 0; i < n_rows; i++) {
                const struct context_sequence *sequence = &self->sequences[self->rows[i].sequence];

                for (uint32_t j = 0; j < sequence->n_adapters; j++)
                        for (uint32_t k = 0; k < n_adapters; k++)
                                if (adapters[k] == sequence->adapters[j].adapter)
                                        scales[(size_t)i * n_adapters + k] += sequence->adapters[j].scale;
        }
        return qvf_context_upload(self, &self->inputs.adapter_scale, scales,
                        (uint64_t)n_rows * n_adapters * sizeof(*scales), error);
}

static int download_outputs(struct qvf_context *self, struct qvf_error *error)
{
        const struct qvf_value *results[] = { &self->logits, &self->hidden };
        const struct qvf_backend *backend = self->model->compute.backend;

        if (!self->host_results)
                return 0;
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(results); i++) {
                uint64_t bytes = (uint64_t)self->n_outputs * results[i]->columns * sizeof(float);
                int r = results[i]->rows == 0 || bytes == 0
                                        ? 0
                                        : backend->buffer_download(self->results_buffer, results[i]->offset,
                                                          self->host_results + results[i]->offset, bytes);

                if (r < 0)
                        return qvf_error_set(error, r, "results can't be read from the %s device: %s",
                                        backend->name, strerror(-r));
        }
        return 0;
}

static int run(struct qvf_context *self, const struct qvf_piece *pieces, uint32_t n_pieces, uint32_t n_rows,
                uint32_t n_outputs, struct qvf_error *error)
{
        const struct qvf_adapter *adapters[QVF_CONTEXT_ADAPTERS_MOST];
        struct qvf_args args = { .size = sizeof(args), .rows = n_rows, .output_rows = n_outputs };
        struct context_program *program;
        uint32_t n_adapters;
        int r;

        fill_rows(self, pieces, n_pieces);
        r = qvf_context_collect_adapters(self, pieces, n_pieces, adapters, &n_adapters, error);
        if (r < 0)
                return r;
        r = qvf_context_program(self, (struct context_kind){ .rows = n_rows }, adapters, n_adapters,
                        &program, error);
        if (r < 0)
                return r;
        r = upload_rows(self, n_rows, error);
        if (r == 0 && n_adapters > 0)
                r = qvf_context_upload_scales(self, n_rows, adapters, n_adapters, error);
        if (r == 0)
                r = qvf_compute_run(&self->model->compute, program->program, &args, error);
        return r;
}

int qvf_context_run(struct qvf_context *self, const struct qvf_piece *pieces, uint32_t n_pieces,
                struct qvf_error *error)
{
        uint32_t n_rows, n_outputs;
        double begun;
        int r;

        self->n_outputs = 0;
        r = check_pieces(self, pieces, n_pieces, &n_rows, &n_outputs, error);
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < n_pieces && r == 0; i++)
                r = qvf_context_reserve(self, pieces[i].sequence, pieces[i].n_tokens, error);
        if (r < 0)
                return r;
        begun = qvf_context_now_ms();
        r = run(self, pieces, n_pieces, n_rows, n_outputs, error);
        if (r < 0)
                return r;
        if (n_rows == 1)
                qvf_context_took(self, qvf_context_now_ms() - begun);
        for (uint32_t i = 0; i < n_pieces; i++)
                qvf_kv_append(self->blocks, pieces[i].sequence, pieces[i].tokens, pieces[i].n_tokens);
        self->n_outputs = n_outputs;
        return download_outputs(self, error);
}

/* Copies, then turns, blocks of every layer's cache. */
static int run_shift(struct qvf_context *self, const struct qvf_kv_pair *turns, uint32_t n_turn,
                const struct qvf_kv_pair *copies, uint32_t n_copy, struct qvf_error *error)
{
        const struct qvf_compute *compute = &self->model->compute;
        const struct qvf_model_info *info = self->model->info;
        _cleanup_(qvf_builder_freep) struct qvf_builder *builder = NULL;
        struct qvf_args args = { .size = sizeof(args), .rows = n_copy, .output_rows = n_turn };
        struct qvf_program_desc description;
        struct qvf_program *program;
        uint64_t arena_bytes;
        int r = qvf_builder_new(&builder);

        if (r < 0)
                return r;
        for (uint32_t i = 0; i < 2 * info->n_layers; i++) {
                uint16_t cache = qvf_builder_fixed(builder, &self->caches[i]);
                struct qvf_op *op;

                QVF_EMIT(builder, KV_COPY, QVF_ROWS_INPUT, cache, qvf_builder_fixed(builder, &self->copy));
                if (i % 2 == 1)
                        continue;
                op = QVF_EMIT(builder, KV_ROTATE, QVF_ROWS_OUTPUT, cache,
                                qvf_builder_fixed(builder, &self->turn),
                                qvf_builder_fixed(builder, &self->model->rope_frequency));
                op->i[0] = (int32_t)info->head_dim;
                op->i[1] = info->rope_pairing == QVF_ROPE_INTERLEAVED;
        }
        r = qvf_builder_plan(builder, &arena_bytes, error);
        if (r == 0)
                r = qvf_context_upload(self, &self->copy, copies, n_copy * sizeof(*copies), error);
        if (r == 0)
                r = qvf_context_upload(self, &self->turn, turns, n_turn * sizeof(*turns), error);
        if (r < 0)
                return r;
        qvf_builder_describe(builder, NULL, "shift", &description);
        r = compute->backend->program_new(compute->device, &description, &program);
        if (r < 0)
                return qvf_error_set(error, r, "the %s backend can't compile the shift: %s",
                                compute->backend->name, strerror(-r));
        r = qvf_compute_run(compute, program, &args, error);
        compute->backend->program_free(program);
        return r;
}

int qvf_context_shift(struct qvf_context *self, uint32_t sequence, uint32_t n_keep, uint32_t *ret_dropped,
                struct qvf_error *error)
{
        _cleanup_free_ struct qvf_kv_pair *turns = calloc(self->blocks_per_sequence, sizeof(*turns));
        _cleanup_free_ struct qvf_kv_pair *copies = calloc(self->blocks_per_sequence, sizeof(*copies));
        uint32_t whole = qvf_kv_length(self->blocks, sequence) / QVF_KV_BLOCK;
        uint32_t keep = n_keep / QVF_KV_BLOCK + (n_keep % QVF_KV_BLOCK != 0);
        uint32_t drop = keep < whole ? (whole - keep + 1) / 2 : 0;
        uint32_t n_turn, n_copy;
        int r;

        if (!turns || !copies)
                return -ENOMEM;
        if (drop == 0)
                return qvf_error_set(error, -ENOSPC,
                                "the context of %u tokens is full, and %u of them are to be kept",
                                self->options.context_length, n_keep);
        r = qvf_kv_drop(self->blocks, sequence, keep, drop, turns, &n_turn, copies, &n_copy);
        if (r < 0)
                return qvf_error_set(error, r, "no block of keys and values is free to shift the context");
        r = run_shift(self, turns, n_turn, copies, n_copy, error);
        if (r < 0)
                return r;
        *ret_dropped = drop * QVF_KV_BLOCK;
        return 0;
}
