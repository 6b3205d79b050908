/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/training/lora.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "engine/adapters/gguf_adapter.h"
#include "engine/files/dtype.h"
#include "engine/program/builder.h"
#include "engine/sampling/random.h"

enum { PARAMETERS, GRADIENTS, STATE_M, STATE_V, SCALE_M, SCALE_V, NORM };

static int check_options(const struct qvf_lora_options *options, struct qvf_error *error)
{
        bool any = false;

        for (unsigned i = 0; i < QVF_MODULES; i++) {
                if (options->rank[i] > QVF_ADAPTER_RANK_MOST)
                        return qvf_error_set(error, -EINVAL, "rank of %s is %u, expected 1 to %u",
                                        qvf_module_name(i), options->rank[i], QVF_ADAPTER_RANK_MOST);
                any = any || options->rank[i] > 0;
        }
        if (!any)
                return qvf_error_set(error, -EINVAL, "no module is to be trained");
        if (!(options->alpha > 0 && options->alpha <= 1e6f))
                return qvf_error_set(error, -EINVAL, "alpha is %g, expected more than 0 and at most 1000000",
                                (double)options->alpha);
        if (!(options->dropout >= 0 && options->dropout < 1))
                return qvf_error_set(error, -EINVAL, "dropout is %g, expected 0 to below 1",
                                (double)options->dropout);
        return 0;
}

/* Where each matrix stands in the flat run; fills pairs if given. */
static uint64_t lay_out(const struct qvf_model *model, const struct qvf_lora_options *options,
                struct qvf_lora_pair *pairs)
{
        uint64_t at = 0;

        for (uint32_t i = 0; i < model->info->n_layers * QVF_MODULES; i++) {
                const struct qvf_linear *linear = &model->layers[i / QVF_MODULES].linear[i % QVF_MODULES];
                uint32_t rank = options->rank[i % QVF_MODULES];
                struct qvf_value a = {
                        .rows = rank, .columns = linear->inputs, .dtype = QVF_F32, .scale = 1
                };
                struct qvf_value b = {
                        .rows = linear->outputs, .columns = rank, .dtype = QVF_F32, .scale = 1
                };

                if (rank == 0)
                        continue;
                a.offset = at * sizeof(float);
                at += (uint64_t)a.rows * a.columns;
                at = (at + 63) & ~UINT64_C(63); /* storage buffers begin at multiples of 256 bytes */
                b.offset = at * sizeof(float);
                at += (uint64_t)b.rows * b.columns;
                at = (at + 63) & ~UINT64_C(63);
                if (!pairs)
                        continue;
                pairs[i] = (struct qvf_lora_pair){
                        .a = a,
                        .b = b,
                        .a_gradient = a,
                        .b_gradient = b,
                        .rank = rank,
                        .scale = options->alpha /
                                 (options->rank_stabilised ? sqrtf((float)rank) : (float)rank),
                };
        }
        return (at + QVF_STATE_BLOCK - 1) / QVF_STATE_BLOCK * QVF_STATE_BLOCK;
}

static void sizes_of(uint64_t n_parameters, enum qvf_optimizer_state state, uint64_t sizes[7])
{
        uint64_t small = state == QVF_STATE_8BIT;

        sizes[PARAMETERS] = sizes[GRADIENTS] = n_parameters * sizeof(float);
        sizes[STATE_M] = sizes[STATE_V] = small ? n_parameters : n_parameters * sizeof(float);
        sizes[SCALE_M] = sizes[SCALE_V] = small * (n_parameters / QVF_STATE_BLOCK) * sizeof(float);
        sizes[NORM] = 256;
}

int qvf_lora_bytes(const struct qvf_model *model, const struct qvf_lora_options *options,
                uint64_t *ret_bytes, struct qvf_error *error)
{
        uint64_t sizes[7], sum = 0;
        int r = check_options(options, error);

        if (r < 0)
                return r;
        sizes_of(lay_out(model, options, NULL), options->state, sizes);
        for (int i = 0; i < 7; i++)
                sum += sizes[i];
        *ret_bytes = sum;
        return 0;
}

