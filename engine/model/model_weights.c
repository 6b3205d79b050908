/* SPDX-License-Identifier: Apache-2.0 */
/* Brings the tensors of a model file to its device: as they lie in the mapped file where the device can read
 * that, else as a copy; in the backend's own layout where it has one; converted where no kernel reads the
 * file's form. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "common/checked.h"
#include "engine/files/dtype.h"
#include "engine/model/model_private.h"
#include "engine/model/ternary_weight.h"
#include "engine/model/weight_forms.h"

struct mapped_part { /* the bytes of one file from its start to the end of its last tensor */
        const void *start;
        uint64_t bytes;
        struct qvf_buffer *buffer; /* NULL: the device can't read host memory */
};

struct loader {
        struct qvf_model *model;
        struct mapped_part *parts;
        struct qvf_weight_forms *forms;
        struct qvf_error *error;
};

int qvf_model_keep_buffer(struct qvf_model *model, struct qvf_buffer *buffer)
{
        if (model->n_buffers == model->buffers_capacity) {
                uint32_t capacity = model->buffers_capacity ? 2 * model->buffers_capacity : 64;
                struct qvf_buffer **buffers =
                                reallocarray(model->buffers, capacity, sizeof(struct qvf_buffer *));

                if (!buffers) {
                        qvf_compute_buffer_free(&model->compute, buffer);
                        return -ENOMEM;
                }
                model->buffers = buffers;
                model->buffers_capacity = capacity;
        }
        model->buffers[model->n_buffers++] = buffer;
        return 0;
}

void qvf_model_drop_buffer(struct qvf_model *model, struct qvf_buffer *buffer)
{
        for (uint32_t i = 0; i < model->n_buffers; i++) {
                if (model->buffers[i] != buffer)
                        continue;
                qvf_compute_buffer_free(&model->compute, buffer);
                model->buffers[i] = model->buffers[--model->n_buffers];
                return;
        }
}

int qvf_model_place_copy(struct qvf_model *model, const char *name, const void *bytes, uint64_t length,
                struct qvf_value *value, struct qvf_error *error)
{
        struct qvf_buffer *buffer;
        int r = qvf_compute_upload(&model->compute, bytes, length, name, &buffer, error);

        if (r == 0)
                r = qvf_model_keep_buffer(model, buffer);
        if (r < 0)
                return r;
        model->device_bytes += length;
        value->buffer = buffer;
        value->offset = 0;
        return 0;
}

void qvf_model_leave_pages(const struct qvf_gguf_tensor *tensor)
{
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
        uintptr_t first = ((uintptr_t)tensor->data + page - 1) / page * page;
        uintptr_t end = ((uintptr_t)tensor->data + tensor->size_bytes) / page * page;

        if (first < end)
                (void)madvise((void *)first, end - first, MADV_DONTNEED); /* advice: nothing hangs on it */
}

static int place_copy(struct loader *loader, const char *name, const void *bytes, uint64_t length,
                struct qvf_value *value)
{
        return qvf_model_place_copy(loader->model, name, bytes, length, value, loader->error);
}

/* A value over the tensor's own bytes. */
static int place_tensor(struct loader *loader, const struct qvf_gguf_tensor *tensor, struct qvf_value *value)
{
        const struct mapped_part *part = &loader->parts[tensor->file_index];

        if (!part->buffer) {
                int r = place_copy(loader, tensor->name, tensor->data, tensor->size_bytes, value);

                qvf_model_leave_pages(tensor);
                return r;
        }
        value->buffer = part->buffer;
        value->offset = tensor->file_offset;
        loader->model->mapped_bytes += tensor->size_bytes;
        return 0;
}

static int import_parts(struct loader *loader)
{
        struct qvf_model *model = loader->model;
        const struct qvf_compute *compute = &model->compute;
        unsigned n_parts = qvf_gguf_parts(model->gguf);

        loader->parts = calloc(n_parts, sizeof(*loader->parts));
        if (!loader->parts)
                return -ENOMEM;
        for (uint32_t i = 0; i < qvf_gguf_tensors(model->gguf); i++) {
                const struct qvf_gguf_tensor *tensor = qvf_gguf_tensor(model->gguf, i);
                struct mapped_part *part = &loader->parts[tensor->file_index];

                part->start = (const char *)tensor->data - tensor->file_offset;
                part->bytes = qvf_max_u64(part->bytes, tensor->file_offset + tensor->size_bytes);
        }
        for (unsigned i = 0; i < n_parts; i++) {
                struct mapped_part *part = &loader->parts[i];
                int r = part->bytes == 0 ? -ENOTSUP
                                         : compute->backend->buffer_import(compute->device, part->start,
                                                           part->bytes, &part->buffer);

                if (r == 0)
                        r = qvf_model_keep_buffer(model, part->buffer);
                else if (r == -ENOTSUP)
                        r = 0;
                if (r < 0)
                        return qvf_error_set(loader->error, r,
                                        "the mapped file can't be brought to the %s device: %s",
                                        compute->backend->name, strerror(-r));
        }
        return 0;
}

