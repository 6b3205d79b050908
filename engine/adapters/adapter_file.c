/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/adapters/adapter_file.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "common/checked.h"
#include "engine/files/dtype.h"

int qvf_adapter_file_new(const char *architecture, uint32_t n_layers, struct qvf_adapter_file **ret_file)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;

        if (n_layers > QVF_MODEL_LAYERS_MOST)
                return -EINVAL;
        file = calloc(1, sizeof(*file));
        if (!file)
                return -ENOMEM;
        file->architecture = strdup(architecture);
        file->n_layers = n_layers;
        file->matrices = calloc((size_t)n_layers * QVF_MODULES + 1, sizeof(*file->matrices));
        if (!file->architecture || !file->matrices)
                return -ENOMEM;
        *ret_file = QVF_TAKE(file);
        return 0;
}

struct qvf_adapter_file *qvf_adapter_file_free(struct qvf_adapter_file *file)
{
        if (!file)
                return NULL;
        for (uint32_t i = 0; file->matrices && i < file->n_layers * QVF_MODULES; i++) {
                free(file->matrices[i].a.owned);
                free(file->matrices[i].b.owned);
        }
        free(file->matrices);
        free(file->architecture);
        free(file->name);
        qvf_gguf_free(file->gguf);
        qvf_mapped_file_free(file->mapped);
        free(file);
        return NULL;
}

double qvf_adapter_file_scale(const struct qvf_adapter_file *file, const struct qvf_adapter_matrix *matrix)
{
        if (matrix->alpha == 0 || matrix->rank == 0)
                return 1;
        return (double)matrix->alpha / (file->rank_stabilised ? sqrt(matrix->rank) : matrix->rank);
}

int qvf_adapter_numbers_allocate(
                struct qvf_adapter_numbers *numbers, uint32_t rows, uint32_t columns, float **ret_values)
{
        float *values = calloc((size_t)rows * columns + 1, sizeof(*values));

        if (!values)
                return -ENOMEM;
        free(numbers->owned);
        *numbers = (struct qvf_adapter_numbers){ rows, columns, QVF_F32, values, values };
        *ret_values = values;
        return 0;
}

static unsigned element_bytes(enum qvf_dtype dtype)
{
        return dtype == QVF_F32 ? 4 : 2;
}

void qvf_adapter_numbers_read(
                const struct qvf_adapter_numbers *numbers, uint64_t first, uint64_t count, float *ret_values)
{
        qvf_dtype_dequantise_row(numbers->dtype,
                        (const uint8_t *)numbers->data + first * element_bytes(numbers->dtype), ret_values,
                        count);
}

uint64_t qvf_adapter_numbers_bytes(const struct qvf_adapter_numbers *numbers)
{
        return (uint64_t)numbers->rows * numbers->columns * element_bytes(numbers->dtype);
}

int qvf_adapter_numbers_copy(
                const struct qvf_adapter_numbers *numbers, struct qvf_adapter_numbers *ret_numbers)
{
        uint64_t bytes = qvf_adapter_numbers_bytes(numbers);
        void *copy = qvf_malloc(bytes + 1);

        if (!copy)
                return -ENOMEM;
        memcpy(copy, numbers->data, (size_t)bytes);
        free(ret_numbers->owned);
        *ret_numbers = *numbers;
        ret_numbers->data = ret_numbers->owned = copy;
        return 0;
}

static int check_finite(const struct qvf_adapter_numbers *numbers, uint32_t index, char half,
                struct qvf_error *error)
{
        float values[512];
        uint64_t count = (uint64_t)numbers->rows * numbers->columns;

        for (uint64_t at = 0; at < count; at += QVF_ARRAY_LENGTH(values)) {
                uint64_t n = qvf_min_u64(count - at, QVF_ARRAY_LENGTH(values));

                qvf_adapter_numbers_read(numbers, at, n, values);
                for (uint64_t i = 0; i < n; i++)
                        if (!isfinite(values[i]))
                                return qvf_error_set(error, -EINVAL,
                                                "layer %u, %s, lora_%c: element %" PRIu64
                                                " is %g, expected finite numbers",
                                                index / QVF_MODULES, qvf_module_name(index % QVF_MODULES),
                                                half, at + i, (double)values[i]);
        }
        return 0;
}

