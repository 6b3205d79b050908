/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/adapters/into_base.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>

#include "common/atomic_file.h"
#include "common/checked.h"
#include "engine/files/dtype.h"
#include "engine/files/gguf_write.h"
#include "engine/model/model_private.h"
#include "engine/model/ternary_weight.h"

struct into {
        const struct qvf_model_info *info;
        const struct qvf_adapter_file *file;
        const struct qvf_into_base_options *options;
        uint32_t *linear_of; /* of each tensor of the file: its place in `linears` plus 1, or 0 */
        bool *dropped;       /* of each tensor: a scale that goes into its matrix */
        const struct qvf_model_weight **linears; /* [layer * QVF_MODULES + module] */
        enum qvf_i2s_order i2s_order;            /* of the base */
        struct qvf_gguf_writer *writer;
        struct qvf_into_base_report report;
        struct qvf_error *error;
};

/* The numbers that GGUF files have for what most of their weights are. */
static uint32_t file_type(enum qvf_dtype dtype)
{
        return dtype == QVF_F32 ? 0 : dtype == QVF_F16 ? 1 : 7;
}

static int check_options(const struct qvf_into_base_options *options, struct qvf_error *error)
{
        if (qvf_dtype_is_ternary(options->dtype))
                return qvf_error_set(error, -EINVAL,
                                "%s has only -s, 0 and +s for a weight, and the sum of a ternary matrix and "
                                "an "
                                "adapter has other values: merge to F16 or Q8_0, or keep the adapter beside "
                                "the "
                                "model",
                                qvf_dtype_name(options->dtype));
        if (options->dtype != QVF_F16 && options->dtype != QVF_Q8_0 && options->dtype != QVF_F32)
                return qvf_error_set(error, -EINVAL, "%s, expected F16, Q8_0 or F32",
                                qvf_dtype_name(options->dtype));
        if (!isfinite(options->scale))
                return qvf_error_set(error, -EINVAL, "the scale is no number");
        return 0;
}

static void find_linears(struct into *into)
{
        const struct qvf_model_info *info = into->info;

        for (uint32_t i = 0; i < info->n_layers; i++) {
                struct qvf_linear_source sources[QVF_MODULES];

                qvf_linear_sources(&info->layers[i], sources);
                for (uint32_t module = 0; module < QVF_MODULES; module++) {
                        const struct qvf_gguf_tensor *tensor = sources[module].weight->tensor, *scale;
                        char name[QVF_GGUF_NAME_BYTES_MOST + 1];

                        into->linears[i * QVF_MODULES + module] = sources[module].weight;
                        into->linear_of[qvf_gguf_tensor_index(info->gguf, tensor)] =
                                        i * QVF_MODULES + module + 1;
                        snprintf(name, sizeof(name), "blk.%u.%s.scale", i, qvf_module_name(module));
                        scale = qvf_gguf_find_tensor(info->gguf, name);
                        if (scale)
                                into->dropped[qvf_gguf_tensor_index(info->gguf, scale)] = true;
                }
        }
}

static enum qvf_dtype dense_dtype(const struct into *into, const struct qvf_gguf_tensor *tensor)
{
        return into->options->dtype == QVF_Q8_0 && tensor->ne[0] % 32 != 0 ? QVF_F16 : into->options->dtype;
}

static void describe(struct into *into)
{
        const struct qvf_gguf *gguf = into->info->gguf;

        qvf_gguf_writer_copy_keys(into->writer, gguf);
        qvf_gguf_writer_set_u32(into->writer, "general.file_type", file_type(into->options->dtype));
        if (into->options->dtype == QVF_Q8_0)
                qvf_gguf_writer_set_u32(into->writer, "general.quantization_version", 2);
        for (uint32_t i = 0; i < qvf_gguf_tensors(gguf); i++) {
                const struct qvf_gguf_tensor *tensor = qvf_gguf_tensor(gguf, i);
                bool linear = into->linear_of[i] > 0;

                if (!into->dropped[i])
                        qvf_gguf_writer_add_tensor(into->writer, tensor->name,
                                        linear ? dense_dtype(into, tensor) : tensor->dtype, tensor->n_dims,
                                        tensor->ne);
        }
}