/* Norms are small and read by float kernels only: F32 whatever the file has. */
static int place_norm(struct loader *loader, const struct qvf_gguf_tensor *tensor, struct qvf_value *value)
{
        _cleanup_free_ float *row = NULL;

        *value = (struct qvf_value){
                .rows = 1, .columns = (uint32_t)tensor->ne[0], .dtype = QVF_F32, .scale = 1
        };
        if (tensor->dtype == QVF_F32)
                return place_tensor(loader, tensor, value);
        row = qvf_malloc(tensor->ne[0] * sizeof(*row));
        if (!row)
                return -ENOMEM;
        if (qvf_dtype_dequantise_row(tensor->dtype, tensor->data, row, tensor->ne[0]) < 0)
                return qvf_error_set(loader->error, -EINVAL, "tensor %s: a norm of this type can't be read",
                                tensor->name);
        return place_copy(loader, tensor->name, row, tensor->ne[0] * sizeof(*row), value);
}

static int pack(struct loader *loader, const struct qvf_gguf_tensor *tensor, const struct qvf_weight *weight,
                uint64_t packed_bytes, struct qvf_value *value)
{
        const struct qvf_compute *compute = &loader->model->compute;
        _cleanup_free_ void *packed = qvf_malloc(packed_bytes);
        int r;

        if (!packed)
                return -ENOMEM;
        r = compute->backend->pack(compute->device, weight, packed);
        if (r < 0)
                return qvf_error_set(loader->error, r, "tensor %s can't be packed for the %s device: %s",
                                tensor->name, compute->backend->name, strerror(-r));
        value->packed = 1;
        return qvf_weight_forms_add(loader->forms, tensor, packed, packed_bytes, value, loader->error);
}

/* A weight matrix whose bytes are the tensor's own, or, if given, `bytes` of another form. */
static int place_weight(struct loader *loader, const struct qvf_gguf_tensor *tensor, const void *bytes,
                uint64_t length, struct qvf_value *value)
{
        const struct qvf_compute *compute = &loader->model->compute;
        struct qvf_weight weight = {
                .size = sizeof(weight),
                .dtype = value->dtype,
                .rows = value->rows,
                .columns = value->columns,
                .scale = value->scale,
                .block_scales = value->block_scales,
                .data = bytes ? bytes : tensor->data,
                .bytes = bytes ? length : tensor->size_bytes,
        };
        uint64_t packed_bytes;
        int r = compute->backend->pack_size(compute->device, &weight, &packed_bytes);

        if (r < 0)
                return qvf_error_set(loader->error, r, "tensor %s can't be used on the %s device: %s",
                                tensor->name, compute->backend->name, strerror(-r));
        if (packed_bytes > 0)
                return pack(loader, tensor, &weight, packed_bytes, value);
        return bytes ? qvf_weight_forms_add(loader->forms, tensor, bytes, length, value, loader->error)
                     : place_tensor(loader, tensor, value);
}

/* The embedding and the head: any format that kernels read as it is. */
static int place_dense(struct loader *loader, const struct qvf_gguf_tensor *tensor, struct qvf_value *value)
{
        int r = qvf_weight_forms_take(loader->forms, tensor, value, loader->error);

        if (r != 0)
                return r < 0 ? r : 0;
        *value = (struct qvf_value){
                .rows = (uint32_t)tensor->ne[1],
                .columns = (uint32_t)tensor->ne[0],
                .dtype = tensor->dtype,
                .block_scales = tensor->dtype == QVF_TQ1_0 || tensor->dtype == QVF_TQ2_0,
                .scale = 1,
        };
        return place_weight(loader, tensor, NULL, 0, value);
}

static int place_linear(
                struct loader *loader, const struct qvf_model_weight *weight, struct qvf_linear *linear)
{
        const struct qvf_gguf_tensor *tensor = weight->tensor;
        struct qvf_ternary_weight ternary;
        int r;

        linear->inputs = (uint32_t)tensor->ne[0];
        linear->outputs = (uint32_t)tensor->ne[1];
        linear->scale = weight->scale;
        r = qvf_weight_forms_take(loader->forms, tensor, &linear->weight, loader->error);
        if (r != 0) {
                linear->ternary = linear->weight.dtype == QVF_TQ1_0 || linear->weight.dtype == QVF_TQ2_0;
                return r < 0 ? r : 0;
        }
        r = tensor->dtype == QVF_I2_S ? qvf_model_decide_i2s_order(loader->model->info,
                                                        &loader->model->i2s_order, loader->error)
                                      : 0;
        if (r == 0)
                r = qvf_ternary_weight_read(tensor, loader->model->i2s_order, &ternary, loader->error);
        if (r == -ERANGE) /* not ternary */
                return place_dense(loader, tensor, &linear->weight);
        if (r < 0)
                return r;
        linear->ternary = true;
        linear->weight = (struct qvf_value){
                .rows = linear->outputs,
                .columns = ternary.columns,
                .dtype = ternary.dtype,
                .block_scales = ternary.block_scales,
                .scale = ternary.scale * weight->scale,
        };
        r = place_weight(loader, tensor, ternary.owned, ternary.bytes, &linear->weight);
        free(ternary.owned);
        return r;
}