static int check_pair(struct qvf_adapter_matrix *matrix, uint32_t index, struct qvf_error *error)
{
        const struct qvf_adapter_numbers *a = &matrix->a, *b = &matrix->b;
        int r;

        if (a->rows == 0 || b->rows == 0 || a->rows != b->columns)
                return qvf_error_set(error, -EINVAL,
                                "layer %u, %s: lora_a has rank %u and lora_b %u; both must be there and "
                                "equal",
                                index / QVF_MODULES, qvf_module_name(index % QVF_MODULES), a->rows,
                                b->rows ? b->columns : 0);
        if (a->rows > QVF_ADAPTER_RANK_MOST)
                return qvf_error_set(error, -EINVAL, "layer %u, %s: rank %u, expected 1 to %u",
                                index / QVF_MODULES, qvf_module_name(index % QVF_MODULES), a->rows,
                                QVF_ADAPTER_RANK_MOST);
        matrix->rank = a->rows;
        r = check_finite(a, index, 'a', error);
        return r < 0 ? r : check_finite(b, index, 'b', error);
}

int qvf_adapter_file_check(struct qvf_adapter_file *file, struct qvf_error *error)
{
        uint32_t n_pairs = 0;

        for (uint32_t i = 0; i < file->n_layers * QVF_MODULES; i++) {
                struct qvf_adapter_matrix *matrix = &file->matrices[i];
                int r;

                if (matrix->a.rows == 0 && matrix->b.rows == 0)
                        continue;
                r = check_pair(matrix, i, error);
                if (r < 0)
                        return r;
                n_pairs++;
        }
        if (n_pairs == 0)
                return qvf_error_set(error, -EINVAL, "the adapter holds no matrices");
        return 0;
}

void qvf_adapter_module_shape(const struct qvf_model_info *info, enum qvf_module module,
                uint32_t *ret_inputs, uint32_t *ret_outputs)
{
        uint32_t query = info->n_heads * info->head_dim, key = info->n_kv_heads * info->head_dim;

        *ret_inputs = module == QVF_FFN_DOWN ? info->ffn_dim : module == QVF_ATTN_OUTPUT ? query : info->dim;
        switch (module) {
        case QVF_ATTN_Q: *ret_outputs = query; break;
        case QVF_ATTN_K:
        case QVF_ATTN_V: *ret_outputs = key; break;
        case QVF_FFN_GATE:
        case QVF_FFN_UP: *ret_outputs = info->ffn_dim; break;
        default: *ret_outputs = info->dim; break;
        }
}

int qvf_adapter_file_check_model(const struct qvf_adapter_file *file, const struct qvf_model_info *info,
                struct qvf_error *error)
{
        if (strcmp(file->architecture, info->architecture_name) != 0)
                return qvf_error_set(error, -EINVAL,
                                "the adapter is for architecture \"%s\", the model is \"%s\"",
                                file->architecture, info->architecture_name);
        for (uint32_t i = 0; i < file->n_layers * QVF_MODULES; i++) {
                const struct qvf_adapter_matrix *matrix = &file->matrices[i];
                uint32_t inputs, outputs;

                if (matrix->rank == 0)
                        continue;
                if (i / QVF_MODULES >= info->n_layers)
                        return qvf_error_set(error, -EINVAL,
                                        "the adapter has a layer %u, the model has layers 0 to %u",
                                        i / QVF_MODULES, info->n_layers - 1);
                qvf_adapter_module_shape(info, i % QVF_MODULES, &inputs, &outputs);
                if (matrix->a.columns != inputs || matrix->b.rows != outputs)
                        return qvf_error_set(error, -EINVAL,
                                        "layer %u, %s: the adapter is for a matrix of %u inputs and %u "
                                        "outputs, "
                                        "the model's has %u and %u",
                                        i / QVF_MODULES, qvf_module_name(i % QVF_MODULES), matrix->a.columns,
                                        matrix->b.rows, inputs, outputs);
        }
        return 0;
}