/* One row of the base matrix, as the engine understands it. */
static int base_row(const struct qvf_gguf_tensor *tensor, const struct qvf_ternary_weight *ternary,
                uint32_t row, float *padded)
{
        const uint8_t *rows = ternary->owned ? ternary->owned : tensor->data;
        uint64_t bytes, blocks = ternary->columns / QVF_TERNARY_BLOCK_LENGTH;
        uint8_t codes[QVF_TERNARY_BLOCK_LENGTH];
        int r;

        if (ternary->columns == 0) { /* not ternary */
                r = qvf_dtype_row_bytes(tensor->dtype, tensor->ne[0], &bytes);
                return r < 0 ? r
                             : qvf_dtype_dequantise_row(tensor->dtype,
                                               (const uint8_t *)tensor->data + row * bytes, padded,
                                               tensor->ne[0]);
        }
        r = qvf_dtype_row_bytes(ternary->dtype, ternary->columns, &bytes);
        if (r < 0)
                return r;
        rows += row * bytes;
        if (ternary->block_scales)
                return qvf_dtype_dequantise_row(ternary->dtype, rows, padded, ternary->columns);
        for (uint64_t i = 0; i < blocks; i++) {
                if (ternary->dtype == QVF_TQ1_0)
                        qvf_tq1_codes(rows + i * QVF_TQ1_BLOCK_BYTES, codes);
                else
                        qvf_tq2_codes(rows + i * QVF_TQ2_BLOCK_BYTES, codes);
                for (unsigned k = 0; k < QVF_TERNARY_BLOCK_LENGTH; k++)
                        padded[i * QVF_TERNARY_BLOCK_LENGTH + k] = (float)(codes[k] - 1) * ternary->scale;
        }
        return 0;
}

/* row = row · s + scale · b · A */
static void add_adapter(float *row, uint32_t columns, float weight_scale, const float *a, const float *b,
                uint32_t rank, float scale)
{
        for (uint32_t j = 0; j < columns; j++)
                row[j] *= weight_scale;
        for (uint32_t k = 0; k < rank; k++) {
                const float factor = scale * b[k], *line = a + (size_t)k * columns;

                for (uint32_t j = 0; j < columns; j++)
                        row[j] += factor * line[j];
        }
}

static int put_row(struct into *into, const struct qvf_gguf_tensor *tensor, const float *row, uint8_t *raw)
{
        enum qvf_dtype dtype = dense_dtype(into, tensor);
        /* What rounds to infinity in F16; for Q8_0 what makes its scale do so. */
        float most = dtype == QVF_F32 ? INFINITY : dtype == QVF_F16 ? 65520.f : 65504.f * 127;
        uint64_t bytes;
        int r;

        for (uint64_t j = 0; j < tensor->ne[0]; j++)
                if (!(fabsf(row[j]) < most))
                        return qvf_error_set(into->error, -ERANGE, "tensor %s: %g is too large for %s",
                                        tensor->name, (double)row[j], qvf_dtype_name(dtype));
        r = qvf_dtype_quantise_row(dtype, row, raw, tensor->ne[0]);
        r = r < 0 ? r : qvf_dtype_row_bytes(dtype, tensor->ne[0], &bytes);
        if (r < 0)
                return qvf_error_set(into->error, r, "tensor %s can't be made %s", tensor->name,
                                qvf_dtype_name(dtype));
        if (qvf_gguf_writer_put(into->writer, raw, bytes) < 0)
                return qvf_gguf_writer_end(into->writer, into->error);
        return 0;
}

