/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>

#include "common/atomic_file.h"
#include "common/checked.h"
#include "engine/adapters/gguf_adapter.h"
#include "engine/files/dtype.h"
#include "engine/files/gguf_write.h"

struct writer {
        const struct qvf_adapter_file *file;
        enum qvf_adapter_dtype dtype;
        float alpha; /* of the file that is written */
        struct qvf_gguf_writer *gguf;
        struct qvf_error *error;
};

/* The alpha that gives the matrix its scale in a GGUF file; 0: scale 1, whatever the rank. */
static float gguf_alpha(const struct qvf_adapter_file *file, const struct qvf_adapter_matrix *matrix)
{
        if (matrix->alpha == 0 || !file->rank_stabilised)
                return matrix->alpha;
        return (float)(qvf_adapter_file_scale(file, matrix) * matrix->rank);
}

/* The alpha that needs the fewest changes: the first of those that most matrices have. */
static float common_alpha(const struct qvf_adapter_file *file)
{
        uint32_t count = file->n_layers * QVF_MODULES, most = 0;
        float best = 0;

        for (uint32_t i = 0; i < count; i++) {
                float alpha = gguf_alpha(file, &file->matrices[i]);
                uint32_t same = 0;

                if (file->matrices[i].rank == 0 || (most > 0 && alpha == best))
                        continue;
                for (uint32_t k = 0; k < count; k++)
                        same += file->matrices[k].rank > 0 && gguf_alpha(file, &file->matrices[k]) == alpha;
                if (same > most) {
                        most = same;
                        best = alpha;
                }
        }
        return best;
}

/* What B is multiplied by. */
static double folded_factor(const struct writer *writer, const struct qvf_adapter_matrix *matrix)
{
        if (gguf_alpha(writer->file, matrix) == writer->alpha)
                return 1;
        return qvf_adapter_file_scale(writer->file, matrix) *
               (writer->alpha == 0 ? 1 : (double)matrix->rank / (double)writer->alpha);
}

static enum qvf_dtype written_dtype(
                const struct writer *writer, const struct qvf_adapter_matrix *matrix, bool is_b)
{
        const struct qvf_adapter_numbers *numbers = is_b ? &matrix->b : &matrix->a;

        if (writer->dtype == QVF_ADAPTER_F32)
                return QVF_F32;
        if (writer->dtype == QVF_ADAPTER_F16)
                return QVF_F16;
        if (numbers->dtype == QVF_BF16 || (is_b && folded_factor(writer, matrix) != 1))
                return QVF_F32;
        return numbers->dtype;
}

static void tensor_name(uint32_t index, bool is_b, char name[QVF_GGUF_NAME_BYTES_MOST])
{
        snprintf(name, QVF_GGUF_NAME_BYTES_MOST, "blk.%u.%s.weight.lora_%c", index / QVF_MODULES,
                        qvf_module_name(index % QVF_MODULES), is_b ? 'b' : 'a');
}

static int put_numbers(const struct writer *writer, const struct qvf_adapter_matrix *matrix, uint32_t index,
                bool is_b)
{
        const struct qvf_adapter_numbers *numbers = is_b ? &matrix->b : &matrix->a;
        enum qvf_dtype dtype = written_dtype(writer, matrix, is_b);
        uint64_t count = (uint64_t)numbers->rows * numbers->columns;
        double factor = is_b ? folded_factor(writer, matrix) : 1;
        char name[QVF_GGUF_NAME_BYTES_MOST];
        float values[1024];
        uint32_t raw[QVF_ARRAY_LENGTH(values)];

        tensor_name(index, is_b, name);
        if (dtype == numbers->dtype && factor == 1) {
                qvf_gguf_writer_put(writer->gguf, numbers->data, qvf_adapter_numbers_bytes(numbers));
                return 0;
        }
        for (uint64_t at = 0; at < count; at += QVF_ARRAY_LENGTH(values)) {
                uint64_t n = qvf_min_u64(count - at, QVF_ARRAY_LENGTH(values));

                qvf_adapter_numbers_read(numbers, at, n, values);
                for (uint64_t i = 0; i < n; i++) {
                        values[i] = factor == 1 ? values[i] : (float)(factor * (double)values[i]);
                        if (!(fabsf(values[i]) < (dtype == QVF_F16 ? 65520.f : INFINITY)))
                                return qvf_error_set(writer->error, -ERANGE,
                                                "tensor %s: %g is too large for %s", name, (double)values[i],
                                                qvf_dtype_name(dtype));
                }
                qvf_dtype_quantise_row(dtype, values, raw, n);
                qvf_gguf_writer_put(writer->gguf, raw, n * (dtype == QVF_F16 ? 2 : 4));
        }
        return 0;
}

