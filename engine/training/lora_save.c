/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/training/lora_save.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/atomic_file.h"
#include "engine/files/gguf_write.h"

static void tensor_name(uint32_t index, char letter, char name[QVF_GGUF_NAME_BYTES_MOST + 1])
{
        snprintf(name, QVF_GGUF_NAME_BYTES_MOST + 1, "blk.%u.%s.weight.lora_%c", index / QVF_MODULES,
                        qvf_module_name(index % QVF_MODULES), letter);
}

static void describe(struct qvf_gguf_writer *writer, const struct qvf_lora *lora, float alpha)
{
        char name[QVF_GGUF_NAME_BYTES_MOST + 1];

        qvf_gguf_writer_set_string(writer, "general.type", "adapter");
        qvf_gguf_writer_set_string(writer, "general.architecture", lora->model->info->architecture_name);
        qvf_gguf_writer_set_string(writer, "adapter.type", "lora");
        qvf_gguf_writer_set_f32(writer, "adapter.lora.alpha", alpha);
        for (uint32_t i = 0; i < lora->model->info->n_layers * QVF_MODULES; i++) {
                const struct qvf_lora_pair *pair = &lora->pairs[i];
                const uint64_t a[2] = { pair->a.columns, pair->a.rows },
                               b[2] = { pair->b.columns, pair->b.rows };

                if (pair->rank == 0)
                        continue;
                tensor_name(i, 'a', name);
                qvf_gguf_writer_add_tensor(writer, name, QVF_F32, 2, a);
                tensor_name(i, 'b', name);
                qvf_gguf_writer_add_tensor(writer, name, QVF_F32, 2, b);
        }
}

static int put(struct qvf_gguf_writer *writer, const struct qvf_lora *lora, const struct qvf_value *value,
                float factor, struct qvf_error *error)
{
        uint64_t count = (uint64_t)value->rows * value->columns;
        _cleanup_free_ float *numbers = malloc(count * sizeof(*numbers));
        int r;

        if (!numbers)
                return qvf_error_set(error, -ENOMEM, "no memory to write the adapter");
        r = lora->model->compute.backend->buffer_download(
                        value->buffer, value->offset, numbers, count * sizeof(*numbers));
        if (r < 0)
                return qvf_error_set(
                                error, r, "the adapter can't be read from the device: %s", strerror(-r));
        for (uint64_t i = 0; factor != 1 && i < count; i++)
                numbers[i] *= factor;
        qvf_gguf_writer_put(writer, numbers, count * sizeof(*numbers));
        return 0;
}

static float alpha_of(const struct qvf_lora *lora)
{
        for (uint32_t i = 0; i < lora->model->info->n_layers * QVF_MODULES; i++)
                if (lora->pairs[i].rank > 0)
                        return lora->pairs[i].scale * (float)lora->pairs[i].rank;
        return lora->options.alpha;
}

int qvf_lora_save(struct qvf_lora *lora, int folder, const char *name, struct qvf_error *error)
{
        _cleanup_(qvf_gguf_writer_freep) struct qvf_gguf_writer *writer = NULL;
        _cleanup_atomic_file_ struct qvf_atomic_file file = QVF_ATOMIC_FILE_INIT;
        float alpha = alpha_of(lora);
        int r = qvf_gguf_writer_new(&writer);

        if (r < 0)
                return r;
        describe(writer, lora, alpha);
        r = qvf_atomic_file_open(folder, name, 0600, &file, error);
        if (r == 0)
                r = qvf_gguf_writer_begin(writer, file.fd, error);
        for (uint32_t i = 0; r == 0 && i < lora->model->info->n_layers * QVF_MODULES; i++) {
                const struct qvf_lora_pair *pair = &lora->pairs[i];

                if (pair->rank == 0)
                        continue;
                r = put(writer, lora, &pair->a, 1, error);
                if (r == 0)
                        r = put(writer, lora, &pair->b, pair->scale * (float)pair->rank / alpha, error);
        }
        if (r == 0)
                r = qvf_gguf_writer_end(writer, error);
        return r < 0 ? r : qvf_atomic_file_commit(&file);
}