static struct qvf_value flat(struct qvf_buffer *buffer, uint64_t count, enum qvf_dtype dtype)
{
        /* 256 columns keep both numbers within 32 bits. */
        return (struct qvf_value){
                .buffer = buffer,
                .rows = (uint32_t)(count / QVF_STATE_BLOCK),
                .columns = QVF_STATE_BLOCK,
                .dtype = dtype,
                .scale = 1,
        };
}

static void point_values(struct qvf_lora *lora)
{
        uint64_t n = lora->n_parameters;
        bool small = lora->options.state == QVF_STATE_8BIT;

        lora->parameters = flat(lora->buffers[PARAMETERS], n, QVF_F32);
        lora->gradients = flat(lora->buffers[GRADIENTS], n, QVF_F32);
        lora->m = flat(lora->buffers[STATE_M], n, small ? QVF_U8 : QVF_F32);
        lora->v = flat(lora->buffers[STATE_V], n, small ? QVF_U8 : QVF_F32);
        lora->norm = (struct qvf_value){
                .buffer = lora->buffers[NORM],
                .rows = 1,
                .columns = 1,
                .dtype = QVF_F32,
                .scale = 1,
        };
        if (small) {
                lora->m_scale = lora->v_scale = (struct qvf_value){
                        .rows = (uint32_t)(n / QVF_STATE_BLOCK),
                        .columns = 1,
                        .dtype = QVF_F32,
                        .scale = 1,
                };
                lora->m_scale.buffer = lora->buffers[SCALE_M];
                lora->v_scale.buffer = lora->buffers[SCALE_V];
        }
        for (uint32_t i = 0; i < lora->model->info->n_layers * QVF_MODULES; i++) {
                struct qvf_lora_pair *pair = &lora->pairs[i];

                pair->a.buffer = pair->b.buffer = lora->buffers[PARAMETERS];
                pair->a_gradient.buffer = pair->b_gradient.buffer = lora->buffers[GRADIENTS];
        }
}

int qvf_lora_new(const struct qvf_model *model, const struct qvf_lora_options *options,
                struct qvf_lora **ret_lora, struct qvf_error *error)
{
        static const char *const names[7] = { "adapter", "gradients", "optimizer state", "optimizer state",
                "optimizer state", "optimizer state", "gradient norm" };
        _cleanup_(qvf_lora_freep) struct qvf_lora *lora = calloc(1, sizeof(*lora));
        uint64_t sizes[7];
        int r = check_options(options, error);

        if (!lora)
                return -ENOMEM;
        lora->model = model;
        if (r < 0)
                return r;
        lora->options = *options;
        lora->pairs = calloc((size_t)model->info->n_layers * QVF_MODULES, sizeof(*lora->pairs));
        if (!lora->pairs)
                return -ENOMEM;
        lora->n_parameters = lay_out(model, options, lora->pairs);
        sizes_of(lora->n_parameters, options->state, sizes);
        for (int i = 0; i < 7; i++) {
                if (sizes[i] == 0)
                        continue;
                r = qvf_compute_buffer(&model->compute, sizes[i], QVF_BUFFER_DEVICE, names[i],
                                &lora->buffers[i], error);
                if (r < 0)
                        return r;
                lora->bytes += sizes[i];
        }
        point_values(lora);
        *ret_lora = QVF_TAKE(lora);
        return 0;
}

int qvf_lora_describe(const struct qvf_model *model, const struct qvf_lora_options *options,
                struct qvf_lora *ret_lora, struct qvf_error *error)
{
        struct qvf_lora lora = { .model = model, .options = *options };
        int r = check_options(options, error);

        if (r < 0)
                return r;
        lora.pairs = calloc((size_t)model->info->n_layers * QVF_MODULES, sizeof(*lora.pairs));
        if (!lora.pairs)
                return -ENOMEM;
        lora.n_parameters = lay_out(model, options, lora.pairs);
        point_values(&lora);
        *ret_lora = lora;
        return 0;
}

