/* SPDX-License-Identifier: Apache-2.0 */
/* Several tokens of one sequence in one run: the device chooses each from the logits of the one before, so that neither waits
 * for the other in between. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/checked.h"
#include "engine/inference/context_private.h"

#define AHEAD_MS                                                                                            \
        12.0 /* longer, and text would come in jerks, and what is computed behind its end would cost */

double qvf_context_now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

void qvf_context_took(struct qvf_context *self, double row_ms)
{
        /* The first one builds its program. */
        self->row_ms = self->row_ms > row_ms || self->row_ms <= 0
                                       ? row_ms
                                       : self->row_ms + (row_ms - self->row_ms) / 8;
}

uint32_t qvf_context_ahead(const struct qvf_context *self, uint32_t most)
{
        uint32_t count = 1;

        most = (uint32_t)qvf_min_u64(most, self->options.ahead);
        while (2 * count <= most && self->row_ms > 0 && 2 * count * self->row_ms <= AHEAD_MS)
                count *= 2;
        return count;
}

/* What the host gives to all tokens at once: the first one's id, and each one's place and draw. */
static int upload(struct qvf_context *self, uint32_t sequence, int32_t token, uint32_t count,
                const float *how, struct qvf_error *error)
{
        const struct context_ahead *first = &self->ahead[0], *last = &self->ahead[count - 1];
        uint64_t begin = first->position.offset, end = last->how.offset + QVF_DRAW_COLUMNS * sizeof(*how);
        int32_t position = (int32_t)qvf_kv_length(self->blocks, sequence), in = (int32_t)sequence,
                output = 0;
        _cleanup_free_ char *staged = calloc(1, end - begin);
        int r;

        if (!staged)
                return -ENOMEM;
        for (uint32_t i = 0; i < count; i++, position++) {
                const int32_t place[2] = { position, in };

                memcpy(staged + self->ahead[i].position.offset - begin, &position, sizeof(position));
                memcpy(staged + self->ahead[i].place.offset - begin, place, sizeof(place));
                memcpy(staged + self->ahead[i].how.offset - begin, how + (size_t)i * QVF_DRAW_COLUMNS,
                                QVF_DRAW_COLUMNS * sizeof(*how));
        }
        r = qvf_context_upload(self, &first->position, staged, end - begin, error);
        if (r == 0)
                r = qvf_context_upload(self, &self->inputs.ids, &token, sizeof(token), error);
        if (r == 0)
                r = qvf_context_upload(self, &self->inputs.sequence, &in, sizeof(in), error);
        if (r == 0)
                r = qvf_context_upload(self, &self->inputs.output_index, &output, sizeof(output), error);
        return r < 0 ? r : qvf_context_upload_table(self, error);
}

static int download(struct qvf_context *self, uint32_t count, int32_t *ret_ids, struct qvf_error *error)
{
        const struct qvf_backend *backend = self->model->compute.backend;
        uint64_t begin = self->ahead[0].chosen.offset,
                 end = self->ahead[count - 1].chosen.offset + sizeof(*ret_ids);
        char chosen[QVF_CONTEXT_AHEAD_MOST * QVF_ARENA_ALIGNMENT];
        int r = backend->buffer_download(self->inputs_buffer, begin, chosen, end - begin);

        if (r < 0)
                return qvf_error_set(error, r, "tokens can't be read from the %s device: %s", backend->name,
                                strerror(-r));
        for (uint32_t i = 0; i < count; i++) {
                memcpy(&ret_ids[i], chosen + self->ahead[i].chosen.offset - begin, sizeof(*ret_ids));
                if (ret_ids[i] >=
                                (int32_t)self->model->info->vocabulary_size) /* of a device that is broken */
                        ret_ids[i] = -1;
        }
        return 0;
}

static int run(struct qvf_context *self, uint32_t sequence, int32_t token, struct context_kind kind,
                const float *how, struct qvf_error *error)
{
        const struct qvf_piece piece = { .sequence = sequence, .tokens = &token, .n_tokens = 1 };
        const struct qvf_adapter *adapters[QVF_CONTEXT_ADAPTERS_MOST];
        struct qvf_args args = { .size = sizeof(args), .rows = 1, .output_rows = 1 };
        struct context_program *program;
        uint32_t n_adapters;
        int r = qvf_context_collect_adapters(self, &piece, 1, adapters, &n_adapters, error);

        self->rows[0] = (struct context_row){ .id = token, .sequence = (int32_t)sequence, .output = true };
        r = r < 0 ? r : qvf_context_program(self, kind, adapters, n_adapters, &program, error);
        r = r < 0 ? r : upload(self, sequence, token, kind.ahead, how, error);
        if (r == 0 && n_adapters > 0)
                r = qvf_context_upload_scales(self, 1, adapters, n_adapters, error);
        return r < 0 ? r : qvf_compute_run(&self->model->compute, program->program, &args, error);
}

int qvf_context_continue(struct qvf_context *self, uint32_t sequence, int32_t token, uint32_t count,
                uint32_t k, const float *how, int32_t *ret_ids, struct qvf_error *error)
{
        uint32_t vocabulary = self->model->info->vocabulary_size;
        struct context_kind kind = { .rows = 1, .ahead = count, .k = k < vocabulary ? k : vocabulary };
        double begun = qvf_context_now_ms();
        int r;

        self->n_outputs = 0;
        if (count == 0 || count > self->options.ahead || sequence >= self->options.sequences || k == 0 ||
                        token < 0 || token >= (int32_t)vocabulary)
                return qvf_error_set(error, -EINVAL, "%u tokens ahead, %u to choose from, behind token %d",
                                count, k, token);
        r = qvf_context_reserve(self, sequence, count, error);
        r = r < 0 ? r : run(self, sequence, token, kind, how, error);
        r = r < 0 ? r : download(self, count, ret_ids, error);
        if (r < 0)
                return r;
        qvf_context_took(self, (qvf_context_now_ms() - begun) / count);
        qvf_kv_append(self->blocks, sequence, &token, 1);
        for (uint32_t i = 0; i + 1 < count && ret_ids[i] >= 0; i++)
                qvf_kv_append(self->blocks, sequence, &ret_ids[i], 1);
        return 0;
}
