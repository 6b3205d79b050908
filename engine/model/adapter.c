/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/adapter.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/adapters/gguf_adapter.h"
#include "engine/adapters/peft.h"
#include "engine/program/builder.h"
#include "engine/program/planner.h"

static void place(struct qvf_adapter *adapter, const struct qvf_adapter_numbers *numbers,
                struct qvf_value *value)
{
        *value = (struct qvf_value){
                .offset = adapter->bytes,
                .rows = numbers->rows,
                .columns = numbers->columns,
                .dtype = numbers->dtype,
                .scale = 1,
        };
        adapter->bytes += (qvf_adapter_numbers_bytes(numbers) + QVF_ARENA_ALIGNMENT - 1) &
                          ~(uint64_t)(QVF_ARENA_ALIGNMENT - 1);
}

static int upload(struct qvf_adapter *adapter, const struct qvf_adapter_numbers *numbers,
                struct qvf_value *value, struct qvf_error *error)
{
        int r;

        value->buffer = adapter->buffer;
        r = adapter->model->compute.backend->buffer_upload(
                        adapter->buffer, value->offset, numbers->data, qvf_adapter_numbers_bytes(numbers));
        return r < 0 ? qvf_error_set(error, r, "the adapter can't be brought to the device: %s",
                                       strerror(-r))
                     : 0;
}

static int fill(struct qvf_adapter *adapter, const struct qvf_adapter_file *file, struct qvf_error *error)
{
        uint32_t count = file->n_layers * QVF_MODULES;
        int r;

        for (uint32_t i = 0; i < count; i++) {
                const struct qvf_adapter_matrix *matrix = &file->matrices[i];

                if (matrix->rank == 0)
                        continue;
                adapter->pairs[i].rank = matrix->rank;
                adapter->pairs[i].scale = (float)qvf_adapter_file_scale(file, matrix);
                adapter->alpha = matrix->alpha;
                place(adapter, &matrix->a, &adapter->pairs[i].a);
                place(adapter, &matrix->b, &adapter->pairs[i].b);
        }
        r = qvf_compute_buffer(&adapter->model->compute, adapter->bytes, QVF_BUFFER_DEVICE, "adapter",
                        &adapter->buffer, error);
        for (uint32_t i = 0; r == 0 && i < count; i++) {
                if (file->matrices[i].rank == 0)
                        continue;
                r = upload(adapter, &file->matrices[i].a, &adapter->pairs[i].a, error);
                r = r < 0 ? r : upload(adapter, &file->matrices[i].b, &adapter->pairs[i].b, error);
        }
        return r;
}

int qvf_adapter_new_empty(const struct qvf_model *model, struct qvf_adapter **ret_adapter)
{
        static uint64_t serial;
        _cleanup_(qvf_adapter_freep) struct qvf_adapter *adapter = calloc(1, sizeof(*adapter));

        if (!adapter)
                return -ENOMEM;
        adapter->model = model;
        adapter->serial = ++serial;
        adapter->pairs = calloc((size_t)model->info->n_layers * QVF_MODULES, sizeof(*adapter->pairs));
        if (!adapter->pairs)
                return -ENOMEM;
        *ret_adapter = QVF_TAKE(adapter);
        return 0;
}

int qvf_adapter_new_from_file(const struct qvf_model *model, const struct qvf_adapter_file *file,
                struct qvf_adapter **ret_adapter, struct qvf_error *error)
{
        _cleanup_(qvf_adapter_freep) struct qvf_adapter *adapter = NULL;
        int r = qvf_adapter_file_check_model(file, model->info, error);

        if (r < 0)
                return r;
        r = qvf_adapter_new_empty(model, &adapter);
        if (r < 0)
                return qvf_error_set(error, r, "no memory for the adapter");
        r = fill(adapter, file, error);
        if (r < 0)
                return r;
        *ret_adapter = QVF_TAKE(adapter);
        return 0;
}

int qvf_adapter_new(const struct qvf_model *model, const struct qvf_gguf *gguf,
                struct qvf_adapter **ret_adapter, struct qvf_error *error)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;
        int r = qvf_adapter_file_from_gguf(gguf, &file, error);

        return r < 0 ? r : qvf_adapter_new_from_file(model, file, ret_adapter, error);
}

int qvf_adapter_open(const struct qvf_model *model, const char *path, struct qvf_adapter **ret_adapter,
                struct qvf_error *error)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;
        struct qvf_peft_base base;
        struct stat st;
        int r;

        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
                qvf_peft_base_from_model(model->info, &base);
                r = qvf_peft_open(path, &base, &file, error);
        } else {
                r = qvf_adapter_file_open_gguf(path, &file, error);
        }
        if (r < 0)
                return r;
        r = qvf_adapter_new_from_file(model, file, ret_adapter, error);
        if (r < 0)
                qvf_error_prefix(error, "%s", path);
        return r;
}

struct qvf_adapter *qvf_adapter_free(struct qvf_adapter *adapter)
{
        if (!adapter)
                return NULL;
        qvf_compute_buffer_free(&adapter->model->compute, adapter->buffer);
        free(adapter->pairs);
        free(adapter);
        return NULL;
}