struct qvf_lora *qvf_lora_free(struct qvf_lora *lora)
{
        if (!lora)
                return NULL;
        for (int i = 0; i < 7; i++)
                qvf_compute_buffer_free(&lora->model->compute, lora->buffers[i]);
        free(lora->pairs);
        free(lora);
        return NULL;
}

int qvf_lora_init(struct qvf_lora *lora, struct qvf_error *error)
{
        const struct qvf_backend *backend = lora->model->compute.backend;

        for (uint32_t i = 0; i < lora->model->info->n_layers * QVF_MODULES; i++) {
                struct qvf_lora_pair *pair = &lora->pairs[i];
                uint64_t count = (uint64_t)pair->a.rows * pair->a.columns;
                _cleanup_free_ float *numbers = NULL;
                struct qvf_random random;
                double bound = pair->rank ? 1 / sqrt((double)pair->a.columns) : 0;
                int r;

                if (pair->rank == 0)
                        continue;
                numbers = qvf_malloc(count * sizeof(*numbers));
                if (!numbers)
                        return -ENOMEM;
                qvf_random_seed(&random, lora->options.seed * 0x9e3779b97f4a7c15u + i);
                for (uint64_t j = 0; j < count; j++)
                        numbers[j] = (float)((2 * qvf_random_uniform(&random) - 1) * bound);
                r = backend->buffer_upload(lora->buffers[PARAMETERS], pair->a.offset, numbers,
                                count * sizeof(*numbers));
                if (r < 0)
                        return qvf_error_set(error, r, "the adapter can't be brought to the device: %s",
                                        strerror(-r));
        }
        return 0;
}

static int load_numbers(struct qvf_lora *lora, uint32_t index, const struct qvf_adapter_numbers *numbers,
                double factor, const struct qvf_value *value, struct qvf_error *error)
{
        uint64_t count = (uint64_t)value->rows * value->columns;
        _cleanup_free_ float *values = NULL;
        int r;

        if (numbers->rows != value->rows || numbers->columns != value->columns)
                return qvf_error_set(error, -EINVAL,
                                "layer %u, %s: the adapter to go on from has a matrix of %u x %u, expected "
                                "%u x %u",
                                index / QVF_MODULES, qvf_module_name(index % QVF_MODULES), numbers->rows,
                                numbers->columns, value->rows, value->columns);
        values = qvf_malloc(count * sizeof(*values));
        if (!values)
                return qvf_error_set(error, -ENOMEM, "no memory for the adapter to go on from");
        qvf_adapter_numbers_read(numbers, 0, count, values);
        for (uint64_t i = 0; factor != 1 && i < count; i++)
                values[i] = (float)(factor * (double)values[i]);
        r = lora->model->compute.backend->buffer_upload(
                        value->buffer, value->offset, values, count * sizeof(*values));
        return r < 0 ? qvf_error_set(error, r, "the adapter can't be brought to the device: %s",
                                       strerror(-r))
                     : 0;
}

int qvf_lora_load_file(struct qvf_lora *lora, const struct qvf_adapter_file *file, struct qvf_error *error)
{
        int r = qvf_adapter_file_check_model(file, lora->model->info, error);

        for (uint32_t i = 0; r == 0 && i < lora->model->info->n_layers * QVF_MODULES; i++) {
                const struct qvf_lora_pair *pair = &lora->pairs[i];
                const struct qvf_adapter_matrix *matrix =
                                i < file->n_layers * QVF_MODULES ? &file->matrices[i] : NULL;
                double factor;

                if (pair->rank != (matrix ? matrix->rank : 0))
                        return qvf_error_set(error, -EINVAL,
                                        "layer %u, %s: rank %u is to be trained, and the adapter to go on "
                                        "from has "
                                        "rank %u",
                                        i / QVF_MODULES, qvf_module_name(i % QVF_MODULES), pair->rank,
                                        matrix ? matrix->rank : 0);
                if (pair->rank == 0)
                        continue;
                /* Another scale than the file's: B makes up for it, so that training begins where the adapter is. */
                factor = qvf_adapter_file_scale(file, matrix) / (double)pair->scale;
                factor = fabs(factor - 1) < 1e-6 ? 1 : factor;
                r = load_numbers(lora, i, &matrix->a, 1, &pair->a, error);
                r = r < 0 ? r : load_numbers(lora, i, &matrix->b, factor, &pair->b, error);
        }
        return r;
}

