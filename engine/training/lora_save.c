/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/training/lora_save.h"

#include <math.h>
#include <string.h>

#include "common/atomic_file.h"
#include "engine/adapters/gguf_adapter.h"

static int take_numbers(const struct qvf_lora *lora, const struct qvf_value *value,
                struct qvf_adapter_numbers *numbers, struct qvf_error *error)
{
        const struct qvf_backend *backend = lora->model->compute.backend;
        const char *mapped = backend->buffer_map(value->buffer);
        float *values;
        int r;

        if (mapped) {
                *numbers = (struct qvf_adapter_numbers){
                        .rows = value->rows,
                        .columns = value->columns,
                        .dtype = QVF_F32,
                        .data = mapped + value->offset,
                };
                return 0;
        }
        r = qvf_adapter_numbers_allocate(numbers, value->rows, value->columns, &values);
        if (r < 0)
                return qvf_error_set(error, r, "no memory for a copy of the adapter");
        r = backend->buffer_download(
                        value->buffer, value->offset, values, qvf_adapter_numbers_bytes(numbers));
        return r < 0 ? qvf_error_set(error, r, "the adapter can't be fetched from the device: %s",
                                       strerror(-r))
                     : 0;
}

/* The options' own where they say the scale; a lora made from an adapter has scales of its own. */
static float alpha_of(const struct qvf_lora *lora, const struct qvf_lora_pair *pair)
{
        const struct qvf_lora_options *options = &lora->options;
        float divisor = options->rank_stabilised ? sqrtf((float)pair->rank) : (float)pair->rank;

        return pair->scale == options->alpha / divisor ? options->alpha : pair->scale * divisor;
}

int qvf_lora_to_file(
                const struct qvf_lora *lora, struct qvf_adapter_file **ret_file, struct qvf_error *error)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;
        int r = qvf_adapter_file_new(
                        lora->model->info->architecture_name, lora->model->info->n_layers, &file);

        if (r < 0)
                return qvf_error_set(error, r, "no memory for the adapter's description");
        file->rank_stabilised = lora->options.rank_stabilised;
        for (uint32_t i = 0; i < file->n_layers * QVF_MODULES; i++) {
                const struct qvf_lora_pair *pair = &lora->pairs[i];

                if (pair->rank == 0)
                        continue;
                file->matrices[i].alpha = alpha_of(lora, pair);
                r = take_numbers(lora, &pair->a, &file->matrices[i].a, error);
                r = r < 0 ? r : take_numbers(lora, &pair->b, &file->matrices[i].b, error);
                if (r < 0)
                        return r;
        }
        r = qvf_adapter_file_check(file, error);
        if (r < 0)
                return r;
        *ret_file = QVF_TAKE(file);
        return 0;
}

int qvf_lora_save(const struct qvf_lora *lora, int folder, const char *name, struct qvf_error *error)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *adapter = NULL;
        _cleanup_atomic_file_ struct qvf_atomic_file file = QVF_ATOMIC_FILE_INIT;
        int r = qvf_lora_to_file(lora, &adapter, error);

        if (r == 0)
                r = qvf_atomic_file_open(folder, name, 0600, &file, error);
        if (r == 0)
                r = qvf_adapter_file_write_gguf(adapter, QVF_ADAPTER_F32, file.fd, NULL, error);
        return r < 0 ? r : qvf_atomic_file_commit(&file);
}