static void describe(const struct writer *writer)
{
        const struct qvf_adapter_file *file = writer->file;

        qvf_gguf_writer_set_string(writer->gguf, "general.type", "adapter");
        qvf_gguf_writer_set_string(writer->gguf, "general.architecture", file->architecture);
        if (file->name)
                qvf_gguf_writer_set_string(writer->gguf, "general.name", file->name);
        qvf_gguf_writer_set_string(writer->gguf, "adapter.type", "lora");
        qvf_gguf_writer_set_f32(writer->gguf, "adapter.lora.alpha", writer->alpha);
        for (uint32_t i = 0; i < 2 * file->n_layers * QVF_MODULES; i++) {
                const struct qvf_adapter_matrix *matrix = &file->matrices[i / 2];
                const struct qvf_adapter_numbers *numbers = i % 2 ? &matrix->b : &matrix->a;
                const uint64_t ne[2] = { numbers->columns, numbers->rows };
                char name[QVF_GGUF_NAME_BYTES_MOST];

                if (matrix->rank == 0)
                        continue;
                tensor_name(i / 2, i % 2, name);
                qvf_gguf_writer_add_tensor(writer->gguf, name, written_dtype(writer, matrix, i % 2), 2, ne);
        }
}

int qvf_adapter_file_write_gguf(const struct qvf_adapter_file *file, enum qvf_adapter_dtype dtype, int fd,
                uint32_t *ret_folded, struct qvf_error *error)
{
        _cleanup_(qvf_gguf_writer_freep) struct qvf_gguf_writer *gguf = NULL;
        struct writer writer = { file, dtype, common_alpha(file), NULL, error };
        uint32_t folded = 0;
        int r = qvf_gguf_writer_new(&gguf);

        if (r < 0)
                return qvf_error_set(error, r, "no memory to write the adapter");
        writer.gguf = gguf;
        describe(&writer);
        r = qvf_gguf_writer_begin(gguf, fd, error);
        for (uint32_t i = 0; r == 0 && i < 2 * file->n_layers * QVF_MODULES; i++) {
                const struct qvf_adapter_matrix *matrix = &file->matrices[i / 2];

                if (matrix->rank == 0)
                        continue;
                r = put_numbers(&writer, matrix, i / 2, i % 2);
                folded += i % 2 && folded_factor(&writer, matrix) != 1;
        }
        if (r == 0)
                r = qvf_gguf_writer_end(gguf, error);
        if (r == 0 && ret_folded)
                *ret_folded = folded;
        return r;
}

int qvf_adapter_file_save_gguf(const struct qvf_adapter_file *file, enum qvf_adapter_dtype dtype,
                const char *path, uint32_t *ret_folded, struct qvf_error *error)
{
        _cleanup_atomic_file_ struct qvf_atomic_file output = QVF_ATOMIC_FILE_INIT;
        int r = qvf_atomic_file_open(AT_FDCWD, path, 0644, &output, error);

        if (r == 0)
                r = qvf_adapter_file_write_gguf(file, dtype, output.fd, ret_folded, error);
        return r < 0 ? r : qvf_atomic_file_commit(&output);
}