int qvf_lora_load(struct qvf_lora *lora, const struct qvf_gguf *gguf, struct qvf_error *error)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;
        int r = qvf_adapter_file_from_gguf(gguf, &file, error);

        return r < 0 ? r : qvf_lora_load_file(lora, file, error);
}

int qvf_lora_adapter(struct qvf_lora *lora, struct qvf_adapter **ret_adapter, struct qvf_error *error)
{
        uint32_t count = lora->model->info->n_layers * QVF_MODULES;
        struct qvf_adapter *adapter;
        int r = qvf_adapter_new_empty(lora->model, &adapter);

        if (r < 0)
                return qvf_error_set(error, r, "no memory for the adapter");
        for (uint32_t i = 0; i < count; i++)
                adapter->pairs[i] = (struct qvf_adapter_pair){
                        .a = lora->pairs[i].a,
                        .b = lora->pairs[i].b,
                        .rank = lora->pairs[i].rank,
                        .scale = lora->pairs[i].scale,
                };
        adapter->alpha = lora->options.alpha;
        *ret_adapter = adapter;
        return 0;
}

static int copy_numbers(const struct qvf_compute *compute, const struct qvf_value *from,
                const struct qvf_value *to, struct qvf_error *error)
{
        uint64_t count = (uint64_t)from->rows * from->columns,
                 bytes = from->rows * qvf_row_bytes(from->dtype, from->columns);
        _cleanup_free_ float *numbers = qvf_malloc(count * sizeof(*numbers));
        _cleanup_free_ void *stored = qvf_malloc(bytes);
        int r;

        if (!numbers || !stored)
                return -ENOMEM;
        r = compute->backend->buffer_download(from->buffer, from->offset, stored, bytes);
        if (r == 0)
                r = qvf_dtype_dequantise_row(from->dtype, stored, numbers, count);
        if (r == 0)
                r = compute->backend->buffer_upload(
                                to->buffer, to->offset, numbers, count * sizeof(*numbers));
        if (r < 0)
                return qvf_error_set(error, r, "the adapter can't be copied: %s", strerror(-r));
        return 0;
}

int qvf_lora_from_adapter(const struct qvf_adapter *adapter, float scale, struct qvf_lora **ret_lora,
                struct qvf_error *error)
{
        _cleanup_(qvf_lora_freep) struct qvf_lora *lora = NULL;
        uint32_t count = adapter->model->info->n_layers * QVF_MODULES;
        struct qvf_lora_options options = { .alpha = 1 };
        int r;

        for (uint32_t i = 0; i < count; i++) {
                uint32_t *rank = &options.rank[i % QVF_MODULES];

                if (adapter->pairs[i].rank > 0 && *rank > 0 && *rank != adapter->pairs[i].rank)
                        return qvf_error_set(error, -ENOTSUP,
                                        "the adapter has ranks %u and %u for %s in different layers", *rank,
                                        adapter->pairs[i].rank, qvf_module_name(i % QVF_MODULES));
                if (adapter->pairs[i].rank > 0)
                        *rank = adapter->pairs[i].rank;
        }
        r = qvf_lora_new(adapter->model, &options, &lora, error);
        for (uint32_t i = 0; r == 0 && i < count; i++) {
                const struct qvf_adapter_pair *from = &adapter->pairs[i];
                struct qvf_lora_pair *to = &lora->pairs[i];

                if (from->rank == 0)
                        continue;
                to->scale = from->scale * scale;
                r = copy_numbers(&adapter->model->compute, &from->a, &to->a, error);
                if (r == 0)
                        r = copy_numbers(&adapter->model->compute, &from->b, &to->b, error);
        }
        if (r < 0)
                return r;
        *ret_lora = QVF_TAKE(lora);
        return 0;
}