static int put_rows(struct into *into, uint32_t index, const struct qvf_ternary_weight *ternary)
{
        const struct qvf_model_weight *weight = into->linears[index];
        const struct qvf_gguf_tensor *tensor = weight->tensor;
        const struct qvf_adapter_matrix *matrix =
                        index < into->file->n_layers * QVF_MODULES ? &into->file->matrices[index] : NULL;
        uint32_t rank = matrix ? matrix->rank : 0, columns = (uint32_t)tensor->ne[0];
        float scale = rank ? (float)(into->options->scale * qvf_adapter_file_scale(into->file, matrix)) : 0;
        _cleanup_free_ float *row = malloc(((size_t)columns + QVF_TERNARY_BLOCK_LENGTH) * sizeof(*row));
        _cleanup_free_ float *a = malloc(((size_t)rank * columns + 1) * sizeof(*a));
        _cleanup_free_ float *b = malloc(((size_t)rank + 1) * sizeof(*b));
        _cleanup_free_ uint8_t *raw = malloc(4 * ((size_t)columns + 1)); /* enough for F32 */

        if (!row || !a || !b || !raw)
                return qvf_error_set(into->error, -ENOMEM, "no memory for tensor %s", tensor->name);
        if (rank > 0)
                qvf_adapter_numbers_read(&matrix->a, 0, (uint64_t)rank * columns, a);
        for (uint32_t i = 0; i < tensor->ne[1]; i++) {
                int r = base_row(tensor, ternary, i, row);

                if (r < 0)
                        return qvf_error_set(into->error, r, "tensor %s can't be read", tensor->name);
                if (rank > 0)
                        qvf_adapter_numbers_read(&matrix->b, (uint64_t)i * rank, rank, b);
                add_adapter(row, columns, weight->scale, a, b, rank, scale);
                r = put_row(into, tensor, row, raw);
                if (r < 0)
                        return r;
        }
        into->report.n_adapted += rank > 0;
        into->report.n_unadapted += rank == 0;
        into->report.n_as_f16 += dense_dtype(into, tensor) != into->options->dtype;
        return 0;
}

static int put_linear(struct into *into, uint32_t index)
{
        const struct qvf_model_weight *linear = into->linears[index];
        struct qvf_ternary_weight ternary = { 0 };
        int r = qvf_ternary_weight_read(linear->tensor, into->i2s_order, &ternary, into->error);

        if (r < 0 && r != -ERANGE)
                return r;
        if (r == -ERANGE)
                ternary = (struct qvf_ternary_weight){ 0 };
        r = put_rows(into, index, &ternary);
        free(ternary.owned);
        return r;
}

int qvf_into_base_write(const struct qvf_model_info *info, const struct qvf_adapter_file *file,
                const struct qvf_into_base_options *options, int fd, struct qvf_into_base_report *ret_report,
                struct qvf_error *error)
{
        uint32_t n_tensors = qvf_gguf_tensors(info->gguf);
        _cleanup_(qvf_gguf_writer_freep) struct qvf_gguf_writer *writer = NULL;
        _cleanup_free_ uint32_t *linear_of = calloc(n_tensors, sizeof(*linear_of));
        _cleanup_free_ bool *dropped = calloc(n_tensors, sizeof(*dropped));
        _cleanup_free_ const struct qvf_model_weight **linears =
                        calloc((size_t)info->n_layers * QVF_MODULES, sizeof(*linears));
        struct into into = { info, file, options, linear_of, dropped, linears, options->i2s_order, NULL,
                { 0 }, error };
        int r = check_options(options, error);

        r = r < 0 ? r : qvf_adapter_file_check_model(file, info, error);
        if (r < 0)
                return r;
        if (!linear_of || !dropped || !linears || qvf_gguf_writer_new(&writer) < 0)
                return qvf_error_set(error, -ENOMEM, "no memory to write the model");
        into.writer = writer;
        r = qvf_model_decide_i2s_order(info, &into.i2s_order, error);
        if (r < 0)
                return r;
        find_linears(&into);
        describe(&into);
        r = qvf_gguf_writer_begin(writer, fd, error);
        for (uint32_t i = 0; r == 0 && i < n_tensors; i++) {
                const struct qvf_gguf_tensor *tensor = qvf_gguf_tensor(info->gguf, i);

                if (linear_of[i] > 0)
                        r = put_linear(&into, linear_of[i] - 1);
                else if (!dropped[i])
                        qvf_gguf_writer_put(writer, tensor->data, tensor->size_bytes);
        }
        r = r < 0 ? r : qvf_gguf_writer_end(writer, error);
        if (r == 0 && ret_report)
                *ret_report = into.report;
        return r;
}

int qvf_into_base_save(const struct qvf_model_info *info, const struct qvf_adapter_file *file,
                const struct qvf_into_base_options *options, const char *path,
                struct qvf_into_base_report *ret_report, struct qvf_error *error)
{
        _cleanup_atomic_file_ struct qvf_atomic_file output = QVF_ATOMIC_FILE_INIT;
        int r = qvf_atomic_file_open(AT_FDCWD, path, 0644, &output, error);

        r = r < 0 ? r : qvf_into_base_write(info, file, options, output.fd, ret_report, error);
        return r < 0 ? r : qvf_atomic_file_commit(&output);
}