void qvf_linear_sources(
                const struct qvf_model_layer *layer, struct qvf_linear_source ret_sources[QVF_MODULES])
{
        ret_sources[QVF_ATTN_Q] = (struct qvf_linear_source){ &layer->attn_q, layer->attn_norm };
        ret_sources[QVF_ATTN_K] = (struct qvf_linear_source){ &layer->attn_k, layer->attn_norm };
        ret_sources[QVF_ATTN_V] = (struct qvf_linear_source){ &layer->attn_v, layer->attn_norm };
        ret_sources[QVF_ATTN_OUTPUT] =
                        (struct qvf_linear_source){ &layer->attn_output, layer->attn_sub_norm };
        ret_sources[QVF_FFN_GATE] = (struct qvf_linear_source){ &layer->ffn_gate, layer->ffn_norm };
        ret_sources[QVF_FFN_UP] = (struct qvf_linear_source){ &layer->ffn_up, layer->ffn_norm };
        ret_sources[QVF_FFN_DOWN] = (struct qvf_linear_source){ &layer->ffn_down, layer->ffn_sub_norm };
}

static int place_layer(struct loader *loader, const struct qvf_model_layer *in, struct qvf_layer *out)
{
        const struct {
                const struct qvf_gguf_tensor *tensor;
                struct qvf_value *value;
        } norms[] = {
                { in->attn_norm, &out->attn_norm },
                { in->attn_sub_norm, &out->attn_sub_norm },
                { in->ffn_norm, &out->ffn_norm },
                { in->ffn_sub_norm, &out->ffn_sub_norm },
        };
        struct qvf_linear_source sources[QVF_MODULES];
        int r = 0;

        qvf_linear_sources(in, sources);
        for (size_t i = 0; r == 0 && i < QVF_ARRAY_LENGTH(norms); i++)
                if (norms[i].tensor)
                        r = place_norm(loader, norms[i].tensor, norms[i].value);
        for (unsigned i = 0; r == 0 && i < QVF_MODULES; i++)
                r = place_linear(loader, sources[i].weight, &out->linear[i]);
        return r;
}

static int place_rope(struct loader *loader)
{
        struct qvf_model *model = loader->model;
        uint32_t pairs = model->info->rope_dims / 2;
        _cleanup_free_ float *frequency = calloc((size_t)pairs + 1, sizeof(*frequency));
        int r;

        if (!frequency)
                return -ENOMEM;
        r = qvf_rope_frequencies(model->info, frequency, &model->rope_magnitude);
        if (r < 0)
                return qvf_error_set(loader->error, r, "the model's rope scaling can't be computed");
        model->rope_frequency =
                        (struct qvf_value){ .rows = 1, .columns = pairs, .dtype = QVF_F32, .scale = 1 };
        return place_copy(loader, "rope frequencies", frequency, pairs * sizeof(*frequency),
                        &model->rope_frequency);
}

static int place_all(struct loader *loader)
{
        struct qvf_model *model = loader->model;
        const struct qvf_model_info *info = model->info;
        int r = import_parts(loader);

        if (r == 0)
                r = place_dense(loader, info->token_embd, &model->embedding);
        if (r == 0)
                r = place_norm(loader, info->output_norm, &model->output_norm);
        if (r == 0)
                r = place_rope(loader);
        for (uint32_t i = 0; r == 0 && i < info->n_layers; i++)
                r = place_layer(loader, &info->layers[i], &model->layers[i]);
        if (r == 0 && !info->tied)
                r = place_dense(loader, info->output.tensor, &model->head);
        if (r == 0)
                r = qvf_weight_forms_finish(loader->forms, loader->error);
        if (r < 0)
                return r;
        if (info->tied)
                model->head = model->embedding;
        model->head_scale = info->tied ? 1 : info->output.scale;
        return 0;
}

int qvf_model_load_weights(struct qvf_model *model, int cache_folder, struct qvf_error *error)
{
        _cleanup_(qvf_weight_forms_freep) struct qvf_weight_forms *forms = NULL;
        struct loader loader = { .model = model, .error = error };
        int r;

        model->layers = calloc(model->info->n_layers, sizeof(*model->layers));
        if (!model->layers)
                return -ENOMEM;
        r = qvf_weight_forms_new(model, cache_folder, &forms, error);
        if (r < 0)
                return r;
        loader.forms = forms;
        r = place_all(&loader);
        free(loader.parts);
        return r;
}
